"""Which slices the classical demo scores and tunes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.errors import InputError
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
