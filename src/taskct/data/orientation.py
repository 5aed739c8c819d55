"""One orientation for all: array axes z (to the head), y (to the back), x (to the left), by flips and swaps only."""

from __future__ import annotations

import numpy as np

from taskct.core.errors import UnsupportedDataError

_ORTHOGONAL_TOLERANCE = 1e-3  # cosine between axes; NIfTI headers in float32 are off by about 1e-6, a tilted gantry by 1e-2


def canonical(volume: np.ndarray, affine_mm: np.ndarray, *, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Reorder a volume so that its axes follow +z, +y, +x of the patient (LPS) most closely; no value is changed.

    `affine_mm` (4, 4) maps array index (a, b, c, 1) to LPS position (z, y, x, 1). Returns the volume and its new affine.
    Raises UnsupportedDataError (beginning with `name`) for an affine that is singular or sheared (a tilted gantry).
    """
    affine = checked_affine(affine_mm, name=name)
    tilt_deg = shear_deg(affine)
    if tilt_deg:
        raise UnsupportedDataError(
            f"{name}: the axes are sheared by {tilt_deg:.1f} deg (a tilted gantry?); untilt=True (--untilt) shifts the slices "
            "back by linear interpolation in the slices, which costs sharpness along one axis"
        )
    return reordered(volume, affine)


def checked_affine(affine_mm: np.ndarray, *, name: str) -> np.ndarray:
    """The affine in float64; UnsupportedDataError when it is not finite or singular."""
    affine = np.asarray(affine_mm, dtype=np.float64)
    axes = affine[:3, :3]
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not (np.linalg.norm(axes, axis=0) > 0).all():
        raise UnsupportedDataError(f"{name}: the affine {np.round(axes, 3).tolist()} is not finite or singular")
    return affine


def shear_deg(affine_mm: np.ndarray) -> float:
    """The largest angle by which two axes miss the right angle; 0 when that is no more than rounding makes."""
    axes = affine_mm[:3, :3] / np.linalg.norm(affine_mm[:3, :3], axis=0)
    worst = float(np.abs(axes.T @ axes - np.eye(3)).max())
    return float(np.rad2deg(np.arcsin(min(worst, 1.0)))) if worst > _ORTHOGONAL_TOLERANCE else 0.0


def reordered(volume: np.ndarray, affine: np.ndarray, *, copied: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The flips and swaps of `canonical`, at right angles or not; a view of the volume unless `copied`."""
    axes = affine[:3, :3]
    order = _best_order(np.abs(axes / np.linalg.norm(axes, axis=0)))
    volume = volume.transpose(order)
    affine = affine.copy()
    affine[:3, :3] = axes[:, order]
    for axis in range(3):
        if affine[axis, axis] < 0:
            affine[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
            affine[:3, axis] *= -1
            volume = np.flip(volume, axis)
    return contiguous(volume) if copied else volume, affine


def oriented(shape: tuple[int, ...], affine_mm: np.ndarray, *, name: str) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine that `reordered` gives to a volume of this shape, without any voxel."""
    voxels = np.broadcast_to(np.uint8(0), shape)
    volume, affine = reordered(voxels, checked_affine(affine_mm, name=name), copied=False)
    return volume.shape, affine


def contiguous(array: np.ndarray) -> np.ndarray:
    """The same values in C order with no negative stride, which torch refuses; copied only where needed.

    An axis of length 1 that was flipped keeps its negative stride in `np.ascontiguousarray`.
    """
    array = np.ascontiguousarray(array)
    return array.copy() if any(step < 0 for step in array.strides) else array


def spacing_mm(affine_mm: np.ndarray) -> tuple[float, float, float]:
    """Sample distances (z, y, x) of an affine."""
    z, y, x = np.linalg.norm(affine_mm[:3, :3], axis=0)
    return float(z), float(y), float(x)


def _best_order(cosines: np.ndarray) -> tuple[int, int, int]:
    """The order of array axes that aligns best with z, y, x: largest product over all six, so none is used twice."""
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    return max(orders, key=lambda o: sum(cosines[world, axis] for world, axis in enumerate(o)))
