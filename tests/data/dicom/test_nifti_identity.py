"""One series, read as DICOM, as NIfTI, and by SimpleITK (GDCM): the same volume in the same place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dicom_files import save_stack

from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.dicom.dicom_padding import fill_outside
from taskct.data.dicom.series import read_series
from taskct.data.nifti import read_nifti, write_nifti

SimpleITK = pytest.importorskip("SimpleITK")

PLACE_MM = 1e-3  # NIfTI keeps its affine in float32: 1e-4 mm at 500 mm, over 512 pixels


def read_by_simpleitk(paths):
    """The series as GDCM orders it: (image, hu (Z, Y, X), affine to LPS (z, y, x))."""
    image = SimpleITK.ReadImage([str(p) for p in paths])
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.array(image.GetSpacing()))[::-1, ::-1]
    affine[:3, 3] = np.array(image.GetOrigin())[::-1]
    return image, SimpleITK.GetArrayFromImage(image).astype(np.float32), affine


def sorted_by_gdcm(folder):
    return SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))


def assert_same_place(one: Case, affine_mm: np.ndarray) -> None:
    """The corners of the volume lie at the same points."""
    last = [n - 1 for n in one.hu.shape]
    corners = np.array([[i, j, k, 1] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])]).T
    assert np.abs(((one.affine_mm - affine_mm) @ corners)[:3]).max() < PLACE_MM


def test_a_written_series_is_the_same_as_dicom_as_nifti_and_for_simpleitk(tmp_path):
    save_stack(tmp_path / "ct")
    case = read_series(tmp_path / "ct")
    _, hu, affine = read_by_simpleitk(sorted_by_gdcm(tmp_path / "ct"))
    assert np.array_equal(case.hu.numpy(), hu)
    assert_same_place(case, affine)
    write_nifti(case, tmp_path / "ct.nii.gz")
    again = read_nifti(tmp_path / "ct.nii.gz")
    assert torch.equal(again.hu, case.hu)
    assert_same_place(case, again.affine_mm)
    write_series(again, tmp_path / "out")  # and back: DICOM from the NIfTI
    back = read_series(tmp_path / "out")
    assert torch.equal(back.hu, case.hu)
    assert_same_place(case, back.affine_mm)


def test_simpleitk_reads_what_we_write(tmp_path):
    hu = torch.randint(-1000, 3000, (4, 16, 20), generator=torch.Generator().manual_seed(1)).float()
    affine = np.array([[2.5, 0, 0, -310.25], [0, 0.7, 0, -120.5], [0, 0, 0.8, 33.125], [0, 0, 0, 1]])
    case = Case(hu=hu, spacing_mm=(2.5, 0.7, 0.8), affine_mm=affine)
    write_series(case, tmp_path / "out")
    _, theirs, place = read_by_simpleitk(sorted_by_gdcm(tmp_path / "out"))
    assert np.array_equal(hu.numpy(), theirs)
    assert_same_place(case, place)


@pytest.mark.real_data
def test_a_real_series_agrees_with_simpleitk_and_with_its_nifti(real_data, tmp_path):
    folder = real_data / "dicom_totalseg_siemens_j2k"
    case = read_series(folder)
    # the files have no SeriesInstanceUID, so GDCM is given the order that their own names have
    image, hu, affine = read_by_simpleitk(sorted((p for p in folder.iterdir() if p.name.startswith("CT")), reverse=True))
    assert np.array_equal(case.hu.numpy(), hu)
    assert_same_place(case, affine)
    SimpleITK.WriteImage(image, str(tmp_path / "theirs.nii.gz"))
    theirs = read_nifti(tmp_path / "theirs.nii.gz")
    assert torch.equal(theirs.hu, case.hu)
    assert_same_place(case, theirs.affine_mm)
    assert theirs.spacing_mm == pytest.approx(case.spacing_mm, abs=1e-6)  # float32


@pytest.mark.real_data
def test_a_real_series_with_padding_agrees_with_simpleitk_outside_the_padding(real_data):
    paths = [real_data / "dicom_seg_liver_3slice" / f"0{n}.dcm" for n in (3, 2, 1)]
    case = read_series(paths)
    _, hu, affine = read_by_simpleitk(paths)
    assert float(hu.min()) == -3024 and np.array_equal(case.hu.numpy(), fill_outside(hu)[0])
    assert_same_place(case, affine)


@pytest.mark.real_data
def test_the_published_nifti_of_a_real_series_is_the_same_volume(real_data):
    case = read_series(real_data / "dicom_totalseg_siemens_j2k")
    published = sorted((real_data / "abdomen_totalseg_siemens20").glob("ct*.nii.gz"))
    again = read_nifti(published[0])
    assert torch.equal(again.hu, case.hu)
    assert_same_place(case, again.affine_mm)
