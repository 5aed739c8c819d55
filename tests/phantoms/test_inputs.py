from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.data.nifti import write_nifti
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


def test_built_in_patients_are_named_with_an_optional_seed() -> None:
    assert open_inputs(["phantom:disk"])[0].hu.equal(open_inputs(["phantom:disk:0"])[0].hu)
    for text in ("phantom:disk:x", "phantom:disk:1:2"):
        with pytest.raises(InputError, match="expected phantom:NAME or phantom:NAME:SEED"):
            open_inputs([text])
