"""Slices of a case on a grid that all patients of a data set share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import GeometryError
from taskct.core.units import to_hu
from taskct.data.case import Case
from taskct.geometry import Grid

_MOST_BYTE = 255  # labels above it keep the type that they have


def onto_common_grid(case: Case, grid: Grid, numbers: Iterable[int]) -> tuple[Tensor, Tensor | None]:
    """Some slices of a case on another grid with the same centre: mu (N, 1, Y, X) and labels (N, Y, X).

    mu is interpolated linearly, labels take the nearest; outside the case there is air. Finer images are averaged over the
    new pixel first, so that nothing aliases.
    """
    if grid.ndim != 2:
        raise GeometryError(
            f"slices of case {case.case_id} are brought onto a grid (Y, X), got one of {' x '.join(map(str, grid.shape))} "
            "voxels; what works on volumes of that size, such as a network of radiographs, does not take slices of a CT"
        )
    own = case.slice_grid
    wanted = list(numbers)
    mu = case.mu[wanted]
    for axis in (0, 1):
        ratio = grid.spacing_mm[axis] / own.spacing_mm[axis]
        if ratio > 1.5:
            mu = _box(mu, ratio, axis)
    axes = [torch.from_numpy(a).float() for a in grid.axes_mm()]
    place = [a / (s * n / 2) for a, s, n in zip(axes, own.spacing_mm, own.shape, strict=True)]  # -1..1, edges of the case
    y, x = torch.meshgrid(*place, indexing="ij")
    where = torch.stack([x, y], dim=-1)[None].expand(len(mu), -1, -1, -1)
    images = functional.grid_sample(mu, where, mode="bilinear", padding_mode="zeros", align_corners=False)
    if case.labels is None:
        return images, None
    labels = case.labels[wanted][:, None].double()  # whole numbers, whatever their size
    taken = functional.grid_sample(labels, where.double(), mode="nearest", align_corners=False)[:, 0]
    return images, taken.to(torch.uint8 if not len(taken) or taken.max() <= _MOST_BYTE else case.labels.dtype)


def case_on_grid(case: Case, grid: Grid, numbers: Iterable[int] | None = None) -> Case:
    """Some slices of a case (all without `numbers`) on a grid (Y, X) about the same centre, in the same place of the patient.

    Slices that are not evenly spaced lose their place. Marks are left behind.
    """
    chosen = list(range(len(case.hu))) if numbers is None else list(numbers)
    mu, labels = onto_common_grid(case, grid, chosen)
    steps = set(np.diff(chosen).tolist())
    even = len(steps) <= 1 and all(step > 0 for step in steps)
    step = steps.pop() if even and steps else 1
    return replace(
        case,
        hu=to_hu(mu[:, 0], mu_water_per_mm=case.mu_water_per_mm),
        labels=labels,
        spacing_mm=(case.spacing_mm[0] * step, grid.spacing_mm[0], grid.spacing_mm[1]),
        affine_mm=_moved(case, grid, chosen[0], step) if even and chosen else None,
        marks=None,
    )


def _moved(case: Case, grid: Grid, first: int, step: int) -> np.ndarray:
    """The affine of a case whose slices lie on another grid about their centre."""
    assert case.affine_mm is not None
    affine = np.array(case.affine_mm, dtype=np.float64)
    affine[:3, 3] += affine[:3, 0] * first
    affine[:3, 0] *= step
    for axis in (0, 1):
        old, ratio = affine[:3, axis + 1].copy(), grid.spacing_mm[axis] / case.spacing_mm[axis + 1]
        affine[:3, axis + 1] = old * ratio
        affine[:3, 3] += old * (case.hu.shape[axis + 1] - 1) / 2 - old * ratio * (grid.shape[axis] - 1) / 2
    return affine


def nearest_on_grid(maps: Tensor, own: Grid, grid: Grid) -> Tensor:
    """Maps of whole numbers (N, Y, X) on the grid `own` -> on another grid of the same centre, by the nearest; 0 outside."""
    found = []
    for axis, (new, old) in enumerate(zip(grid.axes_mm(), own.axes_mm(), strict=True)):
        at = torch.from_numpy((new - old[0]) / own.spacing_mm[axis]).round().long()
        found.append((at.clamp(0, own.shape[axis] - 1), (at >= 0) & (at < own.shape[axis])))
    (rows, rows_in), (cols, cols_in) = found
    taken = maps[:, rows[:, None], cols[None, :]]
    return taken.masked_fill(~(rows_in[:, None] & cols_in[None, :]), 0)


def instances_on_grid(maps: Tensor, own: Grid, grid: Grid) -> Tensor:
    """`nearest_on_grid` of maps of lesions by number, in which none is lost that lies in the new grid.

    A lesion between the new samples is put at that nearest to its middle: a slice would be one without it otherwise.
    """
    taken = nearest_on_grid(maps, own, grid)
    for before, after in zip(maps, taken, strict=True):
        for number in sorted({*before.unique().tolist()} - {0, *after.unique().tolist()}):
            places = (before == number).nonzero().double()
            middle = places[int((places - places.mean(0)).square().sum(1).argmin())].tolist()
            mm = [old[0] + k * step for k, old, step in zip(middle, own.axes_mm(), own.spacing_mm, strict=True)]
            at = tuple(round((p - new[0]) / step) for p, new, step in zip(mm, grid.axes_mm(), grid.spacing_mm, strict=True))
            if all(0 <= k < n for k, n in zip(at, grid.shape, strict=True)) and int((after == after[at]).sum()) > 1:
                after[at] = number
    return taken


def _box(mu: Tensor, ratio: float, axis: int) -> Tensor:
    """Mean over about one new pixel along an axis (an odd number of old ones)."""
    width = 2 * int(ratio // 2) + 1
    if width >= mu.shape[2 + axis]:
        raise GeometryError(
            f"pixels {ratio:.1f} times larger than the image's own leave nothing of it; choose a smaller pixel_mm"
        )
    size = (width, 1) if axis == 0 else (1, width)
    return functional.avg_pool2d(mu, size, stride=1, padding=(size[0] // 2, size[1] // 2), count_include_pad=False)
