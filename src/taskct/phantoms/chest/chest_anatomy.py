"""One chest as a continuous model: everything a slice at any height is painted from."""

from __future__ import annotations

from typing import Any

import numpy as np

from taskct.core.seeds import derive_seed
from taskct.phantoms.chest.build import (
    APEX_MM,
    BASE_MM,
    aorta_parts,
    cavity_distance,
    diaphragm_distance,
    draw_build,
    fissure_distances,
    heart_distance,
    lung_distance,
    trunk_distance,
)
from taskct.phantoms.chest.chest_ranges import ChestSettings
from taskct.phantoms.chest.chest_tissues import TEXTURE_HU, Tissue, draw_tones
from taskct.phantoms.chest.disease import CONSOLIDATION, draw_disease
from taskct.phantoms.chest.nodules import Nodule
from taskct.phantoms.chest.trees import Rods, grow_airways, grow_vessels
from taskct.phantoms.lesions.record import Lesion, lesion_distance
from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.bones import RibCage, Spine, paint_ribs, paint_spine
from taskct.phantoms.painting.canvas import ALL, Box, SliceCanvas
from taskct.phantoms.painting.draws import Draws
from taskct.phantoms.painting.fields import Axes, LatticeField
from taskct.phantoms.painting.texture import scanner_noise_hu, texture_fields, texture_hu, texture_tables

_TEXTURE = texture_tables(TEXTURE_HU)
_SEARCH_MM = 7.0  # grid on which places for lesions are sought
_LEVEL_MM = 4.0  # heights apart at which trees ask for the cavity
_LESION_REACH = 2.4  # of its radius: how far shape, bumps and spicules carry a lesion


class ChestCanvas(SliceCanvas):
    """A slice of the chest: `body_x`, `body_y` in the undeformed body, `cavity` and `lung` the distances to them in mm."""

    body_x: np.ndarray
    body_y: np.ndarray
    cavity: np.ndarray
    lung: np.ndarray


class ChestAnatomy:
    """The chest `number` of a cohort with `seed`, ready to be painted at any height and on any grid.

    `lesions` are nodules and patches of infection, in the order in which they are painted; `distractors` only resemble them.
    """

    def __init__(self, seed: int, number: int, settings: ChestSettings) -> None:
        self.settings = settings
        self.seed = s = derive_seed(seed, "chest", number)
        self.build = draw_build(Draws(s, "build"), width_mm=settings.width_mm)
        self.tones = draw_tones(Draws(s, "tones"))
        self._body = [LatticeField(s, f"body-{axis}", step_mm=60, std=3.0) for axis in "yx"]
        self._grain = LatticeField(s, "grain", step_mm=9.0, pixel_average=True)
        self._streaks = LatticeField(s, "streaks", step_mm=3.5, pixel_average=True)
        self._glands = LatticeField(s, "glands", step_mm=8.0, pixel_average=True)
        self._texture = texture_fields(s)
        self.vessels = grow_vessels(Draws(s, "vessels"), self.build, self._depth)
        self.airways = grow_airways(Draws(s, "airways"), self.build, self._depth)
        where, deep = self._places()
        self.disease = draw_disease(
            Draws(s, "disease"),
            settings,
            where,
            deep,
            lung_hu=self.tones[Tissue.LUNG],
            back_mm=self.build.half_depth_mm,
        )
        self.lesions: tuple[Lesion, ...] = (*self.disease.infection, *self.disease.nodules)
        self.distractors = self.disease.bullae
        self.extent_mm = (-88.0, 98.0)

    @property
    def middle_mm(self) -> float:
        """The height that centres a volume: the middle of the lungs."""
        return 0.0

    def paint(self, z_mm: float, axes: Axes, *, texture: bool = True) -> ChestCanvas:
        """The slice at `z_mm` with its tissue map."""
        canvas = self._canvas(z_mm, axes)
        self._paint_trunk(canvas)
        self._paint_lungs(canvas)
        self._paint_mediastinum(canvas)
        self._paint_below(canvas)
        inside = np.clip(0.5 - canvas.lung / np.float32(canvas.edge_mm), 0, 1)
        self._paint_rods(canvas, self.vessels, self.tones[Tissue.VESSEL], Tissue.VESSEL, inside)
        self._paint_bullae(canvas, inside)
        for number, lesion in enumerate(self.lesions, start=1):
            self._paint_lesion(canvas, lesion, number, inside)
        self._paint_airways(canvas, inside)
        self._paint_effusions(canvas, inside)
        self._paint_bones(canvas)
        lesion_tissues = (Tissue.NODULE, Tissue.GROUND_GLASS, Tissue.CONSOLIDATION)
        np.multiply(
            canvas.lesion, np.isin(canvas.organ, lesion_tissues), out=canvas.lesion
        )  # what was overpainted is not shown
        if texture:
            canvas.hu += texture_hu(self._texture, _TEXTURE, canvas.organ, z_mm, axes)
        if self.settings.noise_hu > 0:
            std = self.settings.noise_hu * (self.build.width_mm / 340) ** 1.2
            canvas.hu += scanner_noise_hu(self.seed, z_mm, axes, std_hu=std, organ=canvas.organ)
        np.clip(canvas.hu, -1024, 3071, out=canvas.hu)
        return canvas

    def _canvas(self, z_mm: float, axes: Axes) -> ChestCanvas:
        canvas = ChestCanvas(axes, z_mm)
        shift = [field.sample(z_mm, axes) for field in self._body]
        canvas.body_y, canvas.body_x = canvas.y + shift[0], canvas.x + shift[1]
        canvas.cavity = cavity_distance(self.build, canvas.body_x, canvas.body_y, z_mm)
        canvas.lung = lung_distance(self.build, canvas.body_x, canvas.body_y, z_mm, canvas.cavity)
        return canvas

    def _paint_trunk(self, canvas: ChestCanvas) -> None:
        b, tones, x, y = self.build, self.tones, canvas.body_x, canvas.body_y
        back = b.depth_mm / 2
        couch = np.abs(shapes.ellipse(canvas.x, canvas.y, (back + 62.0, 0.0), (64.0, 260.0)) + 4) - 3.0
        canvas.over(ALL, np.maximum(couch, 14 - (canvas.y - back + 12)), tones[Tissue.TABLE], Tissue.TABLE)
        skin = trunk_distance(b, x, y, canvas.z_mm)
        if b.woman:
            for side in (-1, 1):
                r = b.breast_mm
                breast = shapes.ellipsoid(
                    x, y, canvas.z_mm, (-28.0, -b.depth_mm / 2 + 10, side * 0.25 * b.width_mm), (1.6 * r, 0.9 * r, 1.9 * r)
                )
                skin = shapes.join(skin, breast, 30.0)  # a broad base, without an edge
        canvas.over(ALL, skin, tones[Tissue.SKIN], Tissue.SKIN)
        canvas.over(ALL, skin + 2.0, tones[Tissue.FAT], Tissue.FAT)
        if b.woman:
            glands = np.clip(self._glands.sample(canvas.z_mm, canvas.axes) + 0.2, 0, 1)
            front = np.maximum(skin + 9, y + b.depth_mm / 2 - 2)
            canvas.over(ALL, front, tones[Tissue.BREAST], Tissue.BREAST, within=glands)
        muscle = trunk_distance(b, x, y, canvas.z_mm) + np.float32(b.fat_mm)
        streaks = np.maximum(self._streaks.sample(canvas.z_mm, canvas.axes) - 1.1, 0) * np.float32(-45)
        canvas.over(ALL, muscle, tones[Tissue.MUSCLE] + streaks, Tissue.MUSCLE)
        layer = np.abs(canvas.cavity - np.float32(0.7 * b.muscle_mm)) - 1.2
        canvas.over(ALL, np.maximum(layer, muscle + 2.5), 0.9 * tones[Tissue.FAT], Tissue.FAT)
        canvas.over(ALL, np.maximum(canvas.cavity, canvas.z_mm - APEX_MM - 6), tones[Tissue.FAT], Tissue.FAT)

    def _paint_lungs(self, canvas: ChestCanvas) -> None:
        b, tones, y = self.build, self.tones, canvas.body_y
        if canvas.z_mm < BASE_MM - 30 or float(canvas.lung.min()) > canvas.edge_mm:
            return
        gravity = 55 * y / np.float32(b.half_depth_mm)  # the dependent lung is denser
        grain = 9 * self._grain.sample(canvas.z_mm, canvas.axes)
        canvas.over(ALL, canvas.lung, tones[Tissue.LUNG] + gravity + grain, Tissue.LUNG)
        oblique, level = fissure_distances(b, canvas.body_x, y, canvas.z_mm)
        wide = 1.4 if self.disease.thick_fissures else 0.45
        for sheet in (oblique, level):
            place = np.maximum(sheet - wide, canvas.lung + 1.5)
            canvas.over(ALL, place, tones[Tissue.LUNG] + 190, None, within=0.8)
        for side, depth in zip((-1, 1), self.disease.atelectasis_mm, strict=True):
            if depth <= 0:
                continue
            rear = np.float32(b.half_depth_mm * 0.92) - y - np.float32(depth)
            dense = np.maximum(np.maximum(rear, canvas.lung), -side * canvas.body_x)
            canvas.over(ALL, dense, tones[Tissue.ATELECTASIS] + 2 * grain, Tissue.ATELECTASIS, edge_mm=7.0)

    def _paint_mediastinum(self, canvas: ChestCanvas) -> None:
        b, tones, x, y, z = self.build, self.tones, canvas.body_x, canvas.body_y, canvas.z_mm
        hidden = np.maximum(canvas.cavity + 3, -canvas.lung)
        heart = np.maximum(heart_distance(b, x, y, z), hidden)
        canvas.over(ALL, heart, tones[Tissue.HEART] - 12, Tissue.HEART)
        canvas.over(ALL, heart + 9, tones[Tissue.HEART] + 10, Tissue.HEART)
        tubes = [(start, end, radius, tones[Tissue.AORTA]) for start, end, radius in aorta_parts(b)]
        front = -0.10 * b.half_depth_mm
        c = b.carina_mm
        tubes += [
            ((130.0, front, -26.0), (-5.0, front + 6, -24.0), 8.5, tones[Tissue.VESSEL]),  # superior vena cava
            ((c - 28, front - 4, 12.0), (c - 16, front + 12, 2.0), 13.0, tones[Tissue.VESSEL]),  # pulmonary trunk
            ((c - 16, front + 12, 2.0), (c - 22, 8.0, -34.0), 10.0, tones[Tissue.VESSEL]),
            ((c - 16, front + 12, 2.0), (c - 10, 8.0, 34.0), 10.0, tones[Tissue.VESSEL]),
            ((150.0, 0.34 * b.half_depth_mm, 4.0), (-150.0, 0.40 * b.half_depth_mm, 4.0), 6.0, tones[Tissue.MUSCLE]),
        ]
        for start, end, radius, hu in tubes:
            d = np.maximum(shapes.capsule(x, y, z, start, end, (radius, radius)), hidden)
            canvas.over(ALL, d, hu, Tissue.AORTA if radius > 11 else Tissue.VESSEL)

    def _paint_below(self, canvas: ChestCanvas) -> None:
        """The liver, the spleen's side and the fat below the diaphragm."""
        if canvas.z_mm > max(self.build.dome_mm) + 10:
            return
        dome = diaphragm_distance(self.build, canvas.body_x, canvas.body_y, canvas.z_mm)
        below = np.maximum(-dome, canvas.cavity)
        canvas.over(ALL, below, self.tones[Tissue.MUSCLE], Tissue.MUSCLE)
        canvas.over(ALL, below + 3, self.tones[Tissue.FAT], Tissue.FAT)
        liver = np.maximum(below + 4, canvas.body_x - 30)
        canvas.over(ALL, liver, self.tones[Tissue.LIVER], Tissue.LIVER)
        spleen = np.maximum(below + 6, 48 - canvas.body_x)
        canvas.over(ALL, np.maximum(spleen, -canvas.body_y), self.tones[Tissue.LIVER] - 6, Tissue.LIVER)

    def _paint_rods(self, canvas: ChestCanvas, rods: Rods, hu: float, tissue: Tissue, within: np.ndarray) -> None:
        for k in rods.near(canvas.z_mm, 4.0):
            box = self._rod_box(canvas, rods, k)
            if box is None:
                continue
            d = self._rod_distance(canvas, rods, k, box)
            canvas.over(box, d, hu, tissue, within=within[box])

    def _paint_airways(self, canvas: ChestCanvas, inside: np.ndarray) -> None:
        for k in self.airways.near(canvas.z_mm, 6.0):
            box = self._rod_box(canvas, self.airways, k)
            if box is None:
                continue
            d, radius = self._rod_distance(canvas, self.airways, k, box), float(self.airways.radii[k, 0])
            wide = 1.6 if radius > 5 else 0.2 + 0.22 * radius  # walls of small airways are hardly seen
            within = 1.0 if radius > 4 else inside[box]
            canvas.over(box, d - np.float32(wide), self.tones[Tissue.WALL], Tissue.WALL, within=within)
            canvas.over(box, d, self.tones[Tissue.AIRWAY], Tissue.AIRWAY, within=within)

    def _rod_box(self, canvas: ChestCanvas, rods: Rods, k: int) -> Box | None:
        (_, y0, x0), (_, y1, x1) = rods.start[k], rods.end[k]
        reach = float(rods.radii[k].max())
        return canvas.box_mm(
            float(x0 + x1) / 2, float(y0 + y1) / 2, abs(float(x1 - x0)) / 2 + reach, abs(float(y1 - y0)) / 2 + reach, 12.0
        )

    @staticmethod
    def _rod_distance(canvas: ChestCanvas, rods: Rods, k: int, box: Box) -> np.ndarray:
        start, end = (tuple(float(v) for v in rods_at) for rods_at in (rods.start[k], rods.end[k]))
        radii = (float(rods.radii[k, 0]), float(rods.radii[k, 1]))
        return shapes.capsule(canvas.body_x[box], canvas.body_y[box], canvas.z_mm, start, end, radii)  # type: ignore[arg-type]

    def _paint_bullae(self, canvas: ChestCanvas, inside: np.ndarray) -> None:
        for lesion in self.disease.bullae:
            box = self._lesion_box(canvas, lesion)
            if box is not None:
                d, _ = lesion_distance(lesion, canvas.x[box], canvas.y[box], canvas.z_mm)
                canvas.over(box, d, self.tones[Tissue.BULLA], Tissue.BULLA, edge_mm=1.0, within=inside[box])

    def _paint_lesion(self, canvas: ChestCanvas, lesion: Lesion, number: int, inside: np.ndarray) -> None:
        box = self._lesion_box(canvas, lesion)
        if box is None:
            return
        x, y = canvas.x[box], canvas.y[box]
        d, share = lesion_distance(lesion, x, y, canvas.z_mm)
        if isinstance(lesion, Nodule):
            tissue = Tissue.NODULE
            level: np.ndarray = np.full(d.shape, lesion.level_hu, np.float32)
            for *way, length in lesion.spicules:
                tip = tuple(c + length * lesion.radius_mm * w for c, w in zip(lesion.centre_mm, way, strict=True))
                thorn = shapes.capsule(x, y, canvas.z_mm, lesion.centre_mm, tip, (0.22 * lesion.radius_mm, 0.15))  # type: ignore[arg-type]
                d = np.minimum(d, thorn)
            if lesion.core_share:
                core = np.clip((lesion.core_share - share) / 0.12, 0, 1)
                level = level + core * np.float32(lesion.core_hu - lesion.level_hu)
        else:
            dense = lesion.kind == CONSOLIDATION
            tissue = Tissue.CONSOLIDATION if dense else Tissue.GROUND_GLASS
            grain = self._grain.sample(canvas.z_mm, canvas.axes)[box]
            d = d + 2.2 * grain
            level = np.float32(self.tones[Tissue.LUNG] + lesion.contrast_hu) + (18 if dense else 30) * grain
        cover = canvas.over(box, d, level, tissue, edge_mm=lesion.edge_mm, within=inside[box])
        canvas.lesion[box][cover > 0.5] = number

    def _lesion_box(self, canvas: ChestCanvas, lesion: Lesion) -> Box | None:
        reach = _LESION_REACH * lesion.radius_mm
        z, y, x = lesion.centre_mm
        return None if abs(canvas.z_mm - z) > reach else canvas.box_mm(x, y, reach, reach, 3.0)

    def _paint_effusions(self, canvas: ChestCanvas, inside: np.ndarray) -> None:
        """Fluid lies at the back, highest against the chest wall: a meniscus."""
        b = self.build
        for side, level in self.disease.effusions:
            deep = np.float32(b.half_depth_mm * 0.95) - canvas.body_y
            rise = 0.25 * np.clip((canvas.z_mm - min(b.dome_mm)) / 60, 0, 1.6) * level
            wall = 14 * np.exp(canvas.cavity / 12)
            fluid = np.maximum(deep - np.float32(level - rise) - wall, -side * canvas.body_x + 6)
            canvas.over(ALL, np.maximum(fluid, canvas.lung), self.tones[Tissue.EFFUSION], Tissue.EFFUSION, within=inside)

    def _paint_bones(self, canvas: ChestCanvas) -> None:
        b, tones, x, y, z = self.build, self.tones, canvas.body_x, canvas.body_y, canvas.z_mm
        bone: Any = Tissue
        paint_spine(canvas, Spine(b.spine_y_mm + 12, b.vertebra_phase_mm, b.vertebra_step_mm, (13.5, 16.5)), tones, bone)
        cage = RibCage(
            depth_mm=0.40 * b.muscle_mm,
            middle_y_mm=0.0,
            half_width_mm=b.half_width_mm,
            step_mm=b.rib_step_mm,
            phase_mm=b.rib_phase_mm,
            slope_mm=b.rib_slope_mm,
            margin_mm=0.0,
            reach=0.72,
            reach_limits=(0.55, 0.86),
        )
        paint_ribs(canvas, cage, tones, bone)
        front = -b.half_depth_mm * (0.35 + 0.65 * b.narrowing(z)) - 7
        rods = [((95.0, front, 0.0), (-30.0, front - 6, 0.0), 6.5, 3.0)] if -40 < z < 105 else []
        for side in (-1, 1):
            rods.append(((118.0, -0.55 * b.half_depth_mm, side * 22.0), (126.0, -8.0, side * 0.42 * b.width_mm), 5.5, 2.0))
            plate = (
                (95.0, 0.62 * b.half_depth_mm, side * 0.47 * b.width_mm),
                (-20.0, 0.92 * b.half_depth_mm, side * 0.27 * b.width_mm),
            )
            rods.append((*plate, 4.5, 2.0))
        for start, end, radius, thin in rods:
            d = shapes.capsule(x, y, z, start, end, (radius, thin))
            outside = np.maximum(d, 2 - canvas.cavity)
            canvas.over(ALL, outside, tones[Tissue.CORTEX], Tissue.CORTEX)
            canvas.over(ALL, outside + 1.8, tones[Tissue.MARROW], Tissue.MARROW)

    def _depth(self, places_mm: np.ndarray) -> np.ndarray:
        """Distance to the undeformed lungs at places (N, 3) in z, y, x."""
        places = places_mm.astype(np.float32)
        found = np.empty(len(places))
        level = np.round(places[:, 0] / _LEVEL_MM).astype(int)  # the cavity changes slowly with height
        for number in np.unique(level):
            here = level == number
            z, y, x = places[here].T
            cavity = cavity_distance(self.build, x, y, float(number * _LEVEL_MM))
            found[here] = lung_distance(self.build, x, y, z, cavity)
        return found

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in the lungs on a coarse grid, (N, 3), and their depth below the pleura, (N,), both in mm."""
        half, deep = self.build.half_width_mm, self.build.half_depth_mm
        x = np.arange(-half, half + 1, _SEARCH_MM, dtype=np.float32)[None, :]
        y = np.arange(-deep, deep + 1, _SEARCH_MM, dtype=np.float32)[:, None]
        x, y = np.broadcast_arrays(x, y)
        where, depths = [], []
        for z in np.arange(-96.0, 106.0, _SEARCH_MM):
            d = lung_distance(self.build, x, y, float(z), cavity_distance(self.build, x, y, float(z)))
            rows, cols = np.where(d < -2)
            where.append(np.stack([np.full(len(rows), z), y[rows, cols], x[rows, cols]], 1))
            depths.append(-d[rows, cols])
        return np.concatenate(where), np.concatenate(depths)
