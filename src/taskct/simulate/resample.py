"""Images on a finer grid, so that what is projected is not what is reconstructed on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.geometry import Grid

_SAME_PLACE = 1e-6  # of a sample: rounding of origins in files, no more


def onto_grid(mu: Tensor, grid: Grid, other: Grid) -> Tensor:
    """Linear interpolation between two grids of one region: (..., *grid.shape) -> (..., *other.shape).

    Beyond the outermost samples the image is mirrored about them. Raises GeometryError unless both grids cover the same
    region; attenuation outside the new grid would otherwise vanish without a word.
    """
    if mu.shape[-grid.ndim :] != grid.shape:
        raise GeometryError(f"onto_grid expects mu on its grid {grid.shape}, got {tuple(mu.shape)}")
    check_same_region(grid, other)
    return resize_linear(mu, other.shape)


def check_same_region(grid: Grid, other: Grid) -> None:
    """GeometryError unless two grids reach from the same outer edges to the same outer edges."""
    edges = zip(grid.bounds_mm, other.bounds_mm, grid.spacing_mm, strict=False)
    if grid.ndim != other.ndim or any(
        abs(a - b) > _SAME_PLACE * step for one, two, step in edges for a, b in zip(one, two, strict=True)
    ):
        raise GeometryError(
            f"onto_grid expects two grids of one region, got {grid.bounds_mm} and {other.bounds_mm} mm; "
            "use grid.refined(factor) or grid.resized(shape)"
        )


def resize_linear(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Resize the last axes to `shape` by linear interpolation over the same region: (..., *old) -> (..., *shape).

    Samples stand for cells, so the first new sample lies at (old / new - 1) / 2 of the old index; outside the old samples
    the image is mirrored about the outermost one. Equal to `skimage.transform.resize(order=1, anti_aliasing=False)`.

    >>> resize_linear(torch.tensor([0.0, 4.0, 8.0]), (6,))
    tensor([1., 1., 3., 5., 7., 7.])
    """
    first = image.ndim - len(shape)
    if first < 0:
        raise GeometryError(f"resize_linear expects an image of at least {len(shape)} axes, got {tuple(image.shape)}")
    for axis, size in enumerate(shape, start=first):
        image = _resize_axis(image, axis, int(size))
    return image


def _resize_axis(image: Tensor, axis: int, size: int) -> Tensor:
    old = image.shape[axis]
    if old in (1, size):
        return image if old == size else image.expand(*image.shape[:axis], size, *image.shape[axis + 1 :])
    place = (torch.arange(size, dtype=torch.float64, device=image.device) + 0.5) * (old / size) - 0.5
    place = place.abs()
    place = (old - 1) - ((old - 1) - place).abs()
    low = place.floor().clamp(0, old - 2)
    part = (place - low).to(image.dtype).reshape(-1, *[1] * (image.ndim - axis - 1))
    start = low.long()
    return torch.lerp(image.index_select(axis, start), image.index_select(axis, start + 1), part)
