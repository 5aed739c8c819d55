"""From the maps of flat views to volumes: spread along the true rays, or repeated along the nearest axis without geometry."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import GeometryError, unknown_name
from taskct.geometry import Grid, Poses, bi_planar
from taskct.geometry.coverage import TruncationWarning
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors

GEOMETRIES = ("true", "released")
_LEAST_MM = 1e-3  # a voxel that a view sees for less than this is left empty


class Lifting:
    """How the views of one scan are carried into the volume; `geometry` "released" takes another than that of A.

    "released" is what the released code of PSCT-Net does, whatever the scan: source 1000 and detector 1200 voxels of a
    128-voxel volume away (scaled to other sizes), pixels of one voxel, and pixels of one voxel at every coarser level too,
    where the rays are then nearly parallel.
    """

    def __init__(self, A: Projector | Projectors, geometry: str = "true") -> None:
        if geometry not in GEOMETRIES:
            raise unknown_name("geometry", geometry, GEOMETRIES)
        self.A, self.geometry = A, geometry

    def at(self, factor: int) -> Projector | Projectors:
        """The projector of the level with `factor` voxels in one."""
        if self.geometry == "released":
            return _released(self.A.grid, factor)
        return self.A if factor == 1 else self.A.coarser(factor)

    def images(self, p: Tensor) -> Tensor:
        """Each radiograph spread along its rays: p (B, 1, V, R, C) -> (B, V, Z, Y, X) in 1/mm, a SIRT step from 0 per view."""
        A = self.at(1)
        least = min(A.grid.spacing_mm)
        lengths = A.row_sums.to(p)
        return self.maps(self._fitted(p, A) * torch.where(lengths > 0, 1 / lengths.clamp_min(least), 0), 1)[:, :, 0]

    def maps(self, maps: Tensor, factor: int) -> Tensor:
        """Feature maps at a level along its rays: (B, C, V, r, c) -> (B, V, C, z, y, x); 0 where a view sees nothing.

        A voxel gets the mean of what the rays through it carry, by their lengths inside it.
        """
        A = self.at(factor)
        maps = self._fitted(maps, A)
        lifted = []
        alone: Sequence[Projector | Projectors] = A.single_views
        for view, one in enumerate(alone):
            seen = one.column_sums.to(maps)
            share = torch.where(seen > _LEAST_MM, 1 / seen.clamp_min(_LEAST_MM), 0)
            lifted.append(share * one.adjoint(maps[:, :, [view]].contiguous()))
        return torch.stack(lifted, 1)

    def repeated(self, maps: Tensor, shape: Sequence[int]) -> Tensor:
        """Maps copied along the axis nearest to each view's central ray: (B, C, V, r, c) -> (B, V, C, *shape).

        Of the geometry only axes and orientation of the views are used, as X2CT-GAN does for its two fixed views. Maps of
        another size are resampled.
        """
        each = [self.A] * len(maps) if isinstance(self.A, Projector) else self.A.each
        plans = [_plan(one.poses) for one in each]
        if all(plan == plans[0] for plan in plans):
            return _repeat(maps, plans[0], shape)
        return torch.cat([_repeat(maps[i : i + 1], plan, shape) for i, plan in enumerate(plans)])

    @staticmethod
    def _fitted(maps: Tensor, A: Projector | Projectors) -> Tensor:
        """Maps on the detector of A, (B, C, V, R, C); those of another size are resampled (for the released geometry)."""
        views, rows, cols = A.p_shape
        if maps.shape[2] != views:
            raise GeometryError(f"these views are {maps.shape[2]}, the geometry has {views}")
        if maps.shape[-2:] == (rows, cols):
            return maps
        flat = functional.interpolate(maps.flatten(1, 2), size=(rows, cols), mode="bilinear")
        return flat.reshape(*maps.shape[:3], rows, cols)


Plan = tuple[tuple[int, int, bool, bool], ...]
"""For each view: axis of its rows, axis of its columns (0 to 2 for z, y, x), and whether each runs downwards."""


def _plan(poses: Poses) -> Plan:
    found = []
    for view in range(poses.views):
        if poses.source_mm is not None:
            ray = poses.detector_mm[view] - poses.source_mm[view]
        else:
            assert poses.direction is not None
            ray = poses.direction[view]
        depth = int(np.abs(ray).argmax())
        row, col = poses.row_step_mm[view], poses.col_step_mm[view]
        first, second = (axis for axis in range(3) if axis != depth)
        straight = abs(row[first] * col[second]) >= abs(row[second] * col[first])
        rows, cols = (first, second) if straight else (second, first)
        found.append((rows, cols, bool(row[rows] < 0), bool(col[cols] < 0)))
    return tuple(found)


def _repeat(maps: Tensor, plan: Plan, shape: Sequence[int]) -> Tensor:
    lifted = []
    for view, (rows, cols, rows_down, cols_down) in enumerate(plan):
        one = maps[:, :, view]  # (B, C, r, c)
        turned = [axis for axis, down in ((-2, rows_down), (-1, cols_down)) if down]
        one = one.flip(turned) if turned else one
        one = one if rows < cols else one.mT
        first, second = sorted((rows, cols))
        size = (shape[first], shape[second])
        if one.shape[-2:] != size:
            one = functional.interpolate(one, size=size, mode="bilinear")
        depth = 3 - rows - cols
        lifted.append(one.unsqueeze(2 + depth).expand(*one.shape[:2], *shape))
    return torch.stack(lifted, 1)


@lru_cache(maxsize=16)
def _released(grid: Grid, factor: int) -> Projector:
    """The released code's projector at a level, two views at right angles; the cut on every side is part of it."""
    level = Grid(tuple(n // factor for n in grid.shape), tuple(s * factor for s in grid.spacing_mm))
    scale = grid.shape[-1] / 128 * level.spacing_mm[-1]
    beam = bi_planar(
        cols=level.shape[-1],
        rows=level.shape[0],
        pixel_mm=level.spacing_mm[-1],
        source_iso_mm=1000 * scale,
        source_detector_mm=1200 * scale,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        return Projector(level, beam)
