"""A regular grid of pixels or voxels: where each sample of an image lies in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import GeometryError
from taskct.core.notebook_html import fact_card, sizes
from taskct.geometry.lengths import MOST_MM, are_places, check_length

MAX_SAMPLES_PER_AXIS = 65536


@dataclass(frozen=True)
class Grid:
    """`shape` samples, `spacing_mm` apart, the first one centred at `origin_mm`. All in array order: (y, x) or (z, y, x).

    The isocentre of every beam is the world's origin. Without `origin_mm` the grid is centred on it.
    One number for `spacing_mm` serves all axes.

    Raises GeometryError for sizes or spacings that are no positive finite numbers, or beyond what can be computed with
    (`geometry.lengths`).

    >>> Grid((4, 4), 0.5).origin_mm
    (-0.75, -0.75)
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    origin_mm: tuple[float, ...]

    def __init__(
        self,
        shape: Sequence[int],
        spacing_mm: float | Sequence[float],
        origin_mm: Sequence[float] | None = None,
    ) -> None:
        sizes = tuple(int(n) for n in shape)
        if len(sizes) not in (2, 3) or any(not 1 <= n <= MAX_SAMPLES_PER_AXIS for n in sizes) or sizes != tuple(shape):
            raise GeometryError(f"Grid expects a shape (Y, X) or (Z, Y, X) of positive whole numbers, got {tuple(shape)}")
        steps = (spacing_mm,) * len(sizes) if isinstance(spacing_mm, int | float) else tuple(spacing_mm)
        steps = tuple(float(s) for s in steps)
        if len(steps) != len(sizes) or not all(np.isfinite(s) and s > 0 for s in steps):
            raise GeometryError(f"Grid expects one positive spacing_mm per axis of shape {sizes}, got {spacing_mm!r}")
        for step in steps:
            check_length(step, "spacing_mm", who="Grid")
        if origin_mm is None:
            first = tuple(-(n - 1) / 2 * s for n, s in zip(sizes, steps, strict=True))
        else:
            first = tuple(float(o) for o in origin_mm)
            if len(first) != len(sizes) or not are_places(first):
                raise GeometryError(
                    f"Grid expects one finite origin_mm per axis of shape {sizes}, at most {MOST_MM:g} from 0, got "
                    f"{origin_mm!r}"
                )
        object.__setattr__(self, "shape", sizes)
        object.__setattr__(self, "spacing_mm", steps)
        object.__setattr__(self, "origin_mm", first)

    def _repr_html_(self) -> str:
        order = "z, y, x"[-(3 * self.ndim - 2) :]
        edges = ", ".join(f"{low:.4g} to {high:.4g}" for low, high in self.bounds_mm)
        return fact_card("Grid", {f"samples ({order})": sizes(self.shape, self.spacing_mm), f"edges in mm ({order})": edges})

    @property
    def ndim(self) -> int:
        """2 for slices, 3 for volumes."""
        return len(self.shape)

    @property
    def size_mm(self) -> tuple[float, ...]:
        """Extent along each axis, from the outer edge of the first sample to that of the last."""
        return tuple(n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))

    @property
    def centre_mm(self) -> tuple[float, ...]:
        """The middle of the grid."""
        middle = zip(self.origin_mm, self.shape, self.spacing_mm, strict=True)
        return tuple(o + (n - 1) / 2 * s for o, n, s in middle)

    @property
    def radius_mm(self) -> float:
        """Distance from the isocentre to the farthest corner in the (y, x) plane: what a detector must cover."""
        corner = [max(abs(lo), abs(hi)) for lo, hi in self.bounds_mm[-2:]]
        return float(np.hypot(corner[0], corner[1]))

    @property
    def inscribed_radius_mm(self) -> float:
        """Radius of the largest circle round the isocentre inside the (y, x) plane; negative if the isocentre is outside."""
        return float(min(min(-lo, hi) for lo, hi in self.bounds_mm[-2:]))

    @property
    def bounds_mm(self) -> tuple[tuple[float, float], ...]:
        """Outer edges (low, high) along each axis."""
        edges = zip(self.origin_mm, self.shape, self.spacing_mm, strict=True)
        return tuple((o - s / 2, o + (n - 0.5) * s) for o, n, s in edges)

    def axes_mm(self) -> tuple[np.ndarray, ...]:
        """Sample positions along each axis, float64."""
        return tuple(o + s * np.arange(n) for o, n, s in zip(self.origin_mm, self.shape, self.spacing_mm, strict=True))

    def refined(self, factor: int) -> Grid:
        """The same region with `factor` times as many samples along each axis."""
        origin = (lo + s / factor / 2 for (lo, _), s in zip(self.bounds_mm, self.spacing_mm, strict=True))
        return Grid([n * factor for n in self.shape], [s / factor for s in self.spacing_mm], tuple(origin))

    def resized(self, shape: Sequence[int]) -> Grid:
        """The same region with another number of samples."""
        steps = [(hi - lo) / n for (lo, hi), n in zip(self.bounds_mm, shape, strict=True)]
        return Grid(shape, steps, [lo + s / 2 for (lo, _), s in zip(self.bounds_mm, steps, strict=True)])
