"""Task06 of the Medical Segmentation Decathlon: cancer is known, the rest is not; hidden files and gaps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from chest_sets import SHAPE, tiny_chest

from taskct.core.errors import FileFormatError
from taskct.data.marked_set import open_msd_lung
from taskct.data.nifti import write_nifti, write_nifti_labels


def make_set(root: Path) -> Path:
    for number in (1, 3):
        labels = torch.zeros(SHAPE, dtype=torch.int16)
        labels[4:7, 20:24, 12:16] = 1
        labels[9, 30, 40] = 1
        case = replace(tiny_chest(number), labels=labels)
        write_nifti(case, root / "imagesTr" / f"lung_{number:03d}.nii.gz")
        write_nifti_labels(case, root / "labelsTr" / f"lung_{number:03d}.nii.gz")
        for part in ("imagesTr", "labelsTr"):
            (root / part / f"._lung_{number:03d}.nii.gz").write_bytes(b"\0\5\x16\7Mac OS X")
    write_nifti(tiny_chest(9), root / "imagesTs" / "lung_009.nii.gz")
    training = [{"image": f"./imagesTr/lung_{n:03d}.nii.gz", "label": f"./labelsTr/lung_{n:03d}.nii.gz"} for n in (1, 2, 3)]
    about = {"name": "Lung", "labels": {"0": "background", "1": "cancer"}, "training": training}
    (root / "dataset.json").write_text(json.dumps(about))
    return root


def test_cancer_is_known_piece_by_piece_and_nothing_else_is(tmp_path: Path) -> None:
    cases = list(open_msd_lung(make_set(tmp_path)).cases())
    assert [c.case_id for c in cases] == ["lung_001", "lung_003"]
    for case in cases:
        assert case.marks is not None and len(case.marks.numbers(["cancer"])) == 2
        presence = case.marks.presence({"cancer": ["cancer"], "nodule": ["nodule"]}).tolist()
        assert presence[0] == 1.0 and presence[1] != presence[1]  # NaN: nobody has looked for nodules
        classes = case.marks.class_map({"cancer": ["cancer"]})
        assert classes is not None and torch.equal(classes, case.labels.long())  # type: ignore[union-attr]


def test_what_the_list_promises_and_the_folder_lacks_is_counted(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    (root / "labelsTr" / "lung_003.nii.gz").unlink()
    found = open_msd_lung(root)
    assert found.left_out == (
        f"{root / 'dataset.json'}: lists 1 file that imagesTr does not have: lung_002.nii.gz",
        f"{root / 'imagesTr'}: has 1 file without a label map: lung_003.nii.gz",
    )
    assert [c.marks is not None for c in found.cases()] == [True, False]


def test_a_label_map_without_cancer_is_a_negative(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    case = replace(tiny_chest(1), labels=torch.zeros(SHAPE, dtype=torch.int16))
    write_nifti_labels(case, root / "labelsTr" / "lung_001.nii.gz", overwrite=True)
    first = next(open_msd_lung(root).cases())
    assert first.marks.presence({"cancer": ["cancer"]}).tolist() == [0.0]  # type: ignore[union-attr]


def test_a_label_that_the_task_does_not_have_is_refused(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    labels = torch.ones(SHAPE, dtype=torch.int16)
    labels[3] = 2
    write_nifti_labels(replace(tiny_chest(1), labels=labels), root / "labelsTr" / "lung_001.nii.gz", overwrite=True)
    with pytest.raises(
        FileFormatError, match=r"lung_001.nii.gz: its labels hold 2, of which no kind is named; this set has 1"
    ):
        list(open_msd_lung(root).cases())
