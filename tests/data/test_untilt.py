from __future__ import annotations

import nibabel
import numpy as np
import pytest
from dicom_files import save_stack

from taskct.core.errors import UnsupportedDataError
from taskct.data.dicom.series import read_series
from taskct.data.open import open_case
from taskct.data.untilt import untilted

SLICES, SHAPE, STEP_MM = 7, (16, 20), 2.0


def _field(z, y, x):
    """HU that are linear in the patient's position: linear interpolation keeps them exactly."""
    return 40 + 1.5 * np.asarray(z) + 2.0 * np.asarray(y) - 1.0 * np.asarray(x)


def _tilted(folder, tilt_deg: float, *, flip: bool = False, level: bool = False) -> None:
    """A stack whose slices are tilted about the patient's x axis while the table moves along z; or level slices, moved."""
    tilt = np.deg2rad(tilt_deg)
    down = np.array([0.0, np.cos(tilt), np.sin(tilt)]) if not level else np.array([0.0, 1.0, 0.0])

    def change(k, made):
        first = np.array([-5.0, -6.0, STEP_MM * k])
        if level:
            first[1] += STEP_MM * k * np.tan(tilt)
        rows, cols = np.indices(SHAPE)
        at = first + 0.75 * rows[..., None] * down + 0.5 * cols[..., None] * np.array([1.0, 0, 0])
        made.ImagePositionPatient = [f"{v:.9f}"[:16] for v in first]
        made.ImageOrientationPatient = ["1", "0", "0", *(f"{v:.10f}"[:16] for v in down)]
        stored = np.rint(10 * (_field(at[..., 2], at[..., 1], at[..., 0]) + 1024)).astype(np.uint16)
        made.PixelData, made.RescaleSlope = stored.tobytes(), "0.1"
        made.InstanceNumber = k + 1

    save_stack(folder, slices=SLICES, change=change)


def _worst(case) -> tuple[float, int]:
    """How far the values are from those of their places, over all samples that no air has touched, and their number."""
    at = np.stack([*np.meshgrid(*map(np.arange, case.hu.shape), indexing="ij"), np.ones(case.hu.shape)])
    z, y, x = np.tensordot(case.affine_mm, at, 1)[:3]
    tissue = case.hu.numpy() != -1000.0  # air, where nothing was measured
    return float(np.abs(case.hu.numpy() - _field(z, y, x))[tissue].max()), int(tissue.sum())


@pytest.mark.parametrize("tilt_deg", [-20.0, -3.0, 0.5, 12.0, 30.0])
@pytest.mark.parametrize("level", [False, True])
def test_every_value_lies_where_it_was_measured(tmp_path, tilt_deg, level):
    _tilted(tmp_path, tilt_deg, level=level)
    with pytest.raises(UnsupportedDataError, match=rf"tilted by {abs(tilt_deg):.1f} deg.*--untilt"):
        read_series(tmp_path)
    case = read_series(tmp_path, untilt=True)
    axes = case.affine_mm[:3, :3] / np.linalg.norm(case.affine_mm[:3, :3], axis=0)
    assert np.abs(axes.T @ axes - np.eye(3)).max() < 1e-6
    worst, count = _worst(case)
    assert worst < 0.1  # values are stored in steps of 0.1 HU
    assert count >= SLICES * (SHAPE[0] - 1) * SHAPE[1]  # every slice is there, but for one row at its rim
    (note,) = [n for n in case.provenance["notes"] if "tilt" in n]
    assert f"{abs(tilt_deg):.1f} deg" in note and "blurs" in note and "noise" in note


def test_a_level_series_is_the_same_with_and_without(tmp_path):
    save_stack(tmp_path)
    assert np.array_equal(read_series(tmp_path, untilt=True).hu, read_series(tmp_path).hu)


def test_a_sheared_nifti_as_dcm2niix_writes_it_is_taken_upright(tmp_path):
    _tilted(tmp_path / "s", 15.0)
    upright = read_series(tmp_path / "s", untilt=True)
    files = sorted((tmp_path / "s").iterdir())
    slices = np.stack([_slice(f) for f in files])
    tilt = np.deg2rad(15.0)
    affine = np.eye(4)  # x, y, z of the patient (LPS) from column, row, slice
    affine[:3, 0], affine[:3, 1] = [0.5, 0, 0], 0.75 * np.array([0, np.cos(tilt), np.sin(tilt)])
    affine[:3, 2], affine[:3, 3] = [0, 0, STEP_MM], [-5.0, -6.0, 0.0]
    image = nibabel.Nifti1Image(slices.transpose(2, 1, 0).astype(np.float32), np.diag([-1.0, -1, 1, 1]) @ affine)
    nibabel.save(image, tmp_path / "sheared.nii")
    with pytest.raises(UnsupportedDataError, match=r"sheared by 15\.0 deg.*--untilt"):
        open_case(tmp_path / "sheared.nii")
    case = open_case(tmp_path / "sheared.nii", untilt=True)
    assert np.allclose(case.affine_mm, upright.affine_mm, atol=1e-4) and np.allclose(case.hu, upright.hu, atol=0.05)


def _slice(path) -> np.ndarray:
    import pydicom

    made = pydicom.dcmread(path)
    return made.pixel_array * float(made.RescaleSlope) - 1024


def test_a_shear_that_no_gantry_makes_is_refused():
    affine = np.eye(4)
    affine[1, 2] = 0.3  # within a slice
    with pytest.raises(UnsupportedDataError, match="not as a tilted gantry"):
        untilted(np.zeros((3, 4, 5), np.float32), affine, name="x.nii")
    affine = np.eye(4)
    affine[1, 0] = 1.5  # 56 degrees
    with pytest.raises(UnsupportedDataError, match="at most 45 deg"):
        untilted(np.zeros((3, 4, 5), np.float32), affine, name="x.nii")


@pytest.mark.parametrize("spacing", [(0.5, 0.75), (3.0, 0.4), (1.0, 1.0)])
@pytest.mark.parametrize(("lean", "fits"), [(0.0005, True), (0.003, False)])
def test_the_axes_within_a_slice_are_at_right_angles_to_a_thousandth_whatever_their_spacing(spacing, lean, fits):
    affine = np.diag([4.0, *spacing, 1.0])
    affine[1, 0] = 1.0  # the tilt
    affine[2, 1] = lean * spacing[0]  # the rows lean along the columns
    volume = np.zeros((3, 8, 9), np.float32)
    if fits:
        assert untilted(volume, affine, name="ct")[2]
        return
    with pytest.raises(UnsupportedDataError, match="not as a tilted gantry shears them"):
        untilted(volume, affine, name="ct")
