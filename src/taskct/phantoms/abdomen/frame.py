"""Painting the trunk that holds the organs: skin, fat, muscle, cavity, diaphragm and lungs, ribs and spine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.phantoms.abdomen.abdomen_canvas import Canvas
from taskct.phantoms.abdomen.habitus import Habitus
from taskct.phantoms.abdomen.intensities import Organ
from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.bones import RibCage, Spine
from taskct.phantoms.painting.canvas import ALL
from taskct.phantoms.painting.draws import Draws

Intensities = dict[Organ, float]


@dataclass(frozen=True)
class Frame:
    """What varies in the trunk beyond the habitus; heights are w or mm above the liver's middle."""

    diaphragm_top: float
    diaphragm_depth: float
    rib_phase_mm: float
    rib_step_mm: float
    rib_slope_mm: float
    vertebra_phase_mm: float
    vertebra_step_mm: float
    vertebra_half_mm: tuple[float, float]
    muscle_fat: float
    costal_margin: float


def draw_frame(draws: Draws) -> Frame:
    """One patient's trunk."""
    return Frame(
        diaphragm_top=draws.uniform(78, 92),
        diaphragm_depth=draws.uniform(85, 120),
        rib_phase_mm=draws.uniform(0, 26),
        rib_step_mm=draws.uniform(23, 28),
        rib_slope_mm=draws.uniform(140, 185),
        vertebra_phase_mm=draws.uniform(0, 34),
        vertebra_step_mm=draws.uniform(29, 35),
        vertebra_half_mm=(draws.uniform(15, 18), draws.uniform(19, 24)),
        muscle_fat=draws.uniform(0.2, 1.0),
        costal_margin=draws.uniform(-40, 10),
    )


def cavity_distance(x: np.ndarray, y: np.ndarray, habitus: Habitus) -> np.ndarray:
    """Distance in mm to the inside of the trunk's wall, the spine's bulge left out; negative inside."""
    half_depth = (habitus.cavity_back_mm - habitus.cavity_front_mm) / 2
    inside, _ = shapes.oval(
        x,
        y - np.float32(habitus.cavity_y_mm - 0.06 * half_depth),
        half_width=habitus.cavity_half_width_mm,
        half_front=half_depth * 0.94,
        half_back=half_depth * 1.06,
    )
    bulge = shapes.ellipse(x, y, (habitus.spine_y_mm + 14, 0.0), (34, 34))
    return shapes.carve(inside, bulge, 9.0)


def diaphragm_distance(u: np.ndarray, v: np.ndarray, w: np.ndarray | float, frame: Frame) -> np.ndarray:
    """Distance to the diaphragm's dome in nominal mm: negative below it, where the abdomen is."""
    q = (u * np.float32(1 / 128)) ** 2 + ((v + 17) * np.float32(1 / 110)) ** 2
    height = np.float32(frame.diaphragm_top) - np.float32(frame.diaphragm_depth) * q * q * np.minimum(q, 1.3)
    slope = np.float32(4.5 * frame.diaphragm_depth / 120) * q * q  # |d height / d (u, v)|, about
    return np.asarray((w - height) / np.sqrt(1 + slope * slope))


def paint_trunk(
    canvas: Canvas, habitus: Habitus, frame: Frame, tones: Intensities, *, streaks: np.ndarray, sheets: np.ndarray
) -> None:
    """Skin to cavity; `streaks` and `sheets` are random fields (Y, X) of sd 1 that lay fat in and between muscles."""
    x, y = canvas.body_x, canvas.body_y
    skin, _ = shapes.oval(x, y, half_width=habitus.half_width_mm, half_front=habitus.front_mm, half_back=habitus.rear_mm)
    canvas.over(ALL, skin, tones[Organ.SKIN], Organ.SKIN)
    canvas.over(ALL, skin + 2.0, tones[Organ.FAT], Organ.FAT)
    muscle, _ = shapes.oval(
        x,
        y,
        half_width=habitus.half_width_mm - habitus.fat_side_mm,
        half_front=habitus.front_mm - habitus.fat_front_mm,
        half_back=habitus.rear_mm - habitus.fat_back_mm,
    )
    groove = shapes.ellipse(x, y, (habitus.rear_mm - habitus.fat_back_mm + 3, 0.0), (9, 13))  # over the spinous processes
    muscle = shapes.carve(muscle, groove, 8.0)
    fibres = np.float32(frame.muscle_fat) * np.maximum(streaks - np.float32(1.1), 0) * np.float32(-42)
    canvas.over(ALL, muscle, tones[Organ.MUSCLE] + fibres, Organ.MUSCLE)
    cavity = cavity_distance(x, y, habitus)
    # Fat between the wall's muscle layers, and between the long muscles of the back and what covers them.
    layer = np.abs(cavity - np.float32(habitus.wall_side_mm * 0.66)) - np.maximum(0.6 + 1.6 * sheets, -2.0)
    canvas.over(
        ALL,
        np.maximum(layer, muscle + 2.5),
        tones[Organ.FAT] * 0.9,
        Organ.FAT,
        within=float(0.5 + 0.5 * frame.muscle_fat),
    )
    _paint_back(canvas, habitus, frame, tones, muscle=muscle, fibres=fibres)
    canvas.over(ALL, cavity, tones[Organ.FAT], Organ.FAT)
    canvas.cavity = cavity


def _paint_back(
    canvas: Canvas, habitus: Habitus, frame: Frame, tones: Intensities, *, muscle: np.ndarray, fibres: np.ndarray
) -> None:
    x, y = canvas.body_x, canvas.body_y
    middle = habitus.spine_y_mm + 37
    for side in (-1, 1):
        box = canvas.box_mm(side * 34, middle, 36, 26, 12)
        if box is None:
            continue
        bundle = shapes.ellipse(x[box], y[box], (middle, side * 34), (22, 31), side * 0.15)
        bundle = np.maximum(bundle, muscle[box] + 1)
        canvas.over(box, bundle - 1.6, tones[Organ.FAT], Organ.FAT, within=float(0.3 + 0.6 * frame.muscle_fat))
        canvas.over(box, bundle, tones[Organ.MUSCLE] + 1.5 * fibres[box], Organ.MUSCLE)


def paint_psoas(canvas: Canvas, habitus: Habitus, tones: Intensities) -> None:
    """The psoas muscles beside the lower spine, and the diaphragm's crura before the aorta higher up."""
    x, y, z = canvas.body_x, canvas.body_y, canvas.z_mm
    for side in (-1, 1):
        size = np.clip((10 - z) / 90, 0, 1) * 17
        if size > 2:
            box = canvas.box_mm(side * 33, habitus.spine_y_mm + 2, 25, 28)
            if box is not None:
                d = shapes.ellipse(
                    x[box], y[box], (habitus.spine_y_mm + 3, side * (22 + 0.7 * size)), (size * 1.15, size * 0.8)
                )
                canvas.over(box, d, tones[Organ.MUSCLE], Organ.MUSCLE)
        crus = np.clip((z + 70) / 60, 0.25, 1.0)
        box = canvas.box_mm(side * 14, habitus.spine_y_mm - 22, 22, 24)
        if box is not None:
            d = shapes.capsule(
                x[box],
                y[box],
                0.0,
                (0, habitus.spine_y_mm - 34 * crus, side * 4 + 6),
                (0, habitus.spine_y_mm - 4, side * 27),
                (2.0 + 2 * crus, 1.8),
            )
            canvas.over(box, d, tones[Organ.MUSCLE], Organ.MUSCLE)


def paint_lungs(canvas: Canvas, frame: Frame, tones: Intensities, vessels: np.ndarray) -> None:
    """Lung above the diaphragm, and the diaphragm itself; `vessels` is a random field of sd 1."""
    dome = diaphragm_distance(canvas.u, canvas.v, canvas.w, frame) * np.float32(canvas.scale)
    canvas.lung = np.maximum(-dome, canvas.cavity + 0.5)
    if float(canvas.lung.min()) > canvas.edge_mm:
        return
    speckle = np.maximum(vessels - 1.7, 0) * 700
    canvas.over(ALL, np.maximum(-dome - 2.5, canvas.cavity), tones[Organ.MUSCLE], Organ.MUSCLE)
    canvas.over(ALL, np.maximum(-dome, canvas.cavity + 1.0), tones[Organ.LUNG] + speckle, Organ.LUNG)


def paint_heart(canvas: Canvas, frame: Frame, tones: Intensities) -> None:
    """The heart on the diaphragm, in its fat."""
    centre = (frame.diaphragm_top + 26, -30.0, 22.0)
    if canvas.w_mid < centre[0] - 60:
        return
    d = shapes.ellipsoid(canvas.u, canvas.v, canvas.w, centre, (48, 46, 62), -0.4) * np.float32(canvas.scale)
    above = np.maximum(d, canvas.cavity + 3)
    canvas.over(ALL, above - 9, tones[Organ.FAT], Organ.FAT)
    canvas.over(ALL, above, tones[Organ.HEART], Organ.HEART)
    wall = shapes.ellipsoid(canvas.u, canvas.v, canvas.w, (centre[0] + 6, -32.0, 45.0), (40, 26, 26), -0.5) * np.float32(
        canvas.scale
    )
    ring = np.abs(np.maximum(wall, above + 4)) - 4
    canvas.over(ALL, np.maximum(ring, above), tones[Organ.HEART] - 35, Organ.HEART)


def cage_of(habitus: Habitus, frame: Frame) -> RibCage:
    """The patient's ribs."""
    return RibCage(
        depth_mm=0.42 * habitus.wall_side_mm,
        middle_y_mm=habitus.cavity_y_mm,
        half_width_mm=habitus.cavity_half_width_mm,
        step_mm=frame.rib_step_mm,
        phase_mm=frame.rib_phase_mm,
        slope_mm=frame.rib_slope_mm,
        margin_mm=frame.costal_margin,
    )


def spine_of(habitus: Habitus, frame: Frame) -> Spine:
    """The patient's vertebrae."""
    return Spine(habitus.spine_y_mm, frame.vertebra_phase_mm, frame.vertebra_step_mm, frame.vertebra_half_mm)
