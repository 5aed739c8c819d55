"""Bowel loops and the vessels in the fat between them: what fills the cavity where no solid organ lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.phantoms.abdomen.abdomen_canvas import Canvas
from taskct.phantoms.abdomen.intensities import Organ
from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.canvas import ALL
from taskct.phantoms.painting.draws import Draws


@dataclass(frozen=True)
class Loop:
    """A piece of gut in nominal coordinates: radius, what fills it, and where its gas begins (None: no gas)."""

    points: tuple[shapes.Point, ...]
    radius: float
    wall_mm: float
    filling_hu: float
    gas_v: float | None
    stool: bool


def draw_bowel(draws: Draws) -> tuple[Loop, ...]:
    """Small bowel as some 26 short bent rods, and the colon along its frame."""
    loops = []
    contrast = draws.uniform(130, 320) if draws.chance(0.2) else None
    for _ in range(draws.whole(20, 32)):
        centre = (draws.uniform(-125, -5), draws.uniform(-66, 14), draws.uniform(-50, 98))
        turn, other = draws.direction(), draws.direction()
        length, bend = draws.uniform(12, 30), draws.uniform(6, 22)
        ends: list[shapes.Point] = []
        for s in (-1, 0, 1):
            z, y, x = (c + s * length * t + (bend * o if s == 0 else 0) for c, t, o in zip(centre, turn, other, strict=True))
            ends.append((z, y, x))
        radius = draws.uniform(7, 13)
        loops.append(
            Loop(
                tuple(ends),
                radius,
                draws.uniform(2.0, 3.5),
                contrast if contrast is not None and draws.chance(0.7) else draws.uniform(5, 60),
                centre[1] - radius * draws.uniform(-0.2, 0.6) if draws.chance(0.25) else None,
                False,
            )
        )
    low = draws.uniform(-78, -52)  # height of the transverse colon
    frame: list[tuple[shapes.Point, shapes.Point]] = [
        ((-130, 20, -96), (-98, 4, -92)),
        ((-98, 4, -92), (low - 10, -48, -66)),
        ((low - 10, -48, -66), (low, -62, -10)),
        ((low, -62, -10), (low + 14, -56, 48)),
        ((low + 14, -56, 48), (draws.uniform(-4, 26), -22, 96)),
        ((2, 4, 102), (-60, 28, 100)),
        ((-60, 28, 100), (-130, 28, 98)),
    ]
    for start, end in frame:
        radius = draws.uniform(13, 23)
        gas = draws.chance(0.6)
        loops.append(
            Loop(
                (start, end),
                radius,
                draws.uniform(2.0, 3.0),
                draws.uniform(0, 60),
                (start[1] + end[1]) / 2 + radius * draws.uniform(-0.5, 0.7) if gas else None,
                draws.chance(0.6),
            )
        )
    return tuple(loops)


def paint_bowel(canvas: Canvas, loops: tuple[Loop, ...], tones: dict[Organ, float], crumbs: np.ndarray) -> None:
    """Walls, contents and gas; `crumbs` is a random field of sd 1 that mottles stool and folds the walls."""
    scale = np.float32(canvas.scale)
    h = canvas.habitus
    for loop in loops:
        zs, vs, us = zip(*loop.points, strict=True)
        if not min(zs) - loop.radius - 8 < canvas.w_mid < max(zs) + loop.radius + 8:
            continue
        box = canvas.box(
            (min(us) + max(us)) / 2, (min(vs) + max(vs)) / 2, np.ptp(us) / 2 + loop.radius, np.ptp(vs) / 2 + loop.radius
        )
        if box is None:
            continue
        d = shapes.chain(canvas.u[box], canvas.v[box], canvas.w[box], loop.points, [loop.radius] * len(loop.points)) * scale
        d = np.maximum(np.maximum(d + 1.2 * crumbs[box], canvas.cavity[box] + 2), 3 - canvas.lung[box])
        if float(d.min()) > 0:
            continue
        canvas.over(box, d - 1.5, tones[Organ.FAT], Organ.FAT)
        canvas.over(box, d, tones[Organ.BOWEL], Organ.BOWEL)
        lumen = d + loop.wall_mm
        filling: float | np.ndarray = loop.filling_hu
        if loop.stool:
            filling = np.maximum(filling + 25 * crumbs[box] - 260 * np.maximum(crumbs[box] - 0.8, 0), -900)
        canvas.over(box, lumen, filling, Organ.BOWEL)
        if loop.gas_v is not None:
            level = canvas.y[box] - np.float32(loop.gas_v * h.scale_v + h.cavity_y_mm)
            canvas.over(box, np.maximum(lumen + 0.5, level), tones[Organ.GAS], Organ.GAS)


def paint_mesentery(canvas: Canvas, tones: dict[Organ, float], knots: np.ndarray, threads: np.ndarray) -> None:
    """Small vessels in the fat: spots where one random field is high, and threads where another crosses zero."""
    inner = canvas.cavity + 7
    spots = np.maximum((np.float32(1.45) - knots) * 3.0, inner)
    canvas.over(ALL, spots, tones[Organ.VEIN] - 40, None)
    lines = np.maximum(np.abs(threads) * 8 - 0.5 - 0.8 * np.maximum(knots, 0), inner)
    canvas.over(ALL, lines, 40.0, None, within=0.6)
