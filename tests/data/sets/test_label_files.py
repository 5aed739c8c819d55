"""Label maps that lie among CT: each labels its own CT or none, and what is left out is said."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import write_nifti, write_nifti_labels
from taskct.data.open import open_case, open_cases
from taskct.data.sets.label_files import SkippedCaseWarning


def _case() -> Case:
    draw = torch.Generator().manual_seed(0)
    hu = torch.randint(-1024, 2000, (3, 4, 5), generator=draw).float()
    labels = torch.randint(0, 3, (3, 4, 5), generator=draw).to(torch.int16)
    return Case(hu=hu, spacing_mm=(3.0, 1.0, 1.0), affine_mm=np.diag([3.0, 1.0, 1.0, 1.0]), labels=labels)


def _folder(folder: Path, images: Sequence[str], maps: Sequence[str]) -> Path:
    for name in images:
        write_nifti(_case(), folder / f"{name}.nii.gz")
    for name in maps:
        write_nifti_labels(_case(), folder / f"{name}.nii.gz")
    return folder


def _opened(folder: Path) -> tuple[Mapping[str, str], list[str]]:
    """Case ids with the label file of each ('' for none), and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cases = open_cases(folder)
    assert all(issubclass(w.category, SkippedCaseWarning) for w in caught)
    for case in cases:
        assert case.labels is None or torch.equal(case.labels, _case().labels)
    return {c.case_id: c.provenance.get("labels", "") for c in cases}, [str(w.message) for w in caught]


@pytest.mark.parametrize(
    ("image", "label_map"),
    [
        ("p1", "p1_labels"), ("p1", "seg_p1"), ("p1", "labels-P1"), ("P_1", "p-1.seg"), ("a b", "a_b_mask"),
        ("ct", "labels"), ("p1", "Segmentation.seg"), ("ct", "labels_totalsegmentator"),
    ],
)  # fmt: skip
def test_a_map_of_its_name_or_of_no_name_labels_the_ct(image: str, label_map: str, tmp_path: Path) -> None:
    assert _opened(_folder(tmp_path, [image], [label_map])) == ({image: f"{label_map}.nii.gz"}, [])


@pytest.mark.parametrize(
    ("images", "maps"),
    [
        (["patient1"], ["patient2_mask"]), (["patient1"], ["seg_patient2"]), (["p1"], ["oxygen_mask"]),
        (["p1", "p2"], ["labels"]), (["p_11"], ["p1_1_seg"]), (["ct"], ["ct_liver_mask", "ct_tumour_mask"]),
    ],
)  # fmt: skip
def test_a_map_of_another_name_labels_nothing_and_is_named(images: list[str], maps: list[str], tmp_path: Path) -> None:
    found, (said,) = _opened(_folder(tmp_path, images, maps))
    assert found == dict.fromkeys(images, "")
    assert said.startswith("left out: ") and "labels=" in said and all(f"{name}.nii.gz" in said for name in maps)


def test_of_two_maps_for_one_ct_none_is_taken_and_both_are_named(tmp_path: Path) -> None:
    found, (said,) = _opened(_folder(tmp_path, ["a", "b"], ["a_seg", "a_labels", "b_seg"]))
    assert found == {"a": "", "b": "b_seg.nii.gz"}
    assert "a_seg.nii.gz" in said and "a_labels.nii.gz" in said and "choose one" in said


def test_a_map_beside_a_series_labels_it_and_is_no_ct(tmp_path: Path) -> None:
    write_series(_case(), tmp_path / "s")
    folder = _folder(tmp_path / "s", [], ["labels"])
    assert _opened(tmp_path) == ({"s": "labels.nii.gz"}, [])
    case = open_case(folder)
    assert case.provenance["labels"] == "labels.nii.gz" and torch.equal(case.hu, _case().hu)
    _folder(folder, [], ["liver_mask"])
    found, (said,) = _opened(tmp_path)
    assert found == {"s": ""} and "labels.nii.gz" in said and "liver_mask.nii.gz" in said
    with pytest.warns(SkippedCaseWarning):
        assert torch.equal(open_case(folder).hu, _case().hu)


def test_open_case_takes_the_map_beside_the_one_volume_of_a_folder(tmp_path: Path) -> None:
    case = open_case(_folder(tmp_path / "p", ["ct"], ["ct_labels"]))
    assert case.case_id == "p" and torch.equal(case.labels, _case().labels)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["labels", "Masks", "segmentations"])
def test_a_folder_of_maps_labels_the_ct_of_the_same_names(place: str, tmp_path: Path) -> None:
    _folder(tmp_path / "images", ["p1", "p2", "p3"], [])
    _folder(tmp_path / place, ["p9"], ["p1", "p2_seg"])
    found, (said,) = _opened(tmp_path)
    assert found == {"p1": "p1.nii.gz", "p2": "p2_seg.nii.gz", "p3": ""} and "p9.nii.gz" in said


def test_a_folder_of_maps_labels_series_and_nothing_elsewhere(tmp_path: Path) -> None:
    write_series(_case(), tmp_path / "a" / "p1")
    _folder(tmp_path / "a" / "labels", [], ["p1"])
    write_series(_case(), tmp_path / "b")
    _folder(tmp_path / "b" / "masks", [], ["liver"])
    assert _opened(tmp_path) == ({"p1": "p1.nii.gz", "b": "liver.nii.gz"}, [])


def test_files_beside_no_ct_are_read_whatever_they_call_themselves(tmp_path: Path) -> None:
    assert _opened(_folder(tmp_path / "a", ["p1_mask", "oxygen_mask"], [])) == ({"p1_mask": "", "oxygen_mask": ""}, [])
    _folder(tmp_path / "x" / "masks", ["p1_mask", "p2"], [])  # of a folder without any CT but these
    assert _opened(tmp_path / "x") == ({"p1_mask": "", "p2": ""}, [])


def test_labels_that_are_given_silence_the_notes(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "ct", ["p1"], ["p2_mask"])
    _folder(tmp_path / "own", [], ["p1"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (case,) = open_cases(folder, labels=tmp_path / "own")
    assert case.labels is not None
