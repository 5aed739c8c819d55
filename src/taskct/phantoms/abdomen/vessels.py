"""Vessel trees of the liver, and the great vessels: tapered rods in nominal coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from taskct.phantoms.abdomen.abdomen_canvas import Canvas
from taskct.phantoms.abdomen.habitus import SPINE_V, Habitus
from taskct.phantoms.abdomen.intensities import Organ
from taskct.phantoms.abdomen.liver import Liver
from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.draws import Draws
from taskct.phantoms.painting.shapes import Point

THINNEST_MM = 1.1
_MOST_FORKS = 4


@dataclass(frozen=True)
class Rod:
    """A piece of vessel between two nominal points (w, v, u); radii in mm."""

    start: Point
    end: Point
    radii_mm: tuple[float, float]


@dataclass(frozen=True)
class Vessels:
    """Portal and hepatic trees, and how far each stands out from the liver (HU)."""

    portal: tuple[Rod, ...]
    hepatic: tuple[Rod, ...]
    hepatic_share: float
    trunk: tuple[Rod, ...]
    aorta_mm: float
    calcified: bool
    cava_mm: tuple[float, float]


def draw_vessels(draws: Draws, liver: Liver) -> Vessels:
    """The portal tree from the hilum and the hepatic tree from the vena cava, each by random branching."""
    hilum = (draws.uniform(-14, -2), draws.uniform(2, 10), draws.uniform(-36, -28))
    fork = (hilum[0] + 4, hilum[1] - 4, hilum[2] - 8)
    portal: list[Rod] = [Rod(hilum, fork, (6.2, 5.6))]
    left_corner = (12.0, draws.uniform(-30, -22), draws.uniform(-10, -2))
    portal.append(Rod(fork, left_corner, (4.4, 3.6)))
    _grow(portal, draws, left_corner, (0.1, -0.75, 0.65), length=30, radius=3.0)
    _grow(portal, draws, left_corner, (0.5, -0.2, 0.85), length=32, radius=2.8)
    bend = (fork[0] + 6, fork[1] + draws.uniform(-4, 6), fork[2] - 18)
    portal.append(Rod(fork, bend, (5.2, 4.6)))
    _grow(portal, draws, bend, (0.35, -0.75, -0.55), length=36, radius=3.8)
    _grow(portal, draws, bend, (-0.1, 0.65, -0.75), length=36, radius=3.8)
    _grow(portal, draws, bend, (-0.75, 0.05, -0.65), length=36, radius=3.4)
    root = (66.0, liver.cava[0] - 6, liver.cava[1])
    hepatic: list[Rod] = []
    for target, radius in (((12.0, 22.0, -98.0), 4.6), ((2.0, -44.0, -44.0), 4.4), ((26.0, -42.0, 26.0), 4.0)):
        goal: Point = (
            target[0] + draws.uniform(-10, 10),
            target[1] + draws.uniform(-12, 12),
            target[2] + draws.uniform(-12, 12),
        )
        _grow_towards(hepatic, draws, root, goal, radius)
    splenic = [
        (-30.0, 18.0, 2.0), (-14.0, 15.0, 26.0), (2.0, 24.0, 58.0), (10.0, 30.0, 84.0),
    ]  # fmt: skip
    trunk = [Rod((-78.0, 4.0, 8.0), (-30.0, 18.0, 0.0), (5.6, 6.4)), Rod((-30.0, 18.0, 0.0), hilum, (6.6, 6.2))]
    trunk += [Rod(a, b, (4.3, 3.8)) for a, b in pairwise(splenic)]
    trunk += [
        Rod((-16.0, SPINE_V - 34, 8.0), (-80.0, 2.0, 10.0), (3.6, 3.4)),
        Rod((-4.0, SPINE_V - 34, 8.0), (2.0, 0.0, 4.0), (3.4, 2.8)),
    ]
    return Vessels(
        portal=tuple(portal),
        hepatic=tuple(hepatic),
        hepatic_share=draws.pick([draws.uniform(0.6, 1.0), draws.uniform(0.1, 0.5), -0.35], [0.75, 0.19, 0.06]),
        trunk=tuple(trunk),
        aorta_mm=draws.uniform(9, 13.5),
        calcified=draws.chance(0.35),
        cava_mm=(draws.uniform(7, 11), draws.uniform(9, 14)),
    )


def _grow(
    tree: list[Rod], draws: Draws, start: Point, direction: Point, *, length: float, radius: float, generation: int = 0
) -> None:
    """A branch from `start`, slightly bent, that forks until it is thinner than THINNEST_MM."""
    turn = draws.direction()
    way = _unit(tuple(d + 0.35 * t for d, t in zip(direction, turn, strict=True)))
    end: Point = tuple(s + length * d for s, d in zip(start, way, strict=True))  # type: ignore[assignment]
    thin = radius * 0.86
    tree.append(Rod(start, end, (radius, thin)))
    if thin < THINNEST_MM or generation >= _MOST_FORKS:
        return
    side = _unit(draws.direction())
    for sign, share in ((1, draws.uniform(0.74, 0.92)), (-1, draws.uniform(0.6, 0.86))):
        child = _unit(tuple(d + sign * 0.75 * s for d, s in zip(way, side, strict=True)))
        _grow(
            tree, draws, end, child, length=length * draws.uniform(0.66, 0.88), radius=thin * share, generation=generation + 1
        )


def _grow_towards(tree: list[Rod], draws: Draws, root: Point, goal: Point, radius: float) -> None:
    """A main vein from `root` to `goal` in three bent pieces, with side branches."""
    here, pieces = root, 3
    for piece in range(pieces):
        share = (piece + 1) / pieces
        bent = 5.0 if piece < pieces - 1 else 0.0
        to: Point = tuple(r + share * (g - r) + draws.uniform(-bent, bent) for r, g in zip(root, goal, strict=True))  # type: ignore[assignment]
        first, last = radius * (1 - 0.55 * piece / pieces), radius * (1 - 0.55 * share)
        tree.append(Rod(here, to, (first, last)))
        way = _unit(tuple(b - a for a, b in zip(here, to, strict=True)))
        side = draws.direction()
        _grow(
            tree, draws, to, _unit(tuple(w + 0.9 * s for w, s in zip(way, side, strict=True))), length=22, radius=last * 0.72
        )
        here = to


def _unit(vector: tuple[float, ...]) -> Point:
    size = sum(v * v for v in vector) ** 0.5 + 1e-9
    z, y, x = (v / size for v in vector)
    return (z, y, x)


def paint_rods(
    canvas: Canvas, rods: tuple[Rod, ...], hu: float, organ: Organ, *, within: np.ndarray | None = None, halo_mm: float = 0.0
) -> None:
    """Paint the rods that reach this slice, each in its own small window, with an optional sheath of fat round them."""
    scale = canvas.scale
    for rod in rods:
        reach = max(rod.radii_mm) / scale + 14  # deformation may lift a vessel into the slice
        low, high = sorted((rod.start[0], rod.end[0]))
        if not low - reach < canvas.w_mid < high + reach:
            continue
        (u0, u1), (v0, v1) = (rod.start[2], rod.end[2]), (rod.start[1], rod.end[1])
        box = canvas.box((u0 + u1) / 2, (v0 + v1) / 2, abs(u1 - u0) / 2 + reach - 14, abs(v1 - v0) / 2 + reach - 14)
        if box is None:
            continue
        radii = (rod.radii_mm[0] / scale, rod.radii_mm[1] / scale)
        d = shapes.capsule(canvas.u[box], canvas.v[box], canvas.w[box], rod.start, rod.end, radii) * np.float32(scale)
        if float(d.min()) > canvas.edge_mm:
            continue
        if halo_mm:
            canvas.over(box, d - halo_mm, -60.0, Organ.FAT)
        canvas.over(box, d, hu, organ, within=None if within is None else within[box])


def paint_great_vessels(canvas: Canvas, habitus: Habitus, vessels: Vessels, liver: Liver, tones: dict[Organ, float]) -> None:
    """Aorta and vena cava in the fat before the spine."""
    x, y = canvas.body_x, canvas.body_y
    ay, ax = habitus.spine_y_mm - 29, 9.0 + 3 * np.sin(canvas.z_mm / 60)
    box = canvas.box_mm(ax, ay, vessels.aorta_mm + 4, vessels.aorta_mm + 4)
    if box is not None:
        d = shapes.ellipse(x[box], y[box], (ay, ax), (vessels.aorta_mm, vessels.aorta_mm))
        canvas.over(box, d - 2.5, tones[Organ.FAT], Organ.FAT)
        canvas.over(box, d, tones[Organ.AORTA], Organ.AORTA)
        if vessels.calcified and np.sin(canvas.z_mm / 7.0) > 0.2:
            angle = canvas.z_mm / 9.0
            spot = shapes.ellipse(
                x[box],
                y[box],
                (ay + vessels.aorta_mm * np.sin(angle), ax + vessels.aorta_mm * np.cos(angle)),
                (1.6, 3.2),
                angle,
            )
            canvas.over(box, spot, 650.0, None)
    deep, wide = vessels.cava_mm
    cv, cu = liver.cava
    box = canvas.box(cu, cv, wide, deep)
    if box is not None:
        d = shapes.ellipse(canvas.u[box], canvas.v[box], (cv, cu), (deep / canvas.scale, wide / canvas.scale))
        d = d * np.float32(canvas.scale)
        if canvas.w_mid < -5:
            canvas.over(box, d - 2.0, tones[Organ.FAT], Organ.FAT)
        canvas.over(box, d, tones[Organ.CAVA], Organ.CAVA)
