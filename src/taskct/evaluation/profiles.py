"""Values along a line through a slice."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.geometry import Grid


def line_profile(
    image: Tensor,
    grid: Grid,
    *,
    start_mm: tuple[float, float],
    end_mm: tuple[float, float],
    samples: int | None = None,
) -> tuple[np.ndarray, Tensor]:
    """Distance along a line in mm (n,) and the values there, linearly interpolated: (B, 1, Y, X) -> (B, n).

    `start_mm` and `end_mm` are (y, x) in the world of `grid`. Without `samples` there is one per pixel length. Raises
    InputError when the line leaves the grid, since nothing is known outside.

    >>> grid = Grid((3, 3), 1.0)
    >>> line_profile(torch.arange(9.0).reshape(1, 1, 3, 3), grid, start_mm=(0, -1), end_mm=(0, 1))[1]
    tensor([[3., 4., 5.]])
    """
    if grid.ndim != 2 or image.ndim != 4 or tuple(image.shape[2:]) != grid.shape:
        raise GeometryError(f"line_profile expects images (B, 1, Y, X) on a 2D grid, got {tuple(image.shape)}, {grid.shape}")
    ends = np.array([start_mm, end_mm], dtype=np.float64)
    index = (ends - np.array(grid.origin_mm)) / np.array(grid.spacing_mm)  # sample numbers (y, x)
    if (index < -1e-9).any() or (index > np.array(grid.shape) - 1 + 1e-9).any():
        raise InputError(f"the line from {tuple(start_mm)} to {tuple(end_mm)} mm (y, x) leaves the grid {grid.bounds_mm}")
    length_mm = float(np.linalg.norm(ends[1] - ends[0]))
    n = samples or max(2, round(length_mm / min(grid.spacing_mm)) + 1)
    along = np.linspace(0, 1, n)
    where = index[0] + along[:, None] * (index[1] - index[0])  # (n, 2)
    scaled = 2 * where / np.maximum(np.array(grid.shape) - 1, 1) - 1
    points = torch.from_numpy(scaled[:, ::-1].copy()).to(image)  # grid_sample wants x, y
    points = points.expand(len(image), 1, n, 2)
    values = F.grid_sample(image, points, mode="bilinear", padding_mode="border", align_corners=True)
    return along * length_mm, values[:, 0, 0]
