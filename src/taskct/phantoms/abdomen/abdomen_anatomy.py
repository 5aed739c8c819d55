"""One patient as a continuous model: everything a slice at any height is painted from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from taskct.core.seeds import derive_seed
from taskct.phantoms.abdomen.abdomen_canvas import Canvas
from taskct.phantoms.abdomen.abdomen_ranges import CohortSettings
from taskct.phantoms.abdomen.bowel import draw_bowel, paint_bowel, paint_mesentery
from taskct.phantoms.abdomen.frame import (
    cage_of,
    cavity_distance,
    draw_frame,
    paint_heart,
    paint_lungs,
    paint_psoas,
    paint_trunk,
    spine_of,
)
from taskct.phantoms.abdomen.habitus import draw_habitus
from taskct.phantoms.abdomen.intensities import TEXTURE_HU, Organ, draw_intensities
from taskct.phantoms.abdomen.liver import draw_liver, liver_distance
from taskct.phantoms.abdomen.organs import (
    draw_organs,
    paint_adrenals,
    paint_kidneys,
    paint_pancreas,
    paint_spleen,
    paint_stomach,
)
from taskct.phantoms.abdomen.vessels import draw_vessels, paint_great_vessels, paint_rods
from taskct.phantoms.lesions.record import Lesion, draw_distractors, draw_tumour, lesion_distance, profile_hu
from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.bones import paint_ribs, paint_spine
from taskct.phantoms.painting.canvas import ALL
from taskct.phantoms.painting.draws import Draws
from taskct.phantoms.painting.fields import Axes, LatticeField
from taskct.phantoms.painting.texture import scanner_noise_hu, texture_fields, texture_hu, texture_tables

_TEXTURE = texture_tables({int(organ): TEXTURE_HU.get(organ, (0.0, 0.0, 0.0)) for organ in Organ})
_SEARCH_MM = 8.0  # grid on which places for lesions are sought
_SEARCH_Z_MM = np.arange(-124.0, 117.0, _SEARCH_MM)


class AbdomenAnatomy:
    """The patient `number` of a cohort with `seed`, ready to be painted at any height and on any grid.

    `lesions` are the tumours (labelled), `distractors` everything that only resembles one (not labelled).
    `extent_mm` is the range of z in which the liver fills more than a seventh of its largest section.
    """

    def __init__(self, seed: int, number: int, settings: CohortSettings) -> None:
        self.settings = settings
        self.seed = derive_seed(seed, "abdomen", number)
        self.habitus = draw_habitus(Draws(self.seed, "habitus"), width_mm=settings.width_mm)
        self.frame = draw_frame(Draws(self.seed, "frame"))
        self.tones = draw_intensities(Draws(self.seed, "intensities"), width_mm=self.habitus.width_mm)
        self.liver = draw_liver(Draws(self.seed, "liver"), room=self.habitus.scale**2)
        self.organs = draw_organs(Draws(self.seed, "organs"), visceral_fat=self.habitus.visceral_fat)
        self.bowel = draw_bowel(Draws(self.seed, "bowel"))
        self.vessels = draw_vessels(Draws(self.seed, "vessels"), self.liver)
        s = self.seed
        self._body = [LatticeField(s, f"body-{axis}", step_mm=60, std=3.5) for axis in "yx"]
        self._shift = [LatticeField(s, f"shift-{axis}", step_mm=38, std=4.5) for axis in "zyx"]
        self._ripple = [LatticeField(s, f"ripple-{axis}", step_mm=13, std=1.0) for axis in "yx"]
        self._fibres = LatticeField(s, "fibres", step_mm=3.2, pixel_average=True)
        self._knots = LatticeField(s, "knots", step_mm=4.5, pixel_average=True)
        self._threads = LatticeField(s, "threads", step_mm=11)
        self._texture = texture_fields(s)
        self._seek_places()

    @property
    def middle_mm(self) -> float:
        """The height that centres a volume: the middle of the liver."""
        return sum(self.extent_mm) / 2

    def paint(self, z_mm: float, axes: Axes, *, texture: bool = True, noise_hu: float | None = None) -> Canvas:
        """The slice at `z_mm` with its organ map; noise as the settings say unless `noise_hu` is given."""
        canvas, tones, habitus = self._canvas(z_mm, axes), self.tones, self.habitus
        fibres, knots, threads = (f.sample(z_mm, axes) for f in (self._fibres, self._knots, self._threads))
        canvas.grain = knots
        paint_trunk(canvas, habitus, self.frame, tones, streaks=fibres, sheets=threads)
        paint_lungs(canvas, self.frame, tones, knots)
        if z_mm > 20:
            paint_heart(canvas, self.frame, tones)
        below = np.maximum(canvas.cavity, -canvas.lung)
        paint_mesentery(canvas, tones, np.where(below > -6, -9, knots), np.where(below > -6, 9, threads))
        paint_psoas(canvas, habitus, tones)
        paint_bowel(canvas, self.bowel, tones, knots)
        paint_pancreas(canvas, self.organs, tones, knots)
        paint_rods(canvas, self.vessels.trunk[3:], tones[Organ.VEIN], Organ.VEIN)
        paint_spleen(canvas, self.organs, tones)
        paint_stomach(canvas, self.organs, tones, knots)
        paint_kidneys(canvas, self.organs, tones, knots)
        paint_adrenals(canvas, self.organs, tones)
        self._paint_liver(canvas)
        self._paint_gallbladder(canvas)
        paint_great_vessels(canvas, habitus, self.vessels, self.liver, tones)
        paint_rods(canvas, self.vessels.trunk[:3], tones[Organ.VEIN], Organ.VEIN, halo_mm=2.0)
        paint_spine(canvas, spine_of(habitus, self.frame), tones, Organ)
        paint_ribs(canvas, cage_of(habitus, self.frame), tones, Organ)
        np.multiply(canvas.lesion, canvas.organ == Organ.TUMOUR, out=canvas.lesion)  # what was overpainted is not shown
        if texture:
            canvas.hu += texture_hu(self._texture, _TEXTURE, canvas.organ, z_mm, axes)
        std = self.settings.noise_hu if noise_hu is None else noise_hu
        if std > 0:
            std *= (habitus.width_mm / 340) ** 1.2  # tube-current control gives wide patients more, but not enough
            canvas.hu += scanner_noise_hu(self.seed, z_mm, axes, std_hu=std, organ=canvas.organ)
        np.clip(canvas.hu, -1024, 3071, out=canvas.hu)
        return canvas

    def _canvas(self, z_mm: float, axes: Axes) -> Canvas:
        body = [field.sample(z_mm, axes) for field in self._body]
        shift = [field.sample(z_mm, axes) for field in self._shift]
        for i, ripple in enumerate(self._ripple):
            shift[i + 1] += ripple.sample(z_mm, axes)
        return Canvas(axes, z_mm, self.habitus, body_shift=(body[0], body[1]), organ_shift=(shift[0], shift[1], shift[2]))

    def _liver_distance(self, canvas: Canvas, cavity: np.ndarray) -> np.ndarray:
        return liver_distance(self.liver, self.frame, canvas.u, canvas.v, canvas.w, cavity=cavity, scale=canvas.scale)

    def _paint_liver(self, canvas: Canvas) -> None:
        if not -140 < canvas.z_mm < 130:
            return
        tones = self.tones
        distance = self._liver_distance(canvas, canvas.cavity)
        canvas.over(
            ALL,
            np.maximum(distance - 1.0, canvas.cavity + 4),
            tones[Organ.FAT],
            None,
            within=(canvas.lung > 0).astype(np.float32),
        )
        cover = canvas.over(ALL, distance, tones[Organ.LIVER], Organ.LIVER)
        inside = cover * np.clip(-distance / 4, 0, 1)  # vessels fade out before the capsule
        base, vein = tones[Organ.LIVER], tones[Organ.LIVER_VESSEL]
        for soft in (lesion for lesion in self.distractors if lesion.edge_mm > 3):
            self._paint_lesion(canvas, soft, cover, 0)
        paint_rods(
            canvas, self.vessels.hepatic, base + self.vessels.hepatic_share * (vein - base), Organ.LIVER_VESSEL, within=inside
        )
        paint_rods(canvas, self.vessels.portal, vein, Organ.LIVER_VESSEL, within=inside)
        for sharp in (lesion for lesion in self.distractors if lesion.edge_mm <= 3):
            self._paint_lesion(canvas, sharp, cover, 0)
        for number, lesion in enumerate(self.lesions):
            self._paint_lesion(canvas, lesion, cover, number + 1)

    def _paint_lesion(self, canvas: Canvas, lesion: Lesion, cover: np.ndarray, number: int) -> None:
        z, y, x = lesion.centre_mm
        reach = 1.7 * lesion.radius_mm + 2 * lesion.edge_mm
        box = canvas.box_mm(x, y, reach, reach)
        if box is None or abs(canvas.z_mm - z) > reach:
            return
        distance, share = lesion_distance(lesion, canvas.x[box], canvas.y[box], canvas.z_mm)
        level = self.tones[Organ.LIVER] + profile_hu(lesion, share)
        if lesion.kind == "haemangioma":  # pools of contrast medium at the edge
            pools = np.clip((share - 0.45) * 4, 0, 1) * np.clip((canvas.grain[box] - 0.5) * 3, 0, 1)
            level = level + pools * (self.tones[Organ.LIVER_VESSEL] - level)
        organ = {"tumour": Organ.TUMOUR, "cyst": Organ.CYST}.get(lesion.kind, Organ.DISTRACTOR)
        shown = canvas.over(box, distance, level, organ, edge_mm=lesion.edge_mm, within=cover[box])
        if number:
            canvas.lesion[box][shown > 0.5] = number

    def _paint_gallbladder(self, canvas: Canvas) -> None:
        ball = self.liver.gallbladder
        if ball is None or abs(canvas.w_mid - ball.centre[0]) > ball.semi[0] + 20:
            return
        box = canvas.box(ball.centre[2], ball.centre[1], max(ball.semi[1:]), max(ball.semi[1:]))
        if box is None:
            return
        d = ball.distance(canvas.u[box], canvas.v[box], canvas.w[box]) * np.float32(canvas.scale)
        d = np.maximum(np.maximum(d, canvas.cavity[box] + 3), 4 - canvas.lung[box])
        canvas.over(box, d, self.tones[Organ.BOWEL] - 15, Organ.GALLBLADDER)
        canvas.over(box, d + 1.6, self.tones[Organ.GALLBLADDER], Organ.GALLBLADDER)

    def _seek_places(self) -> None:
        """Find the liver on a coarse grid, and give every lesion a place in it."""
        half = self.habitus.half_width_mm
        axes = Axes.centred((int(self.habitus.depth_mm / _SEARCH_MM) + 1, int(2 * half / _SEARCH_MM) + 1), (_SEARCH_MM,) * 2)
        canvases = [self._canvas(float(z), axes) for z in _SEARCH_Z_MM]
        u, v, w, bx, by = (np.stack([getattr(c, name) for c in canvases]) for name in ("u", "v", "w", "body_x", "body_y"))
        cavity = cavity_distance(bx, by, self.habitus)
        depth = liver_distance(self.liver, self.frame, u, v, w, cavity=cavity, scale=self.habitus.scale)  # (Z, Y, X)
        depth = np.maximum(depth, -self._overpainted(u, v, w))
        area = (depth < 0).sum((1, 2))
        shown = np.where(area > area.max() / 7)[0]
        self.extent_mm = (float(_SEARCH_Z_MM[shown[0]]), float(_SEARCH_Z_MM[shown[-1]]))
        self.liver_volume_ml = float(area.sum() * _SEARCH_MM**3 / 1000)
        place = np.argwhere(depth < -4)
        where_mm = np.stack([_SEARCH_Z_MM[place[:, 0]], axes.y_mm[place[:, 1]], axes.x_mm[place[:, 2]]], 1)
        deep_mm = -depth[tuple(place.T)]
        self.lesions, self.distractors = self._place_lesions(where_mm, deep_mm)

    def _overpainted(self, u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Distance in mm to what is painted over the liver: kidney with its fat, vena cava, the great portal vessels."""
        scale, vessels = np.float32(self.habitus.scale), self.vessels
        kidney = self.organs.kidneys[0].distance(u, v, w) * scale - self.organs.capsule_mm
        cava = shapes.ellipse(u, v, self.liver.cava, vessels.cava_mm) * scale - 2
        trunk = [shapes.capsule(u, v, w, rod.start, rod.end, rod.radii_mm) * scale - 2 for rod in vessels.trunk[:3]]
        return np.asarray(np.minimum.reduce([kidney, cava, *trunk]))

    def _place_lesions(self, where_mm: np.ndarray, deep_mm: np.ndarray) -> tuple[tuple[Lesion, ...], tuple[Lesion, ...]]:
        draws, chosen = Draws(self.seed, "lesions"), self.settings
        count = (
            0 if draws.chance(chosen.healthy_share) else round(draws.log_uniform(1.0, chosen.most_lesions + 0.49, power=0.75))
        )
        tumours = [
            draw_tumour(draws, radius_mm=chosen.radius_mm, contrast_hu=chosen.contrast_hu, bright_share=chosen.bright_share)
            for _ in range(count)
        ]
        others = []
        if chosen.distractors:
            fatty = self.tones[Organ.LIVER] < 88
            others = draw_distractors(draws, liver_hu=self.tones[Organ.LIVER], fatty=fatty)
        placed: list[Lesion] = []
        for lesion in sorted(tumours, key=lambda one: -one.radius_mm) + others:  # large ones while there is room
            free = np.ones(len(where_mm), bool)
            for other in placed:
                gap = np.linalg.norm(where_mm - np.asarray(other.centre_mm), axis=1)
                free &= gap > 1.25 * (lesion.radius_mm + other.radius_mm) + 6
            fits = np.where(free & (deep_mm > 0.7 * lesion.radius_mm + 4))[0]
            if len(fits) == 0:
                continue  # no room left in this liver
            spot = where_mm[fits[draws.whole(0, len(fits) - 1)]]
            jitter = [draws.uniform(-0.4, 0.4) * _SEARCH_MM for _ in range(3)]
            z, y, x = (float(s + j) for s, j in zip(spot, jitter, strict=True))
            placed.append(replace(lesion, centre_mm=(z, y, x)))
        return (
            tuple(one for one in placed if one.kind == "tumour"),
            tuple(one for one in placed if one.kind != "tumour"),
        )
