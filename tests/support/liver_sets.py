"""Tiny sets in the layouts of LiTS and MSD Task03: livers with tumours that a reader can find, written by the test itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from taskct.data.case import Case
from taskct.data.nifti import write_nifti, write_nifti_labels


def liver_case(number: int, *, tumour: bool = True, pixels: int = 40, slices: int = 6) -> Case:
    """A body of water, a liver of 110 HU and a tumour of 30 HU in it; sizes and places go by the number. Pixels of 8 mm."""
    draws = np.random.default_rng(number)
    z, y, x = torch.meshgrid(torch.arange(slices) * 5.0, *(torch.arange(pixels) * 8.0 for _ in range(2)), indexing="ij")
    middle = pixels * 4.0
    body = ((y - middle) / 110) ** 2 + ((x - middle) / 140) ** 2 < 1
    liver = (((y - middle) / 60) ** 2 + ((x - middle + 40) / 70) ** 2 < 1) & (z > 2) & (z < 5 * slices - 7)
    at = middle + float(draws.uniform(-20, 20)), middle - 40 + float(draws.uniform(-25, 25))
    spot = liver & ((y - at[0]) ** 2 + (x - at[1]) ** 2 < float(draws.uniform(16, 24)) ** 2)
    if not tumour:
        spot = torch.zeros_like(spot)
    hu = torch.where(body, 0.0, -1000.0) + 110 * liver - 80 * spot
    hu = (hu + torch.from_numpy(draws.normal(0, 4, hu.shape)).float().round() * body).round()
    labels = (liver.int() + spot.int()).to(torch.int16)
    return Case(hu, (5.0, 8.0, 8.0), f"p{number}", labels=labels, label_names={1: "liver", 2: "tumour"})


def write_lits(folder: Path, cases: dict[int, Case]) -> Path:
    """volume-N.nii and segmentation-N.nii, in two folders as the challenge gives them."""
    for number, case in cases.items():
        write_nifti(case, folder / "Training Batch 1" / f"volume-{number}.nii")
        write_nifti_labels(case, folder / "Training Batch 1" / f"segmentation-{number}.nii")
    return folder


def write_msd(folder: Path, cases: dict[int, Case]) -> Path:
    """imagesTr, labelsTr and dataset.json of Task03, and a test image without labels."""
    root = folder / "Task03_Liver"
    for number, case in cases.items():
        write_nifti(case, root / "imagesTr" / f"liver_{number}.nii.gz")
        write_nifti_labels(case, root / "labelsTr" / f"liver_{number}.nii.gz")
    write_nifti(liver_case(999), root / "imagesTs" / "liver_999.nii.gz")
    training = [{"image": f"./imagesTr/liver_{n}.nii.gz", "label": f"./labelsTr/liver_{n}.nii.gz"} for n in cases]
    about = {"name": "Liver", "labels": {"0": "background", "1": "liver", "2": "cancer"}, "training": training}
    (root / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    return root


def without_liver(case: Case) -> Case:
    """The case with a label that is neither liver nor tumour."""
    assert case.labels is not None
    return replace(case, labels=3 * (case.labels > 0).to(torch.int16), label_names={3: "spleen"})
