"""A disk or ball whose pixels and line integrals are both known: what a geometry is judged by."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taskct.geometry import Grid, Poses
from taskct.physics.rays import Frames

WATER_PER_MM = 0.02
_SUBSAMPLES = 8  # per axis: the edge pixels are then right to about 1 %


@dataclass(frozen=True)
class Body:
    """A disk (2D grid) or ball (3D grid) of `mu_per_mm` at `centre_mm` (y, x) or (z, y, x)."""

    centre_mm: tuple[float, ...]
    radius_mm: float
    mu_per_mm: float = WATER_PER_MM

    def on_grid(self, grid: Grid) -> Tensor:
        """Pixels with partial volume at the edge, float64 (1, 1, *grid.shape)."""
        filled = np.zeros(grid.shape)
        steps = (np.arange(_SUBSAMPLES) + 0.5) / _SUBSAMPLES - 0.5
        axes = grid.axes_mm()
        for shift in itertools.product(steps, repeat=grid.ndim):
            square = 0.0
            for axis in range(grid.ndim):
                along = (axes[axis] + shift[axis] * grid.spacing_mm[axis] - self.centre_mm[axis]) ** 2
                square = square + along.reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
            filled += square <= self.radius_mm**2
        return torch.from_numpy(filled * (self.mu_per_mm / _SUBSAMPLES**grid.ndim))[None, None]

    def line_integrals(self, poses: Poses, ndim: int) -> Tensor:
        """Exact line integrals along every ray, float64 (1, 1, V, C) for 2D and (1, 1, V, R, C) for 3D."""
        frames = Frames(poses, torch.device("cpu"))
        point, direction = frames.rays(0, poses.views * poses.rows * poses.cols)
        direction = direction / direction.norm(dim=1, keepdim=True)
        centre = torch.tensor([0.0] * (3 - ndim) + list(self.centre_mm), dtype=torch.float64)
        to_centre = centre - point
        along = (to_centre * direction).sum(1)
        apart = (to_centre - along[:, None] * direction).square().sum(1)
        chord_mm = 2 * (self.radius_mm**2 - apart).clamp_min(0).sqrt()
        shape = (poses.views, poses.cols) if ndim == 2 else (poses.views, poses.rows, poses.cols)
        return (chord_mm * self.mu_per_mm).reshape(1, 1, *shape)


def off_centre_body(grid: Grid) -> Body:
    """A body well inside `grid`, off its centre by a different amount along each axis, so that no flip or swap hides."""
    reach_mm = min(grid.size_mm)
    shift = (0.05, -0.11, 0.17)[-grid.ndim :]  # (z), y, x as a part of the smallest side
    centre = tuple(c + s * reach_mm for c, s in zip(grid.centre_mm, shift, strict=True))
    return Body(centre_mm=centre, radius_mm=0.22 * reach_mm)
