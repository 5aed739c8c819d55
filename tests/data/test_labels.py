from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from dicom_files import save, save_stack
from rtstruct_files import item

from taskct.core.errors import DataError, FileFormatError, GeometryError, UnsupportedDataError
from taskct.data.case import Case
from taskct.data.labels import read_labels
from taskct.data.nifti import write_nifti_labels
from taskct.data.open import open_case


def _case(shape: tuple[int, int, int] = (4, 6, 8), step: float = 1.0) -> Case:
    affine = np.diag([3.0 * step, 0.8 * step, 0.8 * step, 1.0])
    affine[:3, 3] = [-100.0, 20.0, -30.0]
    labels = torch.arange(np.prod(shape)).reshape(shape).remainder(5).to(torch.int16)
    return Case(hu=torch.zeros(shape), spacing_mm=(3.0 * step, 0.8 * step, 0.8 * step), affine_mm=affine, labels=labels)


def _write(path: Path, values: np.ndarray, affine_zyx: np.ndarray) -> Path:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_zyx[np.ix_([2, 1, 0, 3], [2, 1, 0, 3])]
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), path)
    return path


def test_labels_come_back_as_they_were_written(tmp_path):
    case = _case()
    write_nifti_labels(case, tmp_path / "l.nii.gz")
    labels, names, notes = read_labels(tmp_path / "l.nii.gz", case, names={1: "liver"})
    assert torch.equal(labels, case.labels) and labels.dtype == torch.int16 and names == {1: "liver"} and notes == []


def test_labels_stored_in_another_orientation_land_on_the_same_samples(tmp_path):
    case = _case()
    write_nifti_labels(case, tmp_path / "l.nii")
    turned = nibabel.load(tmp_path / "l.nii").as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nibabel.save(turned, tmp_path / "t.nii")
    assert torch.equal(read_labels(tmp_path / "t.nii", case)[0], case.labels)


def test_labels_within_five_percent_of_a_voxel_are_taken_and_beyond_refused(tmp_path):
    case = _case()
    for shift_mm, good in ((0.03, True), (0.05, False)):  # of 0.8 mm
        affine = case.affine_mm.copy()
        affine[2, 3] += shift_mm
        path = _write(tmp_path / f"{shift_mm}.nii", case.labels.numpy(), affine)
        if good:
            assert torch.equal(read_labels(path, case)[0], case.labels)
        else:
            with pytest.raises(GeometryError, match=r"other samples.*resample_labels=True"):
                read_labels(path, case)


def test_labels_on_a_coarser_grid_are_resampled_only_when_asked(tmp_path):
    case = _case()
    coarse = np.zeros((2, 3, 4), dtype=np.int16)
    coarse[1, 2, 3], coarse[0, 0, 0] = 2, 1
    affine = case.affine_mm.copy()
    affine[:3, :3] *= 2
    affine[:3, 3] += case.affine_mm[:3, :3] @ [0.5, 0.5, 0.5]  # coarse samples lie in the middle of eight fine ones
    path = _write(tmp_path / "l.nii", coarse, affine)
    with pytest.raises(GeometryError, match="instead of"):
        read_labels(path, case)
    labels, _, notes = read_labels(path, case, resample=True)
    assert torch.equal(labels, torch.from_numpy(coarse.repeat(2, 0).repeat(2, 1).repeat(2, 2)))
    assert any("resampled" in n for n in notes)


def test_samples_outside_the_label_map_become_background(tmp_path):
    case = _case()
    part = np.ones((2, 6, 8), dtype=np.int16)
    path = _write(tmp_path / "l.nii", part, case.affine_mm)
    labels, _, _ = read_labels(path, case, resample=True)
    assert (labels[:2] == 1).all() and (labels[2:] == 0).all()


def test_masks_that_overlap_are_noted(tmp_path):
    case = _case()
    (tmp_path / "masks").mkdir()
    for name in ("a", "b"):
        _write(tmp_path / "masks" / f"{name}.nii", np.ones((4, 6, 8), dtype=np.uint8), case.affine_mm)
    labels, names, notes = read_labels(tmp_path / "masks", case)
    assert (labels == 2).all() and names == {1: "a", 2: "b"} and any("192 voxels" in n for n in notes)


@pytest.mark.real_data
def test_a_dicom_seg_labels_its_series(real_data):
    folder = real_data / "dicom_seg_liver_3slice"
    case = open_case(folder, labels=folder / "liver.dcm")
    assert sorted((case.labels > 0).sum((1, 2)).tolist()) == [35_220, 35_645, 36_233]  # as the source of the data states


@pytest.mark.parametrize(
    ("values", "error", "reason"),
    [
        (np.full((4, 6, 8), 0.5, dtype=np.float32), FileFormatError, "whole numbers"),
        (np.full((4, 6, 8), -1, dtype=np.int16), FileFormatError, "0 .background. or more"),
        (np.full((4, 6, 8), np.nan, dtype=np.float32), FileFormatError, "NaN"),
        (np.full((4, 6, 8, 2), 1, dtype=np.int16), UnsupportedDataError, "2 volumes"),
    ],
)
def test_labels_that_are_no_labels_are_refused(tmp_path, values: np.ndarray, error: type[DataError], reason: str):
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "l.nii")
    with pytest.raises(error, match=reason) as caught:
        read_labels(tmp_path / "l.nii", _case())
    assert str(caught.value).startswith(str(tmp_path / "l.nii"))


def test_a_folder_of_label_maps_is_not_a_folder_of_masks(tmp_path):
    case = _case()
    write_nifti_labels(case, tmp_path / "masks" / "l.nii")
    with pytest.raises(UnsupportedDataError, match="mask of 0 and 1"):
        read_labels(tmp_path / "masks", case)


def test_a_dicom_object_that_labels_nothing_is_refused_by_its_kind(tmp_path):
    hu = save_stack(tmp_path / "series", slices=2)
    case = Case(torch.from_numpy(hu), (2.0, 0.75, 0.5))
    report = item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", SOPInstanceUID="1.2.9.1", SeriesInstanceUID="1.2.9", Modality="SR"
    )
    save(report, tmp_path / "report.dcm")
    with pytest.raises(UnsupportedDataError, match=r"report\.dcm: is not DICOM SEG \(modality 'SR'\)"):
        read_labels(tmp_path / "report.dcm", case)
