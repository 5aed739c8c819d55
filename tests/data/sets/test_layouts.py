"""Every layout of liver data arrives in the cohort's form: cases with labels 1 and 2, lesions measured, split by patient."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.errors import TaskctError
from taskct.data.case import Case
from taskct.data.classes import liver_classes, with_classes
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import write_nifti, write_nifti_labels
from taskct.data.open import open_cases
from taskct.data.splits import split_by_patient
from taskct.phantoms.lesions.of_case import case_lesions

COUNT = 4
RADIUS_MM = 9.0


def patient(number: int) -> Case:
    """A liver of 100 HU with one tumour of -40 HU; where it lies depends on the patient."""
    z, y, x = torch.meshgrid(torch.arange(12) * 4.0, torch.arange(40) * 2.0, torch.arange(36) * 2.0, indexing="ij")
    liver = ((z - 22) ** 2 + (y - 40) ** 2 + (x - 34) ** 2).sqrt() < 28
    tumour = ((z - 22) ** 2 + (y - 40) ** 2 + (x - 28 - 2 * number) ** 2).sqrt() < RADIUS_MM
    hu = torch.where(liver, 100.0, -100.0) - 40 * tumour
    affine = np.diag([4.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -300, -20, 40
    labels = (liver.int() + tumour.int()).to(torch.int16)
    return Case(hu, (4.0, 2.0, 2.0), f"p{number}", labels=labels, label_names={1: "liver", 2: "tumour"}, affine_mm=affine)


def lits(folder: Path) -> list[Case]:
    for number in range(COUNT):
        write_nifti(patient(number), folder / "Training Batch 1" / f"volume-{number}.nii")
        write_nifti_labels(patient(number), folder / "Training Batch 2" / f"segmentation-{number}.nii")
    return open_cases(folder)


def msd(folder: Path) -> list[Case]:
    root = folder / "Task03_Liver"
    for number in range(COUNT):
        write_nifti(patient(number), root / "imagesTr" / f"liver_{number}.nii.gz")
        write_nifti_labels(patient(number), root / "labelsTr" / f"liver_{number}.nii.gz")
    write_nifti(patient(9), root / "imagesTs" / "liver_9.nii.gz")  # the test images have no labels
    (root / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "liver", "2": "cancer"}}))
    return open_cases(root)


def nnunet(folder: Path) -> list[Case]:
    """The same set as nnU-Net stores it: _0000 behind each image, labels by name."""
    msd(folder)
    root = folder / "Task03_Liver"
    for file in sorted((root / "imagesTr").iterdir()):
        file.rename(file.with_name(file.name.replace(".nii", "_0000.nii")))
    about = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "cancer": 2}, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(about))
    return open_cases(root)


def chaos(folder: Path) -> list[Case]:
    from PIL import Image

    for number in range(COUNT):
        place = folder / "Train_Sets" / "CT" / f"{number + 1}"
        write_series(patient(number), folder / "raw" / f"{number}")
        (place / "DICOM_anon").mkdir(parents=True)
        (place / "Ground").mkdir()
        for k, file in enumerate(sorted((folder / "raw" / f"{number}").iterdir(), key=height)):
            shutil.copy(file, place / "DICOM_anon" / f"i{k:04d},0000b.dcm")
            mask = (patient(number).labels[k] > 0).numpy().astype(np.uint8) * 255  # type: ignore[index]
            Image.fromarray(mask).save(place / "Ground" / f"liver_GT_{k:03d}.png")
    return open_cases(folder / "Train_Sets" / "CT")


def totalsegmentator(folder: Path) -> list[Case]:
    for number in range(COUNT):
        case = patient(number)
        write_nifti(case, folder / f"s{number:04d}" / "ct.nii.gz")
        for value, name in ((1, "liver"), (2, "liver_tumor"), (3, "spleen")):
            mask = replace(case, labels=(case.labels == value).to(torch.int16))
            write_nifti_labels(mask, folder / f"s{number:04d}" / "segmentations" / f"{name}.nii.gz")
    return open_cases(folder)


def plain_pairs(folder: Path) -> list[Case]:
    for number in range(COUNT):
        write_nifti(patient(number), folder / "ct" / f"case{number}.nii.gz")
        write_nifti_labels(patient(number), folder / "seg" / f"case{number}.nii.gz")
    return open_cases(folder / "ct", labels=folder / "seg", label_names={1: "liver", 2: "lesion"})


def height(path: Path) -> float:
    import pydicom

    return float(pydicom.dcmread(path).ImagePositionPatient[2])


LAYOUTS: dict[str, Callable[[Path], list[Case]]] = {
    "LiTS": lits, "MSD": msd, "nnU-Net": nnunet, "CHAOS": chaos, "TotalSegmentator": totalsegmentator,
    "plain pairs": plain_pairs,
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_arrives_as_cases_of_the_cohorts_form_with_its_lesions(layout: str, tmp_path: Path) -> None:
    cases = [liver_classes(case) for case in LAYOUTS[layout](tmp_path)]
    assert len(cases) == COUNT == len({c.patient_id for c in cases})
    for number, case in enumerate(cases):
        truth = patient(number)
        has_tumours = layout != "CHAOS"  # its livers are healthy, its masks are of the liver alone
        wanted = truth.labels if has_tumours else (truth.labels > 0).to(torch.int16)  # type: ignore[operator]
        assert torch.equal(case.hu, truth.hu) and torch.equal(case.labels.long(), wanted.long())  # type: ignore[union-attr]
        assert case.label_names == {1: "liver", 2: "tumour"} and np.allclose(case.affine_mm, truth.affine_mm, atol=1e-4)
        found = case_lesions(case)
        assert len(found) == int(has_tumours)
        if found:
            assert found[0].centre_mm == pytest.approx((-278, 20, 68 + 2 * number), abs=0.5)
            assert found[0].radius_mm == pytest.approx(RADIUS_MM, rel=0.05)  # voxels of 16 mm3
            assert found[0].contrast_hu == pytest.approx(-40, abs=0.01)
    train, validation, test = split_by_patient(cases, fractions=(0.5, 0.25, 0.25), seed=3)
    assert [len(train), len(validation), len(test)] == [2, 1, 1]


@pytest.mark.parametrize(
    ("layout", "file", "read"),
    [
        ("LiTS", "Training Batch 2/segmentation-0.nii", open_cases),
        ("plain pairs", "seg/case0.nii.gz", lambda folder: open_cases(folder / "ct", labels=folder / "seg")),
    ],
)
def test_labels_on_another_grid_are_refused_with_their_file(
    layout: str, file: str, read: Callable[[Path], list[Case]], tmp_path: Path
) -> None:
    LAYOUTS[layout](tmp_path)
    write_nifti_labels(patient(0).take(slice(0, 8)), tmp_path / file, overwrite=True)
    reason = rf"{Path(file).name}: its labels lie on other samples than the CT .* instead of .* resample_labels=True"
    with pytest.raises(TaskctError, match=reason):
        read(tmp_path)


def test_two_studies_of_one_patient_stay_in_one_part() -> None:
    cases = [replace(patient(k), case_id=f"study-{k}", patient_id=f"patient-{k // 2}") for k in range(6)]
    for part in split_by_patient(cases, fractions=(1 / 3, 1 / 3, 1 / 3)):
        assert len({c.patient_id for c in part}) == 1 and len(part) == 2


@pytest.mark.real_data
def test_a_real_label_map_of_many_organs_becomes_liver_by_number(real_data: Path) -> None:
    from taskct.data.open import open_case

    folder = real_data / "abdomen_totalseg_siemens20"
    case = open_case(folder / "ct.nii.gz", labels=folder / "labels_totalsegmentator.nii.gz")
    liver = with_classes(case, {"liver": [5], "tumour": []})
    assert int((liver.labels == 1).sum()) == 366_708 and int(liver.labels.max()) == 1  # type: ignore[union-attr]
    assert case_lesions(liver) == ()
