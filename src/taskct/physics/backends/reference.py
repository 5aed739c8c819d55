"""The portable reference: right rather than fast, any beam, any device, float32 and float64.

Joseph's method (IEEE TMI 1:192, 1982): a ray steps through the planes of its main axis, the one along which it passes most
samples; in each plane the image is interpolated linearly and weighted by the length of the step. Outside the grid it is 0.
A ray within 1e-9 of the diagonal takes the earlier axis in array order, so that every back-end chooses alike.

Forward and adjoint read the same list of (ray, sample, weight), so the adjoint is exact. The list is made for as
many rays at a time as fit in `_CHUNK_BYTES`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from taskct.geometry import Grid, Poses
from taskct.physics.rays import Frames

_CHUNK_BYTES = 192 * 2**20
_TIE = 1e-9


class ReferenceBackend:
    """Joseph line integrals and voxel-driven back-projection in plain PyTorch."""

    name = "reference"
    units_seen = False

    def __init__(self, grid: Grid, poses: Poses, *, reason: str = "asked for by name") -> None:
        self.grid, self.poses, self.reason = grid, poses, reason

    def forward(self, mu: Tensor) -> Tensor:
        """Line integrals: (N, *grid.shape) -> (N, V, R, C)."""
        poses, flat = self.poses, mu.flatten(1)
        p = mu.new_zeros((len(mu), poses.views * poses.rows * poses.cols))
        for rays, samples, weights in self._joseph_taps(mu):
            p[:, rays] = (flat[:, samples] * weights).sum(-1)
        return p.view(len(mu), poses.views, poses.rows, poses.cols)

    def adjoint(self, p: Tensor) -> Tensor:
        """Exact transpose of `forward`: (N, V, R, C) -> (N, *grid.shape)."""
        flat = p.flatten(1)
        mu = p.new_zeros((len(p), *self.grid.shape))
        for rays, samples, weights in self._joseph_taps(p):
            mu.flatten(1).index_add_(1, samples.flatten(), (flat[:, rays, None] * weights).flatten(1))
        return mu

    def voxel_backproject(self, q: Tensor) -> Tensor:
        """Distance-weighted voxel-driven back-projection: (N, V, R, C) -> (N, *grid.shape)."""
        mu = q.new_zeros((len(q), *self.grid.shape))
        flat = q.flatten(2)  # (N, V, R * C)
        for view, voxels, pixels, weights in self._voxel_taps(q):
            mu.flatten(1)[:, voxels] += (flat[:, view][:, pixels] * weights).sum(1)
        return mu

    def voxel_backproject_adjoint(self, mu: Tensor) -> Tensor:
        """Exact transpose of `voxel_backproject`: (N, *grid.shape) -> (N, V, R, C)."""
        poses, flat = self.poses, mu.flatten(1)
        q = mu.new_zeros((len(mu), poses.views, poses.rows * poses.cols))
        for view, voxels, pixels, weights in self._voxel_taps(mu):
            values = (flat[:, None, voxels] * weights).flatten(1)
            q[:, view] = q[:, view].index_add(1, pixels.flatten(), values)
        return q.view(len(mu), poses.views, poses.rows, poses.cols)

    def _joseph_taps(self, like: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(ray numbers (n,), sample numbers (n, taps), weights (n, taps)) over all rays, one main axis at a time."""
        shape, dim = self.grid.shape, self.grid.ndim
        spacing = torch.tensor(self.grid.spacing_mm, dtype=torch.float64, device=like.device)
        origin = torch.tensor(self.grid.origin_mm, dtype=torch.float64, device=like.device)
        frames = Frames(self.poses, like.device)
        total = self.poses.views * self.poses.rows * self.poses.cols
        step = max(1, _CHUNK_BYTES // (8 * (3 + len(like)) * max(shape) * 2 ** (dim - 1)))
        for first in range(0, total, step):
            point, direction = frames.rays(first, min(first + step, total))
            length_mm = direction.norm(dim=1)
            start = (point[:, 3 - dim :] - origin) / spacing
            slope = direction[:, 3 - dim :] / spacing  # samples per unit of ray parameter
            reach = slope.abs()
            main = (reach >= reach.max(dim=1, keepdim=True).values * (1 - _TIE)).to(torch.uint8).argmax(dim=1)
            for axis in range(dim):
                rays = torch.nonzero(main == axis).flatten()
                if len(rays) == 0:
                    continue
                planes = torch.arange(shape[axis], dtype=torch.float64, device=like.device)
                t = (planes - start[rays, axis, None]) / slope[rays, axis, None]  # (n, planes)
                samples, weights = _interpolation(
                    [
                        planes.expand_as(t) if a == axis else start[rays, a, None] + t * slope[rays, a, None]
                        for a in range(dim)
                    ],
                    shape,
                    fixed=axis,
                )
                weights = weights * (length_mm[rays] / reach[rays, axis])[:, None, None]
                yield rays + first, samples.flatten(1), weights.flatten(1).to(like.dtype)

    def _voxel_taps(self, like: Tensor) -> Iterator[tuple[int, slice, Tensor, Tensor]]:
        """(view, voxel range, detector pixels (taps, n), weights (taps, n)) over all views and voxels."""
        poses, dim = self.poses, self.grid.ndim
        frames = Frames(poses, like.device)
        axes = [torch.from_numpy(a).to(like.device) for a in self.grid.axes_mm()]
        total = 1
        for n in self.grid.shape:
            total *= n
        step = max(1, _CHUNK_BYTES // (8 * 4 * (4 + len(like))))
        for first in range(0, total, step):
            number = torch.arange(first, min(first + step, total), device=like.device)
            index = torch.unravel_index(number, self.grid.shape)
            points = torch.zeros((len(number), 3), dtype=torch.float64, device=like.device)
            for a in range(dim):
                points[:, 3 - dim + a] = axes[a][index[a]]
            for view in range(poses.views):
                row, col, weight = frames.project_points(points, view)
                if dim == 2:
                    row = torch.zeros_like(row)
                pixels, weights = _interpolation(
                    [row, col], (poses.rows, poses.cols), fixed=0 if poses.rows == 1 and dim == 2 else None
                )
                yield (
                    view,
                    slice(first, first + len(number)),
                    pixels.movedim(-1, 0),
                    ((weights * weight[..., None]).movedim(-1, 0).to(like.dtype)),
                )


def _interpolation(place: list[Tensor], shape: tuple[int, ...], fixed: int | None) -> tuple[Tensor, Tensor]:
    """Multilinear taps at fractional indices `place`, 0 outside: flat indices and weights, each (..., taps).

    Along the axis `fixed` the indices are whole numbers and need no interpolation.
    """
    low, part = [], []
    for axis, where in enumerate(place):
        floor = where if axis == fixed else where.floor()
        low.append(floor)
        part.append(where - floor)
    moving = [a for a in range(len(place)) if a != fixed]
    flat, weights = [], []
    for corner in itertools.product((0, 1), repeat=len(moving)):
        number = torch.zeros_like(place[0], dtype=torch.int64)
        weight = torch.ones_like(place[0])
        for axis, size in enumerate(shape):
            shift = corner[moving.index(axis)] if axis in moving else 0
            index = low[axis] + shift
            if axis in moving:
                weight = weight * (part[axis] if shift else 1 - part[axis])
            weight = torch.where((index >= 0) & (index <= size - 1), weight, 0.0)
            number = number * size + index.clamp(0, size - 1).long()
        flat.append(number)
        weights.append(weight)
    return torch.stack(flat, dim=-1), torch.stack(weights, dim=-1)
