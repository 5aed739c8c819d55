"""The other solid organs: stomach, spleen, kidneys, pancreas, adrenals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.phantoms.abdomen.abdomen_canvas import Canvas
from taskct.phantoms.abdomen.intensities import Organ
from taskct.phantoms.abdomen.liver import Ball
from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.canvas import Box
from taskct.phantoms.painting.draws import Draws

Tones = dict[Organ, float]


@dataclass(frozen=True)
class Organs:
    """Shapes in nominal coordinates (w, v, u); HU where it differs from patient to patient."""

    spleen: Ball
    spleen_hollow: Ball
    stomach_body: Ball
    antrum: tuple[shapes.Point, shapes.Point, float]
    stomach_wall_mm: float
    stomach_filling_hu: float
    stomach_air_v: float | None
    kidneys: tuple[Ball, Ball]
    sinus_hu: float
    medulla_drop_hu: float
    capsule_mm: float
    pancreas: tuple[shapes.Point, ...]
    pancreas_radius: float


def draw_organs(draws: Draws, *, visceral_fat: float) -> Organs:
    """Sizes and places of one patient's organs; `visceral_fat` (0 to 1) sets the fat round the kidneys."""
    spleen_size = draws.normal(1.0, 0.13, 0.7, 1.45)
    stomach_size = draws.uniform(0.75, 1.3)
    body = Ball(
        (draws.uniform(25, 42), draws.uniform(-32, -18), draws.uniform(52, 66)),
        (58, 30 * stomach_size, 38 * stomach_size),
        draws.uniform(-0.5, 0.3),
    )
    half = draws.uniform(46, 58)
    right = Ball(
        (draws.uniform(-78, -58), draws.uniform(38, 45), draws.uniform(-64, -54)),
        (half, draws.uniform(24, 29), draws.uniform(20, 25)),
        draws.uniform(0.35, 0.8),
    )
    left = Ball(
        (draws.uniform(-62, -40), draws.uniform(38, 45), draws.uniform(56, 66)),
        (half * draws.uniform(0.95, 1.08), draws.uniform(24, 29), draws.uniform(20, 25)),
        -draws.uniform(0.35, 0.8),
    )
    filling = draws.pick([draws.uniform(0, 35), draws.uniform(35, 70), draws.uniform(150, 330)], [0.55, 0.3, 0.15])
    return Organs(
        spleen=Ball(
            (draws.uniform(22, 40), draws.uniform(22, 36), draws.uniform(90, 100)),
            (60 * spleen_size, 52 * spleen_size, 34 * spleen_size),
            draws.uniform(0.2, 0.6),
        ),
        spleen_hollow=Ball((24, draws.uniform(4, 14), draws.uniform(50, 60)), (70, 36, 24), 0.3),
        stomach_body=body,
        antrum=(
            (body.centre[0] - 45, -34.0, 48.0),
            (draws.uniform(-50, -36), draws.uniform(-36, -24), draws.uniform(-14, 8)),
            17.0,
        ),
        stomach_wall_mm=draws.uniform(3.0, 5.5),
        stomach_filling_hu=filling,
        stomach_air_v=draws.uniform(-46, -28) if draws.chance(0.8) else None,
        kidneys=(right, left),
        sinus_hu=draws.uniform(-90, -20),
        medulla_drop_hu=draws.uniform(5, 40),
        capsule_mm=3.0 + 14.0 * visceral_fat * draws.uniform(0.6, 1.2),
        pancreas=(
            (-44.0, 4.0, draws.uniform(-26, -18)),
            (draws.uniform(-26, -18), draws.uniform(-10, -2), 4.0),
            (-8.0, draws.uniform(2, 8), 36.0),
            (draws.uniform(2, 14), draws.uniform(16, 24), draws.uniform(62, 78)),
        ),
        pancreas_radius=draws.uniform(8, 12.5),
    )


def paint_spleen(canvas: Canvas, organs: Organs, tones: Tones) -> None:
    """The spleen, hollowed by stomach and kidney, pressed against the ribs."""
    box = _box(canvas, organs.spleen)
    if box is None:
        return
    d = shapes.carve(_at(canvas, box, organs.spleen), _at(canvas, box, organs.spleen_hollow), 8.0)
    canvas.over(box, _inside(canvas, box, d), tones[Organ.SPLEEN], Organ.SPLEEN)


def paint_stomach(canvas: Canvas, organs: Organs, tones: Tones, food: np.ndarray) -> None:
    """Wall, contents and the air above them: the patient lies on the back, so air is in front of a level line."""
    start, end, radius = organs.antrum
    box = canvas.box(28, -30, 86, 62)
    if box is None:
        return
    u, v, w = canvas.u[box], canvas.v[box], canvas.w[box]
    d = organs.stomach_body.distance(u, v, w)
    d = shapes.join(d, shapes.capsule(u, v, w, start, end, (radius + 3, radius - 4)), 14.0)
    d = _inside(canvas, box, d)
    if float(d.min()) > 2:
        return
    canvas.over(box, d - 1.5, tones[Organ.FAT], Organ.FAT)
    canvas.over(box, d, tones[Organ.STOMACH], Organ.STOMACH)
    lumen = d + organs.stomach_wall_mm + 1.5 * np.maximum(food[box], 0)
    canvas.over(box, lumen, organs.stomach_filling_hu + 10 * food[box], Organ.STOMACH)
    if organs.stomach_air_v is not None:
        h = canvas.habitus
        level = canvas.y[box] - np.float32(organs.stomach_air_v * h.scale_v + h.cavity_y_mm)
        canvas.over(box, np.maximum(lumen, level), tones[Organ.GAS], Organ.GAS)


def paint_kidneys(canvas: Canvas, organs: Organs, tones: Tones, knots: np.ndarray) -> None:
    """Kidneys in their fat: cortex, slightly darker pyramids, and the sinus with its fat and vessels (`knots`: random)."""
    for side, kidney in zip((-1, 1), organs.kidneys, strict=True):
        box = _box(canvas, kidney)
        if box is None or abs(canvas.w_mid - kidney.centre[0]) > kidney.semi[0] + 30:
            continue
        d = _inside(canvas, box, _at(canvas, box, kidney))
        canvas.over(box, d - organs.capsule_mm, tones[Organ.FAT], Organ.FAT)
        canvas.over(box, d, tones[Organ.KIDNEY], Organ.KIDNEY)
        pyramids = np.abs(d + 12) - 4 + 3 * np.sin(canvas.u[box] * 0.45) * np.sin(canvas.v[box] * 0.4)
        canvas.over(box, pyramids, tones[Organ.KIDNEY] - organs.medulla_drop_hu, Organ.KIDNEY, edge_mm=3.0)
        inner = Ball(
            (kidney.centre[0], kidney.centre[1] - 3, kidney.centre[2] - side * 11),
            (kidney.semi[0] * 0.5, 7.0, 14.0),
            kidney.tilt_rad,
        )
        sinus = _at(canvas, box, inner) * np.float32(canvas.scale) + 2 * knots[box]
        canvas.over(box, sinus, tones[Organ.FAT] + 35, Organ.FAT, edge_mm=3.0)
        hilum = Ball(
            (kidney.centre[0], kidney.centre[1] - 6, kidney.centre[2] - side * 13), (kidney.semi[0] * 0.3, 3.6, 15.0), 0.0
        )
        vein = _at(canvas, box, hilum) * np.float32(canvas.scale)
        canvas.over(box, vein, tones[Organ.CAVA] + 20, Organ.VEIN)


def paint_pancreas(canvas: Canvas, organs: Organs, tones: Tones, lobes: np.ndarray) -> None:
    """A lobulated band from the duodenum to the spleen; `lobes` is a random field of sd 1."""
    if not -75 < canvas.w_mid < 45:
        return
    box = canvas.box(26, 4, 62, 34)
    if box is None:
        return
    r = organs.pancreas_radius
    d = shapes.chain(canvas.u[box], canvas.v[box], canvas.w[box], organs.pancreas, [r * 1.5, r * 0.95, r, r * 0.9])
    d = _inside(canvas, box, d) + 2.2 * lobes[box]
    canvas.over(box, d, tones[Organ.PANCREAS], Organ.PANCREAS)


def paint_adrenals(canvas: Canvas, organs: Organs, tones: Tones) -> None:
    """Two thin inverted Ys above the kidneys."""
    for side, kidney in zip((-1, 1), organs.kidneys, strict=True):
        height = kidney.centre[0] + kidney.semi[0]
        if not height - 16 < canvas.w_mid < height + 20:
            continue
        u = side * 36.0
        box = canvas.box(u, 38, 14, 18)
        if box is None:
            continue
        for foot in (-6.0, 7.0):
            d = shapes.capsule(
                canvas.u[box], canvas.v[box], 0.0, (0, 28, u - side * 2), (0, 46, u + foot), (2.6, 2.0)
            ) * np.float32(canvas.scale)
            canvas.over(box, d, tones[Organ.PANCREAS] - 10, Organ.PANCREAS)


def _box(canvas: Canvas, ball: Ball) -> Box | None:
    if abs(canvas.w_mid - ball.centre[0]) > ball.semi[0] + 20:
        return None
    reach = max(ball.semi[1], ball.semi[2])
    return canvas.box(ball.centre[2], ball.centre[1], reach, reach)


def _at(canvas: Canvas, box: Box, ball: Ball) -> np.ndarray:
    return ball.distance(canvas.u[box], canvas.v[box], canvas.w[box])


def _inside(canvas: Canvas, box: Box, nominal: np.ndarray) -> np.ndarray:
    """Distance in mm, kept 2 mm off the wall and 3 mm under the lung."""
    d = nominal * np.float32(canvas.scale)
    return np.asarray(np.maximum(np.maximum(d, canvas.cavity[box] + 2), 3 - canvas.lung[box]))
