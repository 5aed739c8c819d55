"""The liver's shape: two blended lobes that the ribs, the diaphragm and the neighbouring organs press into form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.phantoms.abdomen.frame import Frame, diaphragm_distance
from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.draws import Draws
from taskct.phantoms.painting.shapes import Point


@dataclass(frozen=True)
class Ball:
    """An ellipsoid in nominal coordinates (w, v, u) with a tilt in the slice."""

    centre: Point
    semi: Point
    tilt_rad: float = 0.0

    def distance(self, u: np.ndarray, v: np.ndarray, w: np.ndarray | float) -> np.ndarray:
        """Signed distance in nominal mm."""
        return shapes.ellipsoid(u, v, w, self.centre, self.semi, self.tilt_rad)


@dataclass(frozen=True)
class Liver:
    """Lobes that are joined, and hollows that are taken away, all in nominal coordinates."""

    right: Ball
    left: Ball
    caudate: Ball
    tip: Ball
    visceral: Ball
    fissure: Ball
    kidney_hollow: Ball
    gallbladder: Ball | None
    cava: tuple[float, float]  # nominal (v, u)
    blend: float


def draw_liver(draws: Draws, *, room: float) -> Liver:
    """A liver: its parts vary together; one in four has had its gallbladder removed.

    `room` is the cavity's section relative to the nominal one: in a wide body the liver fills less of it.
    """
    size = draws.normal(0.94, 0.06, 0.80, 1.10) * float(min(1.15, max(0.8, room**-0.33)))
    reach = draws.normal(78, 15, 48, 112)  # how far the left lobe crosses the midline
    left_u = draws.uniform(-14, 4)
    right = Ball(
        (draws.uniform(2, 16), draws.uniform(-4, 8), draws.uniform(-78, -66)),
        (102 * size * draws.uniform(0.92, 1.1), 92 * size, 77 * size * draws.uniform(0.94, 1.08)),
        draws.uniform(-0.12, 0.12),
    )
    left = Ball(
        (draws.uniform(18, 34), draws.uniform(-50, -38), left_u),
        (50 * size * draws.uniform(0.85, 1.2), draws.uniform(24, 34), reach * 0.95),
        draws.uniform(-0.05, 0.28),
    )
    return Liver(
        right=right,
        left=left,
        caudate=Ball((20, draws.uniform(8, 16), draws.uniform(-22, -14)), (30, 17, draws.uniform(13, 19))),
        tip=Ball((-62, draws.uniform(-16, 14), -92), (draws.uniform(35, 62), draws.uniform(28, 40), draws.uniform(22, 32))),
        visceral=Ball((draws.uniform(-72, -58), draws.uniform(4, 16), draws.uniform(14, 26)), (78, 52, draws.uniform(66, 80))),
        fissure=Ball(
            (draws.uniform(-22, -6), draws.uniform(-46, -38), draws.uniform(-14, 0)),
            (draws.uniform(24, 36), draws.uniform(18, 28), draws.uniform(1.6, 4.5)),
            draws.uniform(-0.35, 0.35),
        ),
        kidney_hollow=Ball((-68, 46, -58), (50, 38, 34)),
        gallbladder=None
        if draws.chance(0.25)
        else Ball(
            (draws.uniform(-46, -34), draws.uniform(-26, -8), draws.uniform(-44, -32)),
            (draws.uniform(20, 32), draws.uniform(16, 26), draws.uniform(10, 16)),
            draws.uniform(-0.6, 0.5),
        ),
        cava=(draws.uniform(25, 29), draws.uniform(-27, -21)),
        blend=draws.uniform(16, 26),
    )


def liver_distance(
    liver: Liver, frame: Frame, u: np.ndarray, v: np.ndarray, w: np.ndarray, *, cavity: np.ndarray, scale: float
) -> np.ndarray:
    """Distance to the liver in mm, negative inside; `cavity` is the distance to the inner wall in mm.

    Works on any arrays that broadcast, so the same shape is painted on slices and searched for places in 3-D.
    """
    d = shapes.join(liver.right.distance(u, v, w), liver.left.distance(u, v, w), liver.blend)
    d = shapes.join(d, liver.tip.distance(u, v, w), 16.0)
    d = shapes.carve(d, liver.visceral.distance(u, v, w), 14.0)
    d = shapes.join(d, liver.caudate.distance(u, v, w), 7.0)
    d = shapes.carve(d, liver.fissure.distance(u, v, w), 4.0)
    d = shapes.carve(d, liver.kidney_hollow.distance(u, v, w), 8.0)
    if liver.gallbladder is not None:
        d = shapes.carve(d, liver.gallbladder.distance(u, v, w) - 1.5, 4.0)
    groove = Ball((-80, *liver.cava), (72, 15, 15))  # below the hilum the vena cava runs behind the liver, above it inside
    d = shapes.carve(d, groove.distance(u, v, w), 3.0)
    dome = diaphragm_distance(u, v, w, frame)
    d = shapes.carve(d, -(dome + np.float32(2.5)), 5.0) * np.float32(scale)
    return np.asarray(np.maximum(d, cavity + np.float32(1.0)))
