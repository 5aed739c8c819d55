"""Bone as a mask: overlap, and the distance of its surface from the true one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from taskct.core.errors import GeometryError

BONE_ABOVE_HU = 200.0


class SurfaceDistance(NamedTuple):
    """Distances in mm between two surfaces; NaN where one of the masks is empty."""

    mean_mm: float
    p95_mm: float


def bone_dice(hu: Tensor, truth_hu: Tensor, *, above_hu: float = BONE_ABOVE_HU) -> Tensor:
    """Dice of the voxels above `above_hu`: (B, 1, Z, Y, X) -> (B,); NaN where neither volume has any.

    >>> import torch
    >>> bone_dice(torch.tensor([[[[[300.0, 300.0]]]]]), torch.tensor([[[[[300.0, 0.0]]]]]))
    tensor([0.6667], dtype=torch.float64)
    """
    a, b = (hu > above_hu).flatten(1), (truth_hu > above_hu).flatten(1)
    return 2 * (a & b).sum(1).double() / (a.sum(1) + b.sum(1)).double()


def surface_distance(mask: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, ...]) -> SurfaceDistance:
    """Distances between the surfaces of two masks (Z, Y, X): mean of both directions together, larger of both 95 % quantiles.

    The surface of a mask are its voxels with a face neighbour outside it; outside of the array counts as outside. Distances
    are between centres of voxels, exact for any `spacing_mm` (z, y, x).
    """
    from scipy.ndimage import distance_transform_edt

    if mask.shape != truth.shape or len(spacing_mm) != mask.ndim:
        raise GeometryError(
            f"surface_distance expects two masks of one shape and a spacing per axis, got {mask.shape}, {truth.shape} and "
            f"{spacing_mm}"
        )
    if not (mask.any() and truth.any()):
        return SurfaceDistance(math.nan, math.nan)
    first, second = surface(mask), surface(truth)
    there = distance_transform_edt(~second, sampling=spacing_mm)[first]
    back = distance_transform_edt(~first, sampling=spacing_mm)[second]
    return SurfaceDistance(
        float((there.sum() + back.sum()) / (len(there) + len(back))),
        float(max(np.percentile(there, 95), np.percentile(back, 95))),
    )


def surface(mask: np.ndarray) -> np.ndarray:
    """Bool: the voxels of a mask that have a face neighbour outside it."""
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask))


def bone_surface_distances(
    hu: Tensor, truth_hu: Tensor, spacing_mm: tuple[float, ...], *, above_hu: float = BONE_ABOVE_HU
) -> list[SurfaceDistance]:
    """`surface_distance` of the voxels above `above_hu`, one per volume of (B, 1, Z, Y, X)."""
    pairs = zip((hu > above_hu).cpu().numpy()[:, 0], (truth_hu > above_hu).cpu().numpy()[:, 0], strict=True)
    return [surface_distance(a, b, spacing_mm) for a, b in pairs]
