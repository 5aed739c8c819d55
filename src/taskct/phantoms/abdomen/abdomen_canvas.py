"""A slice of the abdomen being painted: the coordinates in which its organs are laid out."""

from __future__ import annotations

import numpy as np

from taskct.phantoms.abdomen.habitus import Habitus
from taskct.phantoms.painting.canvas import Box, SliceCanvas
from taskct.phantoms.painting.fields import Axes

_DEFORM_MARGIN_MM = 22.0  # how far deformation and soft edges may carry a shape beyond its nominal box


class Canvas(SliceCanvas):
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
        super().__init__(axes, z_mm)
        self.habitus, self.scale = habitus, habitus.scale
        shape = self.hu.shape
        self.body_y, self.body_x = self.y + body_shift[0], self.x + body_shift[1]
        shift_z, shift_y, shift_x = organ_shift
        self.u = (self.body_x + shift_x) * np.float32(1 / habitus.scale_u)
        self.v = (self.body_y + shift_y - np.float32(habitus.cavity_y_mm)) * np.float32(1 / habitus.scale_v)
        self.w = (np.float32(z_mm) + shift_z) * np.float32(1 / habitus.scale_w)
        self.w_mid = float(z_mm) / habitus.scale_w
        self.cavity = np.zeros(shape, np.float32)
        self.grain = np.zeros(shape, np.float32)  # a random field of sd 1
        self.lung = np.zeros(shape, np.float32)  # distance in mm to the lung, negative inside it

    def box(self, u: float, v: float, reach_u: float, reach_v: float) -> Box | None:
        """Pixels within a nominal rectangle round (u, v), with room for deformation; None when the slice misses it."""
        h = self.habitus
        return self.box_mm(
            u * h.scale_u, v * h.scale_v + h.cavity_y_mm, reach_u * h.scale_u, reach_v * h.scale_v, _DEFORM_MARGIN_MM
        )
