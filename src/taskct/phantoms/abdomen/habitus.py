"""The outside of a patient: size, fat, wall, and the coordinates in which the organs are laid out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.phantoms.painting.draws import Draws

# The nominal patient, in whose coordinates (w, v, u) organs are placed: half width and half depth of the cavity in mm.
NOMINAL_HALF_WIDTH = 128.0
NOMINAL_HALF_DEPTH = 80.0
SPINE_V = 56.0  # where the vertebral body's centre lies in nominal coordinates


@dataclass(frozen=True)
class Habitus:
    """Lengths in mm; (x, y) from the body's centre, x to the patient's left, y to the back.

    `width_mm` and `depth_mm` are the outer lateral and front-to-back sizes. The organs' nominal coordinates are
    u = x / `scale_u`, v = (y - `cavity_y_mm`) / `scale_v`, w = z / `scale_w`.
    """

    width_mm: float
    depth_mm: float
    fat_side_mm: float
    fat_front_mm: float
    fat_back_mm: float
    wall_side_mm: float
    wall_front_mm: float
    back_mm: float
    back_shift: float
    visceral_fat: float
    scale_w: float

    @property
    def half_width_mm(self) -> float:
        """Half the lateral width."""
        return self.width_mm / 2

    @property
    def front_mm(self) -> float:
        """From the centre to the front skin."""
        return self.depth_mm * (0.5 + self.back_shift)

    @property
    def rear_mm(self) -> float:
        """From the centre to the back skin."""
        return self.depth_mm * (0.5 - self.back_shift)

    @property
    def cavity_half_width_mm(self) -> float:
        """Half the width inside the wall."""
        return self.half_width_mm - self.fat_side_mm - self.wall_side_mm

    @property
    def cavity_front_mm(self) -> float:
        """The y of the cavity's front, a negative number."""
        return -(self.front_mm - self.fat_front_mm - self.wall_front_mm)

    @property
    def cavity_back_mm(self) -> float:
        """The y of the cavity's back."""
        return self.rear_mm - self.fat_back_mm - self.back_mm

    @property
    def cavity_y_mm(self) -> float:
        """The y of the cavity's middle."""
        return (self.cavity_front_mm + self.cavity_back_mm) / 2

    @property
    def scale_u(self) -> float:
        """mm per nominal mm, left to right."""
        return self.cavity_half_width_mm / NOMINAL_HALF_WIDTH

    @property
    def scale_v(self) -> float:
        """mm per nominal mm, front to back."""
        return (self.cavity_back_mm - self.cavity_front_mm) / 2 / NOMINAL_HALF_DEPTH

    @property
    def scale(self) -> float:
        """One factor that turns nominal distances into mm."""
        return float(np.sqrt(self.scale_u * self.scale_v))

    @property
    def spine_y_mm(self) -> float:
        """The y of the vertebral bodies' centre."""
        return self.cavity_y_mm + SPINE_V * self.scale_v


def draw_habitus(draws: Draws, *, width_mm: tuple[float, float]) -> Habitus:
    """A patient whose width is drawn round 340 mm, truncated to `width_mm`; wide patients are mostly fat, not frame."""
    low, high = width_mm
    width = draws.normal(345, 45, low, high) if low < 420 and high > 270 else draws.uniform(low, high)
    excess = (width - 260) / 220  # 0 in the narrowest, 1 in the widest patient
    fat = max(4.0, 7 + 30 * excess + draws.normal(0, 5, -10, 12))
    wall = draws.uniform(15, 20) + 4 * excess
    return Habitus(
        width_mm=width,
        depth_mm=width * draws.normal(0.71, 0.035, 0.62, 0.80),
        fat_side_mm=fat,
        fat_front_mm=max(4.0, fat * draws.uniform(0.6, 1.0)),
        fat_back_mm=max(5.0, fat * draws.uniform(0.7, 1.2)),
        wall_side_mm=wall,
        wall_front_mm=draws.uniform(8, 12),
        back_mm=draws.uniform(37, 47),
        back_shift=draws.uniform(-0.03, 0.03),
        visceral_fat=min(1.0, max(0.0, 0.5 * excess + draws.uniform(0.0, 0.6))),
        scale_w=draws.normal(0.98, 0.06, 0.85, 1.15) - 0.09 * (excess - 0.4),
    )
