"""The slices of a tilted gantry, shifted back onto axes at right angles.

A scanner that tilts its gantry moves the table horizontally all the same: each slice is whole, but lies shifted in its own
plane against the one before. Every method here needs axes at right angles. The slices stay where they are; what moves is
the raster inside each slice, by a shift that grows from slice to slice. A shift by a part of a pixel is a linear
interpolation between two neighbours along each shifted axis: it blurs by up to one pixel and lowers noise by up to a factor
of sqrt(2), both changing from slice to slice. Values that were measured nowhere are air, the first row of pixels included
where it would be a mixture with them.
"""

from __future__ import annotations

import numpy as np

from taskct.core.errors import UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, check_array_size
from taskct.data.case import AIR_HU
from taskct.data.orientation import checked_affine, shear_deg

_IN_PLANE_TOLERANCE = 1e-3  # cosine between the axes of a slice
_LARGEST_TILT_DEG = 45.0  # gantries tilt to 30


def untilted(
    hu: np.ndarray, affine_mm: np.ndarray, *, name: str, slice_axis: int = 0, limit_bytes: int = MAX_VOLUME_BYTES
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """HU (three axes) with a sheared affine -> float32 HU on a raster at right angles, its affine, and a note on the loss.

    `slice_axis` is the axis from slice to slice; the two others must be at right angles. The raster grows so that it holds
    every slice whole. A volume that is not sheared comes back as it is.

    Raises UnsupportedDataError, beginning with `name`, when the axes within a slice are not at right angles or the tilt is
    above 45 degrees.
    """
    affine = checked_affine(affine_mm, name=name)
    tilt_deg = shear_deg(affine)
    if not tilt_deg:
        return hu, affine, []
    order = [slice_axis, *(a for a in range(3) if a != slice_axis)]
    affine[:3, :3] = affine[:3, order]
    slices = np.asarray(hu, dtype=np.float32).transpose(order)  # (slices, rows, columns)
    along, down, right = affine[:3, :3].T
    cosine = down @ right / np.linalg.norm(down) / np.linalg.norm(right)
    if abs(cosine) > _IN_PLANE_TOLERANCE or tilt_deg > _LARGEST_TILT_DEG:
        raise UnsupportedDataError(
            f"{name}: the axes are sheared by {tilt_deg:.1f} deg, and not as a tilted gantry shears them (right angles "
            "within a slice, at most 45 deg); resample the volume to right angles first"
        )
    # pixels by which each slice lies further along its rows and columns than the one before
    per_slice = np.array([along @ axis / (axis @ axis) for axis in (down, right)])
    straight = along - per_slice[0] * down - per_slice[1] * right
    shifts = np.outer(np.arange(len(slices)), per_slice)  # of each slice's first pixel, in (rows, columns)
    low, high = np.floor(shifts.min(0) + 1e-6).astype(int), np.ceil(shifts.max(0) - 1e-6).astype(int)
    shape = (len(slices), slices.shape[1] + high[0] - low[0], slices.shape[2] + high[1] - low[1])
    check_array_size(name, shape, 4, limit_bytes=limit_bytes)
    out = np.full(shape, np.float32(AIR_HU), dtype=np.float32)
    for number, one in enumerate(slices):
        out[number] = _shifted(_shifted(one, shifts[number, 0] - low[0], shape[1]).T, shifts[number, 1] - low[1], shape[2]).T
    new = np.eye(4)
    new[:3, 0], new[:3, 1], new[:3, 2] = straight, down, right
    new[:3, 3] = affine[:3, 3] + low[0] * down + low[1] * right
    back = np.argsort(order)
    new[:3, :3] = new[:3, back]
    note = (
        f"a gantry tilt of {tilt_deg:.1f} deg was taken out: slices were shifted by up to {np.abs(shifts).max():.1f} pixels "
        "with linear interpolation, which blurs by up to one pixel and lowers the noise; pixels that no slice covers are air"
    )
    return out.transpose(back), new, [note]


def _shifted(image: np.ndarray, shift: float, length: int) -> np.ndarray:
    """Rows moved by `shift` (0 or more) into `length` rows; between two rows linearly, air where there are not two."""
    whole = int(np.floor(shift + 1e-6))
    part = np.float32(max(shift - whole, 0.0))
    out = np.full((length, image.shape[1]), np.float32(AIR_HU), dtype=np.float32)
    out[whole : whole + len(image)] = image
    if part < 1e-5:
        return out
    out[whole + 1 : whole + len(image)] = (1 - part) * image[1:] + part * image[:-1]
    out[whole] = np.float32(AIR_HU)  # half of it was measured nowhere
    return out
