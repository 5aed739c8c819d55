from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.data.nifti import write_nifti
from taskct.data.open import open_cases
from taskct.data.splits import check_split
from taskct.phantoms.inputs import open_inputs


def test_cases_of_one_name_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_nifti(Case(torch.zeros(2, 4, 4), (1.0, 1.0, 1.0)), tmp_path / folder / "ct.nii")
        paths.append(str(tmp_path / folder / "ct.nii"))
    heard: list[str] = []
    cases = open_inputs([*paths, "phantom:disk:3"], heard=lambda case: heard.append(case.case_id))
    assert [c.case_id for c in cases[:2]] == ["ct", "b/ct"] and len(heard) == len(cases) == 3


def _write(path: Path, level: float) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    hu = torch.full((2, 4, 4), -1000.0)
    hu[:, 1:3, 1:3] = level
    write_nifti(Case(hu, (1.0, 1.0, 1.0)), path)
    return str(path)


def test_a_generic_name_in_several_folders_is_several_patients(tmp_path: Path) -> None:
    """Two CT in the layout of TotalSegmentator counted as one patient, so that no interval over patients was given."""
    paths = [_write(tmp_path / f"{name}/ct.nii.gz", k) for k, name in enumerate(("s0001", "s0002", "a/s0002"))]
    cases = open_inputs(paths)
    assert [(c.case_id, c.patient_id) for c in cases] == [(n, n) for n in ("ct", "s0002/ct", "a/s0002/ct")]
    inside = open_cases(tmp_path)
    assert {c.patient_id for c in inside} == {c.case_id for c in inside} and len({c.case_id for c in inside}) == 3
    check_split(inside[:1], inside[1:2], inside[2:])


def test_a_patients_name_in_several_folders_and_files_side_by_side_are_one_patient(tmp_path: Path) -> None:
    named = [_write(tmp_path / f"{name}/p7.nii.gz", k) for k, name in enumerate(("venous", "arterial"))]
    assert [c.patient_id for c in open_inputs(named)] == ["p7", "p7"] == [c.patient_id for c in open_cases(tmp_path)]
    beside = [_write(tmp_path / "c" / name, k) for k, name in enumerate(("ct.nii", "ct.nii.gz"))]
    assert [c.patient_id for c in open_inputs(beside)] == ["ct", "ct"] == [c.patient_id for c in open_cases(tmp_path / "c")]


def test_a_folder_named_after_a_patient_tells_cases_apart_without_its_name(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{name}/ct.nii.gz", k) for k, name in enumerate(("Mueller_Hans", "Rossi"))]
    for cases in (open_inputs(paths), open_cases(tmp_path)):
        words = " ".join(c.case_id + c.patient_id for c in cases)
        assert len({c.patient_id for c in cases}) == 2 and "Rossi" not in words and "Hans" not in words


def test_a_name_for_labels_without_any_labels_says_that_they_are_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"label names are given \(label 5 \(liver\)\), but no labels; .*--labels"):
        open_inputs([_write(tmp_path / "ct.nii.gz", 0)], label_names={5: "liver"})


def test_built_in_patients_are_named_with_an_optional_seed() -> None:
    assert open_inputs(["phantom:disk"])[0].hu.equal(open_inputs(["phantom:disk:0"])[0].hu)
    for text in ("phantom:disk:x", "phantom:disk:1:2"):
        with pytest.raises(InputError, match="expected phantom:NAME or phantom:NAME:SEED"):
            open_inputs([text])
