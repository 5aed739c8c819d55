"""What the refusal of a tilted gantry advises, every verb that opens a CT takes."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

SMALL = ("--views", "12", "--refine", "1")


@pytest.fixture
def tilted(tmp_path: Path) -> Path:
    """A water cylinder whose slices are shifted by a third of a pixel each, as a gantry tilted by 9 degrees shifts them."""
    y, x = np.indices((24, 24)) - 11.5
    hu = np.where(x**2 + y**2 < 64, 20.0, -1000.0)
    affine = np.diag([4.0, 4.0, 8.0, 1.0])
    affine[1, 2] = 1.3
    nibabel.save(nibabel.Nifti1Image(np.repeat(hu[..., None], 5, axis=2).astype(np.float32), affine), tmp_path / "ct.nii")
    return tmp_path / "ct.nii"


@pytest.mark.parametrize(
    "words",
    [
        ("info", "CT"),
        ("simulate", "CT", *SMALL, "--out", "scan.h5"),
        ("reconstruct", "CT", *SMALL, "--out", "image.nii.gz"),
        ("evaluate", "CT", *SMALL, "--doses", "1", "--out", "run"),
    ],
    ids=lambda words: words[0],
)
def test_a_tilted_ct_is_refused_with_an_option_that_the_same_verb_has(tilted, taskct_says, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    words = [tilted if word == "CT" else word for word in words]
    code, _, error = taskct_says(*words)
    assert code == 3 and "--untilt" in error and "9.2 deg" in error
    code, said, error = taskct_says(*words, "--untilt")
    assert code == 0 and "tilt" in said + error  # the loss is stated


@pytest.mark.parametrize(
    "words", [("demo", "--ct", "CT", "--out", "out"), ("dose", "fbp", "--ct", "CT", "--out", "out")], ids=str
)
def test_the_demo_and_the_search_for_a_dose_hand_it_on(tilted, taskct_says, tmp_path, monkeypatch, words):
    from taskct.core.errors import InputError

    seen = []

    def untilted(*_: object, untilt: bool = False, **__: object) -> None:
        seen.append(untilt)
        raise InputError("opened")

    monkeypatch.chdir(tmp_path)
    for place in ("taskct.phantoms.inputs.open_cases", "taskct.systems.classical.demo_patients.open_case"):
        monkeypatch.setattr(place, untilted)
    words = [tilted if word == "CT" else word for word in words]
    keep = ("--keep", "rmse_hu<=20") if words[0] == "dose" else ()
    for option in ((), ("--untilt",)):
        code, _, error = taskct_says(*words, *keep, *option)
        assert code == 2 and "opened" in error
    assert seen == [False, True]
    code, _, error = taskct_says(words[0], *(["fbp", *keep] if keep else []), "--untilt", "--out", "other")
    assert code == 2 and "--untilt" in error and "--ct" in error
