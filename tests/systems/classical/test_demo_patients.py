"""Which slices the classical demo scores and tunes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.errors import InputError, UnsupportedDataError
from taskct.data.case import Case
from taskct.data.nifti import write_nifti
from taskct.systems.classical.demo_patients import organ_of, patients_of_ct, phantom_patients


def test_no_slice_is_both_scored_and_tuned_on(tmp_path: Path) -> None:
    built_in = phantom_patients(0, shape=(4, 48, 48))
    assert not {c.case_id for c in built_in.scored} & {c.case_id for c in built_in.tuning}
    for count in (3, 4, 7, 20, 300):
        write_nifti(Case(torch.zeros(count, 4, 4), (1.0, 1.0, 1.0)), tmp_path / "ct.nii", overwrite=True)
        own = patients_of_ct(tmp_path / "ct.nii", labels=None, label_names={}, series=None)
        assert len(set(own.scored_slices["ct"]) | set(own.tuning_slices["ct"])) == 3
    write_nifti(Case(torch.zeros(2, 4, 4), (1.0, 1.0, 1.0)), tmp_path / "ct.nii", overwrite=True)
    with pytest.raises(InputError, match="the demo needs 3"):
        patients_of_ct(tmp_path / "ct.nii", labels=None, label_names={}, series=None)


def test_the_organ_to_judge_by_is_the_liver_or_the_largest() -> None:
    labels = torch.tensor([1, 1, 1, 2, 2, 0]).reshape(1, 2, 3)
    case = lambda **more: Case(torch.zeros(1, 2, 3), (1.0, 1.0, 1.0), **more)
    assert organ_of(case(labels=labels, label_names={2: "Liver"})) == ("liver", 2)
    assert organ_of(case(labels=labels, label_names={1: "spleen"})) == ("spleen", 1)
    assert organ_of(case(labels=labels)) == ("label 1, the largest", 1)
    assert organ_of(case()) is None and organ_of(case(labels=0 * labels)) is None


def test_the_demo_takes_some_slices_of_a_ct_and_says_which(tmp_path: Path) -> None:
    hu = torch.linspace(-1000, 900, 40 * 16).reshape(40, 4, 4)
    write_nifti(Case(hu, (2.0, 1.0, 1.0)), tmp_path / "ct.nii")
    whole = patients_of_ct(tmp_path / "ct.nii").shown
    assert whole.hu.shape[0] == 40 and not any("counted from 0" in n for n in whole.provenance["notes"])
    some = patients_of_ct(tmp_path / "ct.nii", slices=slice(10, 30)).shown
    assert torch.equal(some.hu, whole.hu[10:30]) and any("slices 10 to 29 of the CT" in n for n in some.provenance["notes"])
    few = patients_of_ct(tmp_path / "ct.nii", slices=slice(10, 30), every=5).shown
    assert torch.equal(few.hu, whole.hu[10:30:4]) and few.spacing_mm[0] == 8.0
    assert any("slices 10 to 26 of the CT, 4 apart" in n for n in few.provenance["notes"])
    assert len(patients_of_ct(tmp_path / "ct.nii", every=7).shown.hu) == 7
    with pytest.raises(InputError, match="1 of its 40 slices would be used; the demo needs 3"):
        patients_of_ct(tmp_path / "ct.nii", slices=5)


def test_a_label_map_in_the_place_of_the_ct_is_refused(tmp_path: Path) -> None:
    write_nifti(Case(torch.arange(4.0).repeat(4, 4, 1), (1.0, 1.0, 1.0)), tmp_path / "labels.nii")
    with pytest.raises(UnsupportedDataError, match="this looks like a label map"):
        patients_of_ct(tmp_path / "labels.nii")
