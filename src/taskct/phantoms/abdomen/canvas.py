"""One slice being painted: pixel coordinates, the picture so far, and anti-aliased overpainting."""

from __future__ import annotations

import numpy as np

from taskct.phantoms.abdomen.habitus import Habitus
from taskct.phantoms.abdomen.intensities import Organ
from taskct.phantoms.painting.fields import Axes

Box = tuple[slice, slice]
_DEFORM_MARGIN_MM = 22.0  # how far deformation and soft edges may carry a shape beyond its nominal box
_BLUR_MM = 1.0  # the scanner's resolution, which widens edges beyond the pixel


class Canvas:
    """The slice at `z_mm`: `hu` and `organ` (Y, X), and the coordinates of each pixel.

    `x`, `y` are true positions in mm, `body_x`, `body_y` those of the undeformed body, and `u`, `v`, `w` nominal organ
    coordinates. `scale` turns nominal distances into mm; `cavity` is the distance in mm to the inner wall.
    """

    def __init__(
        self,
        axes: Axes,
        z_mm: float,
        habitus: Habitus,
        *,
        body_shift: tuple[np.ndarray, np.ndarray],
        organ_shift: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        self.axes, self.z_mm, self.scale = axes, float(z_mm), habitus.scale
        self.habitus = habitus
        shape = (len(axes.y_mm), len(axes.x_mm))
        self.x = np.ascontiguousarray(np.broadcast_to(axes.x_mm[None, :], shape))
        self.y = np.ascontiguousarray(np.broadcast_to(axes.y_mm[:, None], shape))
        self.body_y, self.body_x = self.y + body_shift[0], self.x + body_shift[1]
        shift_z, shift_y, shift_x = organ_shift
        self.u = (self.body_x + shift_x) * np.float32(1 / habitus.scale_u)
        self.v = (self.body_y + shift_y - np.float32(habitus.cavity_y_mm)) * np.float32(1 / habitus.scale_v)
        self.w = (np.float32(z_mm) + shift_z) * np.float32(1 / habitus.scale_w)
        self.w_mid = float(z_mm) / habitus.scale_w
        self.edge_mm = float(np.hypot(sum(axes.pixel_mm) / 2, _BLUR_MM))
        self.hu = np.full(shape, -1000, np.float32)
        self.organ = np.full(shape, Organ.AIR, np.uint8)
        self.lesion = np.zeros(shape, np.uint8)  # number (from 1) of the lesion that owns a pixel
        self.cavity = np.zeros(shape, np.float32)
        self.grain = np.zeros(shape, np.float32)  # a random field of sd 1
        self.lung = np.zeros(shape, np.float32)  # distance in mm to the lung, negative inside it

    def box(self, u: float, v: float, reach_u: float, reach_v: float) -> Box | None:
        """Pixels within a nominal rectangle round (u, v), with room for deformation; None when the slice misses it."""
        h = self.habitus
        return self.box_mm(
            u * h.scale_u, v * h.scale_v + h.cavity_y_mm, reach_u * h.scale_u, reach_v * h.scale_v, _DEFORM_MARGIN_MM
        )

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
        organ: Organ | None,
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
