"""The scanner as the kernels read it: per-view frames in double precision, and the fixed-point tables of upright scanners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from taskct.geometry import Grid, Poses
from taskct.physics.cuda.job import FRACTION
from taskct.physics.rays import Frames

_TIE = 1e-9
_FAR = 3e4  # samples beside the grid beyond which a ray is as good as nowhere


def frames(grid: Grid, poses: Poses) -> np.ndarray:
    """`Frame` of kernels/common.h for each view: (V, 45) float64.

    The last 20 are the linear functions of (z, y, x) in samples, 4 coefficients each: the numerators of row and column of
    flat detectors, their divisor, and across and rise of curved ones (then the divisor is the depth along the middle ray).
    """
    views, parallel = poses.views, poses.source_mm is None
    detector, col, row = poses.detector_mm, poses.col_step_mm, poses.row_step_mm
    source = np.zeros((views, 3)) if poses.source_mm is None else poses.source_mm
    way = detector - source
    hats = np.zeros((3, views, 3))
    numbers = np.zeros((views, 4))
    lines = np.zeros((5, views, 4))
    if poses.curved:
        row_mm, col_mm = (np.linalg.norm(a, axis=1, keepdims=True) for a in (row, col))
        row_hat, col_hat = row / row_mm, col / col_mm
        height = _dot(way, row_hat)
        in_plane = way - height * row_hat
        radius = np.linalg.norm(in_plane, axis=1, keepdims=True)
        hats = np.stack([in_plane / radius, col_hat, row_hat])
        numbers = np.hstack([radius, height, row_mm, col_mm / radius])
        lines[2:] = [_of_samples(grid, hat, -_dot(hat, source)) for hat in hats]
    else:
        rr, cc, rc = _dot(row, row), _dot(col, col), _dot(row, col)
        det = rr * cc - rc * rc
        to_row, to_col = (row * cc - col * rc) / det, (col * rr - row * rc) / det
        normal = np.cross(row, col)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        mid_row, mid_col = (poses.rows - 1) / 2, (poses.cols - 1) / 2
        if parallel:
            assert poses.direction is not None
            slant = _dot(poses.direction, normal)
            i, j = (to - _dot(poses.direction, to) / slant * normal for to in (to_row, to_col))
            lines[0] = _of_samples(grid, i, mid_row - _dot(i, detector))
            lines[1] = _of_samples(grid, j, mid_col - _dot(j, detector))
            lines[2, :, 3] = 1
        else:
            normal *= np.sign(_dot(way, normal))  # so that depths are positive in front of the source
            focal = _dot(way, normal)
            i = focal * to_row + (mid_row - _dot(way, to_row)) * normal
            j = focal * to_col + (mid_col - _dot(way, to_col)) * normal
            lines[:3] = [_of_samples(grid, a, -_dot(a, source)) for a in (i, j, normal)]
    ray = source if poses.direction is None else poses.direction
    return np.hstack([detector, col, row, ray, *hats, numbers, *lines])


@dataclass(frozen=True)
class Upright:
    """The tables of kernels/common.h by name, as CPU tensors (integers in fixed point), and whether rays run along x."""

    tables: dict[str, torch.Tensor]
    along_x: bool
    gamma_step: float


def upright(grid: Grid, poses: Poses, every: np.ndarray) -> Upright | str:
    """The tables of the fast kernels, or why this scanner cannot have them; `every` are its `frames`.

    Raises nothing: whatever the tables cannot hold goes to the general kernels.
    """
    if grid.ndim == 3:
        row, col = poses.row_step_mm, poses.col_step_mm
        if (np.abs(row[:, 1:]).sum(1) > 1e-13 * np.abs(row[:, 0])).any():
            return "detector rows do not step along z"
        if poses.curved and (np.abs(col[:, 0]) > 1e-13 * np.abs(col).sum(1)).any():
            return "columns of the curved detector step along z"
    gamma_step = float(every[0, 24])
    if poses.curved and (np.abs(every[:, 24] - gamma_step) > 4e-16 * gamma_step).any():
        return "curved detectors differ from view to view"
    if poses.curved and not 0 < gamma_step < 0.1:
        return "the columns of the curved detector are too coarse for the tables"

    paths = _paths(grid, poses)
    sights = _sights(grid, poses, every)
    for found in (paths, sights):
        if isinstance(found, str):
            return found
    assert isinstance(paths, dict) and isinstance(sights, torch.Tensor)
    steps = np.arange(-1, poses.cols + 1) - (poses.cols - 1) / 2
    gamma = poses.curved_offset_rad + steps * gamma_step
    angle = _fixed(np.stack([np.cos(gamma), np.sin(gamma)], axis=1), 62)
    axis = paths.pop("axis")
    return Upright(paths | {"sight": sights, "angle": torch.from_numpy(angle)}, bool(axis.any()), gamma_step)


def _paths(grid: Grid, poses: Poses) -> dict[str, torch.Tensor] | str:
    """`path`, `climb`, `length`, `rise` and the main `axis` (1 is x) of the rays of each view and column."""
    views, rows, cols = poses.views, poses.rows, poses.cols
    middle = Poses(
        rows=1, cols=cols, detector_mm=poses.detector_mm, col_step_mm=poses.col_step_mm, row_step_mm=poses.row_step_mm,
        source_mm=poses.source_mm, direction=poses.direction, curved=poses.curved, curved_offset_rad=poses.curved_offset_rad,
    )  # fmt: skip
    point, way = (a.numpy().reshape(views, -1, 3) for a in Frames(middle, torch.device("cpu")).rays(0, views * cols))
    pad = (1.0,) * (3 - grid.ndim)
    spacing = np.array(pad + grid.spacing_mm)
    origin = np.array((0.0,) * (3 - grid.ndim) + grid.origin_mm)
    start, slope = (np.broadcast_to(point, way.shape) - origin) / spacing, way / spacing  # (V, C, 3) samples
    reach = np.abs(slope[..., 1:])
    along_x = reach[..., 0] < reach.max(-1) * (1 - _TIE)
    pick = lambda a, second: np.where(second, a[..., 2], a[..., 1])
    main, main_start = pick(slope, along_x), pick(start, along_x)
    step = pick(slope, ~along_x) / main
    first = pick(start, ~along_x) - main_start * step

    # Rays that pass the grid far away meet nothing, also where fixed point cannot follow them.
    last = first + step * (np.where(along_x, grid.shape[-1], grid.shape[-2]) - 1)
    away = np.maximum(np.minimum(first, last) - max(grid.shape), -np.maximum(first, last)) > _FAR
    first, step = np.where(away, -2 * _FAR, first), np.where(away, 0.0, step)
    fixed = _fixed(np.stack([first, step], axis=-1))
    fixed[..., 0] = fixed[..., 0] & ~np.int64(1) | along_x
    length = np.stack([(way[..., 1:] ** 2).sum(-1), 1 / np.abs(main)], axis=-1)

    # Row i climbs by i - (rows - 1) / 2 row steps: of the ray's direction when it diverges, else of its start.
    mid = (rows - 1) / 2
    row_mm = poses.row_step_mm[:, :1]
    rise_mm = way[:, 0, 0]
    per_row = np.zeros((views, 1)) if poses.source_mm is None else row_mm
    rise = np.stack([rise_mm - mid * per_row[:, 0], per_row[:, 0]], axis=-1)
    tables = {"path": fixed, "length": length.astype(np.float32), "rise": rise.astype(np.float32), "axis": along_x}
    if grid.ndim == 3:
        if np.ptp(way[..., 0], axis=1).max() > 1e-9 * np.abs(way).max():
            return "columns of the detector step along z"
        steepest = np.abs(rise_mm[:, None]) + mid * np.abs(per_row)
        if (steepest / spacing[0] >= np.abs(main) * (1 - 10 * _TIE)).any():
            return "the main axis of some rays is z"
        t0, t1 = -main_start / main, 1 / main  # the ray's parameter at plane r is t0 + t1 * r
        row_start = np.zeros_like(per_row) if poses.source_mm is not None else row_mm / spacing[0]
        row = row_start + per_row / spacing[0] * t0
        row_step = per_row / spacing[0] * t1
        z, z_step = start[..., 0] + slope[..., 0] * t0 - mid * row, slope[..., 0] * t1 - mid * row_step
        planes = max(grid.shape[-2:])
        reached = np.abs(z) + np.abs(row) * rows + planes
        per_row_most = np.maximum(np.abs(row), np.abs(row + row_step * planes)).max()
        if reached.max() > 1e5 or per_row_most > 7 or not per_row_most > 0:
            return "rows are too far or too coarse for the tables"
        tables["climb"] = _fixed(np.stack([z, z_step, row, row_step], axis=-1))
    return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in tables.items()}


def _sights(grid: Grid, poses: Poses, every: np.ndarray) -> torch.Tensor | str:
    """`Sight` of each view, as (V, 14) int64 words: 11 in fixed point, 6 floats in the last 3."""
    lines = every[:, 25:].reshape(-1, 5, 4)
    row_top, col_top, depth, across, rise = (lines[:, n] for n in range(5))
    top = across if poses.curved else col_top
    pad = 3 - grid.ndim
    middle = np.array([0.0] * pad + [(n - 1) / 2 for n in grid.shape] + [1.0])
    unit = depth @ middle  # mm, or 1 for parallel rays
    shift = np.zeros(poses.views)
    if poses.curved:
        radius, height, row_mm = every[:, 21], every[:, 22], every[:, 23]
        row_top = rise * (radius / row_mm)[:, None]
        shift = (poses.rows - 1) / 2 - height / row_mm
    if grid.ndim == 2:
        row_top = np.zeros_like(row_top)
    top, u, row = (a / unit[:, None] for a in (top, depth, row_top))

    corners = np.array(np.meshgrid(*[[0.0, n - 1.0] for n in grid.shape[-2:]])).reshape(2, -1)
    depths = u[:, 1:3] @ corners + u[:, 3:]
    step = np.abs(u[:, 1:3]).sum(1) + (np.abs(top[:, 1:3]).sum(1) if poses.curved else 0)
    if not (unit > 0).all() or (depths.min(1) - step < 0.01).any() or depths.max() > 7:
        return "a source stands too near to the grid for the tables"
    reached = (np.abs(top[:, 1:3]) @ np.array(grid.shape[-2:]) + np.abs(top[:, 3])).max()
    row_reached = (np.abs(row[:, :3]) @ np.array([1] * pad + list(grid.shape)) + np.abs(row[:, 3])).max()
    steps = np.abs(row[:, 0]) / depths.max(1)
    if max(reached, row_reached) > 1e5 or np.abs(row[:, 0]).max() > 7 or (grid.ndim == 3 and steps.min() < 0.02):
        return "rows or columns are too many, too fine or too coarse for the tables"
    sight = np.zeros((poses.views, 14), dtype=np.int64)
    sight[:, :11] = _fixed(np.hstack([top[:, 1:], u[:, 1:], row, shift[:, None]]))
    weight = unit**-2 if poses.source_mm is not None else unit
    floats = np.stack([top[:, 1], top[:, 2], u[:, 1], u[:, 2], weight, 0 * weight], axis=1).astype(np.float32)
    sight[:, 11:] = floats.view(np.int64)
    return torch.from_numpy(sight)


def _fixed(a: np.ndarray, bits: int = FRACTION) -> np.ndarray:
    return np.rint(np.ldexp(a, bits)).astype(np.int64)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1, keepdims=True)


def _of_samples(grid: Grid, per_mm: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """per_mm . point + constant as a function of the samples z, y, x: (V, 4)."""
    pad = 3 - grid.ndim
    spacing = np.array([1.0] * pad + list(grid.spacing_mm))
    origin = np.array([0.0] * pad + list(grid.origin_mm))
    return np.hstack([per_mm * spacing, constant + (per_mm @ origin)[:, None]])
