"""Images from one grid of a region onto another by cubic convolution: linear, differentiable, smoothed where pixels grow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from taskct.geometry import Grid

_A = -0.5  # Keys, IEEE Trans. ASSP 29:1153 (1981): exact for quadratic images


def resample_cubic(image: Tensor, grid: Grid, onto: Grid) -> Tensor:
    """(..., *grid.shape) -> (..., *onto.shape); only the last two axes (y, x) change.

    The kernel is as wide as the larger of the two pixels asks for, so that coarser pixels hold means. Its weights sum to 1;
    places outside of `grid` take the nearest sample.
    """
    for axis in (-2, -1):
        table = torch.as_tensor(_weights(grid, onto, axis), dtype=image.dtype, device=image.device)
        image = table @ image if axis == -2 else image @ table.T
    return image


def _weights(grid: Grid, onto: Grid, axis: int) -> np.ndarray:
    """What each sample of `grid` gives to each of `onto` along an axis, (new, old)."""
    old, new = grid.axes_mm()[axis], onto.axes_mm()[axis]
    step = grid.spacing_mm[axis]
    wide = max(1.0, onto.spacing_mm[axis] / step)
    place = (new - old[0]) / step  # in samples of `grid`
    reach = int(np.ceil(2 * wide))
    at = np.floor(place)[:, None].astype(int) + np.arange(-reach + 1, reach + 1)
    share = _cubic((at - place[:, None]) / wide)
    share /= share.sum(1, keepdims=True)
    table = np.zeros((len(new), len(old)))
    rows = np.broadcast_to(np.arange(len(new))[:, None], at.shape)
    np.add.at(table, (rows, at.clip(0, len(old) - 1)), share)
    return table


def _cubic(t: np.ndarray) -> np.ndarray:
    t = np.abs(t)
    inner = (_A + 2) * t**3 - (_A + 3) * t**2 + 1
    outer = _A * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.asarray(np.where(t <= 1, inner, np.where(t < 2, outer, 0.0)))
