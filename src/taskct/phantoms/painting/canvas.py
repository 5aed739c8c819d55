"""One slice being painted: where its pixels are, the picture so far, and anti-aliased overpainting."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from taskct.phantoms.painting.fields import Axes

Box = tuple[slice, slice]
_BLUR_MM = 1.0  # the scanner's resolution, which widens edges beyond the pixel


class SliceCanvas:
    """The slice at `z_mm`: `hu`, `organ` (0: air) and `lesion` (Y, X), and `x`, `y`, the true place of each pixel in mm."""

    def __init__(self, axes: Axes, z_mm: float) -> None:
        self.axes, self.z_mm = axes, float(z_mm)
        shape = (len(axes.y_mm), len(axes.x_mm))
        self.x = np.ascontiguousarray(np.broadcast_to(axes.x_mm[None, :], shape))
        self.y = np.ascontiguousarray(np.broadcast_to(axes.y_mm[:, None], shape))
        self.edge_mm = float(np.hypot(sum(axes.pixel_mm) / 2, _BLUR_MM))
        self.hu = np.full(shape, -1000, np.float32)
        self.organ = np.zeros(shape, np.uint8)
        self.lesion = np.zeros(shape, np.uint8)  # number (from 1) of the lesion that owns a pixel

    def box_mm(self, x: float, y: float, reach_x: float, reach_y: float, margin_mm: float = 6.0) -> Box | None:
        """Pixels within a rectangle in mm round (x, y); None when the slice misses it."""
        rows = _span(self.axes.y_mm, y, reach_y + margin_mm)
        cols = _span(self.axes.x_mm, x, reach_x + margin_mm)
        return None if rows is None or cols is None else (rows, cols)

    def over(
        self,
        box: Box,
        distance_mm: np.ndarray,
        hu: float | np.ndarray,
        organ: IntEnum | None,
        *,
        edge_mm: float = 0.0,
        within: np.ndarray | float | None = None,
    ) -> np.ndarray:
        """Paint where `distance_mm` is negative, each pixel by the share that is covered; returns those shares.

        `edge_mm` softens the edge beyond the pixel; `within` multiplies the cover (the liver's, for what lies in it).
        """
        width = float(np.hypot(self.edge_mm, edge_mm))
        cover = np.clip(0.5 - distance_mm * np.float32(1 / width), 0, 1)
        if within is not None:
            cover = cover * within
        view = self.hu[box]
        view += cover * (hu - view)
        if organ is not None:
            self.organ[box][cover > 0.5] = organ
        return np.asarray(cover)


ALL: Box = (slice(None), slice(None))


def _span(centres_mm: np.ndarray, middle: float, reach: float) -> slice | None:
    first, last = np.searchsorted(centres_mm, [middle - reach, middle + reach])
    return slice(int(first), int(last)) if last > first else None
