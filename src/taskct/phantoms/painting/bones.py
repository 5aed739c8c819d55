"""Ribs and spine, painted the same way in every trunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.canvas import Box


class BodyCanvas(Protocol):
    """A slice canvas that knows the undeformed place of each pixel and the distance in mm to the inside of the ribs."""

    z_mm: float
    body_x: np.ndarray
    body_y: np.ndarray
    cavity: np.ndarray

    def box_mm(self, x: float, y: float, reach_x: float, reach_y: float, margin_mm: float = 6.0) -> Box | None:
        """As in `SliceCanvas`."""

    def over(self, box: Box, distance_mm: np.ndarray, hu: float | np.ndarray, organ: Any) -> np.ndarray:
        """As in `SliceCanvas`."""


@dataclass(frozen=True)
class Spine:
    """Vertebrae along z: the y of their bodies' centre, phase and step along z, and half depth and width of a body, in mm."""

    y_mm: float
    phase_mm: float
    step_mm: float
    half_mm: tuple[float, float]


@dataclass(frozen=True)
class RibCage:
    """Ribs on the wall: depth of their middle outside the cavity, step, phase and fall along z, in mm.

    `reach` is how far round the lowest rib goes (0 spine, 1 front), within `reach_limits`; `margin_mm` moves that margin.
    """

    depth_mm: float
    middle_y_mm: float
    half_width_mm: float
    step_mm: float
    phase_mm: float
    slope_mm: float
    margin_mm: float
    reach: float = 0.46
    reach_limits: tuple[float, float] = (0.34, 0.76)


def paint_ribs(canvas: BodyCanvas, cage: RibCage, tones: Mapping[Any, float], tissue: Any) -> None:
    """All ribs at once: a rib is a line on the wall that falls from the spine to the front, one every `step_mm`.

    Tissues CORTEX, MARROW and MUSCLE (for the gristle of the front ends).
    """
    x, y = canvas.body_x, canvas.body_y
    depth = canvas.cavity - np.float32(cage.depth_mm)  # mm outwards from the ribs' middle
    near = np.abs(depth) < 12
    if not near.any():
        return
    rows, cols = np.where(near.any(1))[0], np.where(near.any(0))[0]
    box = (slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
    x, y, depth = x[box], y[box] - np.float32(cage.middle_y_mm), depth[box]
    around = np.arctan2(np.abs(x), y)  # 0 at the spine, pi at the front
    share = around * np.float32(1 / np.pi)
    fall = np.float32(cage.slope_mm) * share * (1.25 - 0.35 * share)
    place = (canvas.z_mm + cage.phase_mm + fall) / np.float32(cage.step_mm)
    number = np.round(place)  # rises towards the head
    off = (place - number) * np.float32(cage.step_mm)
    reach = np.clip(cage.reach + 0.07 * (number + cage.margin_mm / 25), *cage.reach_limits)  # lower ribs end earlier
    d = np.sqrt((off * np.float32(0.72)) ** 2 + depth * depth) - np.float32(4.3)
    beyond = (share - reach) * np.float32(cage.half_width_mm * 2.6)
    bone = np.maximum(d, beyond)
    bone = np.maximum(bone, (0.07 - share) * 250)
    gristle = np.maximum(np.maximum(d - 0.8, beyond - 90), np.where(number > 2, -1.0, 50.0))
    gristle = np.maximum(gristle, (share - 0.95) * 300)
    canvas.over(box, gristle, tones[tissue.MUSCLE] + 45, tissue.MUSCLE)
    canvas.over(box, bone, tones[tissue.CORTEX], tissue.CORTEX)
    canvas.over(box, bone + 1.5, tones[tissue.MARROW] * 0.6, tissue.MARROW)


def paint_spine(canvas: BodyCanvas, spine: Spine, tones: Mapping[Any, float], tissue: Any) -> None:
    """Vertebral body or disc, canal, arch and processes, periodic along z; tissues CORTEX, MARROW, DISC and CANAL."""
    sy = spine.y_mm
    box = canvas.box_mm(0, sy + 20, 52, 58, 10)
    if box is None:
        return
    x, y = canvas.body_x[box], canvas.body_y[box]
    phase = ((canvas.z_mm + spine.phase_mm) / spine.step_mm) % 1.0
    deep, wide = spine.half_mm
    from_disc = min(phase, 1 - phase) * spine.step_mm  # mm from the middle of the disc
    body = shapes.ellipse(x, y, (sy, 0.0), (deep, wide))
    body = shapes.carve(body, shapes.ellipse(x, y, (sy + deep + 7, 0.0), (9, 13)), 3.0)
    waist = 1.5 * np.cos(2 * np.pi * phase)
    body = body - np.float32(waist)
    cortex, marrow = tones[tissue.CORTEX], tones[tissue.MARROW]
    # Arch first, so that canal and body overpaint it.
    for side in (-1, 1):
        if 0.35 < phase < 0.85:  # pedicles and transverse processes in the vertebra's upper part
            pedicle = shapes.capsule(x, y, 0.0, (0, sy + 6, side * 14), (0, sy + deep + 13, side * 16), (6.0, 6.5))
            across = shapes.capsule(x, y, 0.0, (0, sy + deep + 14, side * 14), (0, sy + deep + 22, side * 38), (6.0, 4.0))
            for d in (across, pedicle):
                canvas.over(box, d, cortex * 0.8, tissue.CORTEX)
                canvas.over(box, d + 2.4, marrow, tissue.MARROW)
        else:  # facet joints
            facet = shapes.ellipse(x, y, (sy + deep + 15, side * 17), (8, 6.5), side * 0.5)
            canvas.over(box, facet, cortex * 0.95, tissue.CORTEX)
            joint = shapes.capsule(x, y, 0.0, (0, sy + deep + 10, side * 15), (0, sy + deep + 20, side * 19), (0.6, 0.6))
            canvas.over(box, joint, 130.0, None)
        lamina = shapes.capsule(x, y, 0.0, (0, sy + deep + 16, side * 14), (0, sy + deep + 26, side * 2), (3.8, 3.5))
        canvas.over(box, lamina, cortex * 0.85, tissue.CORTEX)
    length = 6 + 14 * float(np.clip(1.4 - 1.6 * phase, 0.2, 1))
    spinous = shapes.capsule(x, y, 0.0, (0, sy + deep + 23, 0), (0, sy + deep + 23 + length, 0), (3.4, 3.8))
    canvas.over(box, spinous, cortex * 0.85, tissue.CORTEX)
    canvas.over(box, spinous + 2.0, marrow, tissue.MARROW)
    canal = shapes.ellipse(x, y, (sy + deep + 8.5, 0.0), (8, 11))
    canvas.over(box, canal, tones[tissue.CANAL] - 30, tissue.CANAL)
    canvas.over(box, canal + 2.8, tones[tissue.CANAL], tissue.CANAL)
    if from_disc < 3.5:
        canvas.over(box, body - 1, tones[tissue.DISC], tissue.DISC)
    else:
        plate = float(np.clip((7.5 - from_disc) / 3.0, 0, 1))  # the dense end plate
        canvas.over(box, body, cortex * 0.75, tissue.CORTEX)
        canvas.over(box, body + 1.6, marrow + plate * 0.45 * (cortex - marrow), tissue.MARROW)
