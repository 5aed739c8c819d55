"""The build of one chest: trunk, lungs, mediastinum and diaphragm as signed distances in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.draws import Draws

APEX_MM, BASE_MM = 122.0, -118.0  # heights of the highest and lowest lung above the middle
Array = np.ndarray


@dataclass(frozen=True)
class Build:
    """Lengths in mm; x to the patient's left, y to the back, z up from the middle of the lungs."""

    width_mm: float
    depth_mm: float
    fat_mm: float
    muscle_mm: float
    woman: bool
    breast_mm: float
    heart: float
    tortuous_mm: float
    dome_mm: tuple[float, float]
    carina_mm: float
    rib_phase_mm: float
    rib_step_mm: float
    rib_slope_mm: float
    vertebra_phase_mm: float
    vertebra_step_mm: float
    fissure_tilt: float

    @property
    def half_width_mm(self) -> float:
        """Half the width of the cavity inside the ribs at its widest."""
        return self.width_mm / 2 - self.fat_mm - self.muscle_mm

    @property
    def half_depth_mm(self) -> float:
        """Half the depth of that cavity."""
        return self.depth_mm / 2 - self.fat_mm - 0.8 * self.muscle_mm

    @property
    def spine_y_mm(self) -> float:
        """The y of the vertebral bodies' centre."""
        return 0.70 * self.half_depth_mm

    def narrowing(self, z_mm: float) -> float:
        """Width of the cavity at a height against its widest: 1 below the carina, a dome above."""
        up = np.clip((z_mm - 10) / (APEX_MM - 10), 0, 1)
        return float(max(0.36, np.sqrt(max(1 - 0.87 * up**2, 0.02))))


def draw_build(draws: Draws, *, width_mm: tuple[float, float]) -> Build:
    """One patient's build; wide patients are mostly fat."""
    low, high = width_mm
    width = draws.normal(355, 40, low, high) if low < 420 and high > 280 else draws.uniform(low, high)
    excess = (width - 280) / 180
    woman = draws.chance(0.5)
    return Build(
        width_mm=width,
        depth_mm=width * draws.normal(0.66, 0.035, 0.58, 0.76),
        fat_mm=max(4.0, 6 + 26 * excess + draws.normal(0, 4, -8, 10)),
        muscle_mm=draws.uniform(17, 23),
        woman=woman,
        breast_mm=draws.uniform(20, 55) * (0.7 + 0.5 * excess) if woman else 0.0,
        heart=draws.normal(1.0, 0.09, 0.8, 1.28),
        tortuous_mm=draws.normal(0, 5, -12, 12),
        dome_mm=(draws.uniform(-82, -62), draws.uniform(-90, -70)),  # right, left
        carina_mm=draws.uniform(28, 42),
        rib_phase_mm=draws.uniform(0, 26),
        rib_step_mm=draws.uniform(24, 29),
        rib_slope_mm=draws.uniform(120, 160),
        vertebra_phase_mm=draws.uniform(0, 28),
        vertebra_step_mm=draws.uniform(23, 28),
        fissure_tilt=draws.uniform(0.75, 1.1),
    )


def trunk_distance(b: Build, x: Array, y: Array, z_mm: float) -> Array:
    """To the skin: an oval that broadens into the shoulders."""
    shoulder = 1 + 0.16 * float(np.clip((z_mm - 70) / 60, 0, 1))
    d, _ = shapes.oval(x, y, half_width=b.width_mm / 2 * shoulder, half_front=b.depth_mm / 2, half_back=b.depth_mm / 2)
    return d


def cavity_distance(b: Build, x: Array, y: Array, z_mm: float) -> Array:
    """To the inside of the ribs, the spine's bulge left out."""
    n = b.narrowing(z_mm)
    inside, _ = shapes.oval(
        x,
        y - np.float32(0.10 * b.half_depth_mm * (1 - n)),
        half_width=b.half_width_mm * n,
        half_front=b.half_depth_mm * (0.35 + 0.65 * n),
        half_back=b.half_depth_mm * (0.55 + 0.45 * n),
    )
    bulge = shapes.ellipse(x, y, (b.spine_y_mm + 18, 0.0), (36, 27))
    return shapes.carve(inside, bulge, 8.0)


def heart_distance(b: Build, x: Array, y: Array, z_mm: Array | float) -> Array:
    """To the heart: two joined ellipsoids that lean to the left."""
    h = b.heart
    ventricles = shapes.ellipsoid(x, y, z_mm, (-48.0, -0.22 * b.half_depth_mm, 26 * h), (46 * h, 42 * h, 56 * h), -0.45)
    atria = shapes.ellipsoid(x, y, z_mm, (-12.0, 0.06 * b.half_depth_mm, 2.0), (36 * h, 32 * h, 44 * h))
    return shapes.join(ventricles, atria, 12.0)


def aorta_parts(b: Build) -> list[tuple[tuple[float, float, float], tuple[float, float, float], float]]:
    """Rods (start, end, radius) of the ascending aorta, the arch and the descending aorta, order z, y, x."""
    front, back = -0.16 * b.half_depth_mm, 0.50 * b.half_depth_mm
    arch = b.carina_mm + 30
    t = b.tortuous_mm
    return [
        ((-15.0, front + 6, -6.0), (arch - 12, front, -16.0), 15.5),
        ((arch - 12, front, -16.0), (arch, 0.08 * b.half_depth_mm, 8.0), 14.5),
        ((arch, 0.08 * b.half_depth_mm, 8.0), (arch - 14, back, 25.0), 13.5),
        ((arch - 14, back, 25.0), (-60.0, back + 4, 22.0 + t), 12.5),
        ((-60.0, back + 4, 22.0 + t), (-160.0, back + 6, 8.0), 11.5),
    ]


def mediastinum_distance(b: Build, x: Array, y: Array, z_mm: Array | float) -> Array:
    """To what lies between the lungs: heart, great vessels, and the slab of fat and oesophagus about them."""
    slab = shapes.ellipsoid(x, y, z_mm, (20.0, 0.0, 0.0), (400.0, 0.92 * b.half_depth_mm, 25.0))
    found = shapes.join(heart_distance(b, x, y, z_mm), slab, 10.0)
    for start, end, radius in aorta_parts(b):
        found = shapes.join(found, shapes.capsule(x, y, z_mm, start, end, (radius + 2, radius + 2)), 6.0)
    spine = shapes.ellipse(x, y, (b.spine_y_mm + 10, 0.0), (34, 24))
    return shapes.join(found, spine, 6.0)


def diaphragm_distance(b: Build, x: Array, y: Array, z_mm: Array | float) -> Array:
    """To the domes: negative above them, where the lungs are."""
    right, left = b.dome_mm
    side = 0.5 + 0.5 * np.tanh(x / 18)  # 0 at the right, 1 at the left
    top = right + (left - right) * side
    aside = (np.abs(x) - 0.52 * b.half_width_mm) / (0.62 * b.half_width_mm)
    deep = (y + 0.1 * b.half_depth_mm) / (0.95 * b.half_depth_mm)
    height = top - 46 * (aside**2 + 0.9 * deep**2)
    return np.asarray((height - z_mm) / np.sqrt(1 + 0.6 * (aside**2 + deep**2)), np.float32)


def lung_distance(b: Build, x: Array, y: Array, z_mm: Array | float, cavity: Array) -> Array:
    """To the lungs, both sides at once; negative inside. `cavity` as from `cavity_distance`."""
    above = np.maximum(diaphragm_distance(b, x, y, z_mm), np.asarray(z_mm) - APEX_MM)
    return np.maximum(np.maximum(cavity + 2.0, -mediastinum_distance(b, x, y, z_mm)), above)


def fissure_distances(b: Build, x: Array, y: Array, z_mm: Array | float) -> tuple[Array, Array]:
    """To the oblique fissures (both sides) and to the horizontal one (right side), unsigned."""
    slope = b.fissure_tilt
    oblique = np.abs(z_mm - (slope * y + 4)) / np.sqrt(1 + slope**2)
    level = np.abs(np.asarray(z_mm) - (8 + 0.06 * y))
    horizontal = np.maximum(level, np.where((x < 0) & (z_mm > slope * y + 4), 0.0, 50.0))
    return np.asarray(oblique, np.float32), np.asarray(horizontal, np.float32)
