"""A built-in patient: an upper abdomen in HU with organs, liver lesions of known contrast, and labels. Drawn, not measured.

Sizes, positions and HU (portal-venous phase) are rounded textbook values, varied by the seed within the ordinary; texture
is smoothed Gaussian noise. It looks like CT enough to be read by task networks and eyes, and it has no patient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from taskct.core.seeds import generator
from taskct.data.case import AIR_HU, Case

ABDOMEN_LABELS = {
    1: "liver", 2: "liver lesion", 3: "spleen", 4: "kidney", 5: "aorta", 6: "vertebra", 7: "stomach", 8: "pancreas",
}  # fmt: skip
_SUBSAMPLES = 3  # points per sample along y and x; odd, so that one of them is the centre and gives the label
_TEXTURE_SD_HU = {"liver": 5.0, "fat": 5.0, "muscle": 7.0, "bone": 30.0, "gas": 3.0, "fluid": 4.0}


@dataclass(frozen=True)
class _Shape:
    """A wobbling ellipsoid: centre and half axes (z, y, x) in mm, turned in the plane from x towards y."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    turn_deg: float = 0.0
    wobble: tuple[tuple[int, float, float], ...] = ()  # (waves per turn, relative height, phase)
    power: float = 2.0

    def covers(self, z: float, y: np.ndarray, x: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray] | None:
        """The part of a slice that may be inside, and which of its points are."""
        height = (z - self.centre[0]) / self.half[0]
        if abs(height) >= 1:
            return None
        reach = max(self.half[1:]) * (1 + sum(abs(h) for _, h, _ in self.wobble))
        rows = slice(*np.searchsorted(y, [self.centre[1] - reach, self.centre[1] + reach]))
        cols = slice(*np.searchsorted(x, [self.centre[2] - reach, self.centre[2] + reach]))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return None
        cos, sin = math.cos(math.radians(self.turn_deg)), math.sin(math.radians(self.turn_deg))
        dy, dx = (y[rows] - self.centre[1])[:, None], (x[cols] - self.centre[2])[None, :]
        v, u = (cos * dy - sin * dx) / self.half[1], (cos * dx + sin * dy) / self.half[2]
        radius = (np.abs(u) ** self.power + np.abs(v) ** self.power) ** (1 / self.power)
        edge: float | np.ndarray = math.sqrt(1 - height**2)
        if self.wobble:
            angle = np.arctan2(v, u)
            edge = edge * (1 + sum(h * np.cos(k * angle + phase) for k, h, phase in self.wobble))
        return (rows, cols), radius < edge


@dataclass(frozen=True)
class _Stroke:
    """One shape painted over what lies there: HU, tissue for the texture, label; only over the labels or tissues in `over`."""

    shape: _Shape
    hu: float
    tissue: str
    label: int = 0
    over_labels: tuple[int, ...] | None = None
    over_tissues: tuple[str, ...] | None = None


def abdomen_like(
    *, seed: int = 0, shape: tuple[int, int, int] = (8, 256, 256), spacing_mm: tuple[float, float, float] = (5.0, 1.4, 1.4)
) -> Case:
    """An upper-abdominal CT of about 340 x 240 mm as a Case with labels (`ABDOMEN_LABELS`), different for each seed.

    `provenance["lesions"]` lists each liver lesion: centre (z, y, x) and radius in mm from the volume's middle, and its
    contrast to the liver, -20 to -60 HU. The same seed gives the same voxels.
    """
    draw = _Draw(seed)
    strokes, lesions = _anatomy(draw)
    tissues = list(_TEXTURE_SD_HU)
    sub = _SUBSAMPLES
    z_mm = (np.arange(shape[0]) - (shape[0] - 1) / 2) * spacing_mm[0]
    y_mm, x_mm = (((np.arange(n * sub) + 0.5) / sub - n / 2) * step for n, step in zip(shape[1:], spacing_mm[1:], strict=True))
    hu = np.empty(shape, dtype=np.float32)
    labels = np.empty(shape, dtype=np.int16)
    texture_sd = np.empty(shape, dtype=np.float32)
    for k, z in enumerate(z_mm):
        fine = np.full((len(y_mm), len(x_mm)), AIR_HU, dtype=np.float32)
        kind = np.full(fine.shape, tissues.index("gas"), dtype=np.int8)
        name = np.zeros(fine.shape, dtype=np.int16)
        for stroke in strokes:
            found = stroke.shape.covers(float(z), y_mm, x_mm)
            if found is None:
                continue
            place, inside = found
            if stroke.over_labels is not None:
                inside = inside & np.isin(name[place], stroke.over_labels)
            if stroke.over_tissues is not None:
                inside = inside & np.isin(kind[place], [tissues.index(t) for t in stroke.over_tissues])
            fine[place][inside] = stroke.hu
            kind[place][inside] = tissues.index(stroke.tissue)
            name[place][inside] = stroke.label
        pool = lambda a: a.reshape(shape[1], sub, shape[2], sub).mean((1, 3))
        hu[k] = pool(fine)
        texture_sd[k] = pool(np.array(list(_TEXTURE_SD_HU.values()), dtype=np.float32)[kind])
        labels[k] = name[sub // 2 :: sub, sub // 2 :: sub]
    hu += texture_sd * _texture(draw, shape, spacing_mm)
    hu = np.clip(np.round(hu), -1024, 3071)
    return Case(
        hu=torch.from_numpy(hu.astype(np.float32)),
        spacing_mm=spacing_mm,
        case_id=f"abdomen-{seed}",
        labels=torch.from_numpy(labels),
        label_names=dict(ABDOMEN_LABELS),
        provenance={"format": "phantom", "source": "abdomen_like", "seed": seed, "lesions": lesions, "notes": []},
    )


class _Draw:
    """Numbers of one seed, in the order they are asked for."""

    def __init__(self, seed: int) -> None:
        self.generator = generator(seed, "abdomen_like")

    def between(self, low: float, high: float) -> float:
        """Uniform from low to high."""
        return low + (high - low) * float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def wobble(self, height: float) -> tuple[tuple[int, float, float], ...]:
        """A gentle irregular outline."""
        return tuple((k, self.between(0, height) / (k - 1), self.between(0, 2 * math.pi)) for k in (2, 3, 4, 5))


def _anatomy(d: _Draw) -> tuple[list[_Stroke], list[dict[str, object]]]:
    """The strokes of one patient, from the skin inwards, and the list of lesions. y runs to the back, x to the left."""
    wide, deep = d.between(148, 168), d.between(104, 118)
    fat = d.between(9, 24)
    skin = _Shape((0, 0, 0), (4000, deep, wide), 0, d.wobble(0.02), 2.4)
    strokes = [
        _Stroke(skin, 15, "muscle"),
        _Stroke(_grown(skin, -2.2), -104, "fat"),
        _Stroke(_grown(skin, -fat), 58, "muscle"),
        _Stroke(_grown(skin, -fat - 3), -90, "fat"),
        _Stroke(_grown(skin, -fat - 4.5), 56, "muscle"),
    ]
    inner_y, inner_x = deep - fat - 13, wide - fat - 13
    strokes += _ribs(d, deep - fat - 7, wide - fat - 7)
    cavity = _Shape((0, -3, 0), (4000, inner_y, inner_x), 0, skin.wobble, 2.3)
    strokes.append(_Stroke(cavity, -98, "fat"))
    strokes += _spine(d, inner_y)
    strokes += _vessels_and_bowel(d, inner_y, inner_x)
    liver_hu = d.between(98, 122)
    liver, lesions = _liver(d, inner_y, inner_x, liver_hu)
    strokes += liver
    spleen_hu = liver_hu + d.between(8, 22)
    place = (d.between(-8, 8), 0.36 * inner_y, 0.74 * inner_x)
    spleen = _Shape(place, (70, 0.44 * inner_y, 0.19 * inner_x), 16, d.wobble(0.05))
    strokes.append(_Stroke(spleen, spleen_hu, "liver", 3, over_tissues=("fat",)))
    for side in (-1, 1):
        strokes += _kidney(d, side, inner_y, inner_x)
    return strokes, lesions


def _grown(shape: _Shape, by_mm: float) -> _Shape:
    return _Shape(
        shape.centre, (shape.half[0], shape.half[1] + by_mm, shape.half[2] + by_mm), shape.turn_deg, shape.wobble, shape.power
    )


def _ribs(d: _Draw, half_y: float, half_x: float) -> list[_Stroke]:
    """Ribs cross the slices obliquely: in each they appear as short ellipses along the wall."""
    strokes = []
    for side in (-1, 1):
        for number in range(6):
            angle = math.radians(-38 + 24 * number + d.between(-4, 4))  # from the side: towards the front is negative
            place = (d.between(-18, 18), half_y * math.sin(angle) * 0.97, side * half_x * math.cos(angle) * 0.985)
            turn = math.degrees(math.atan2(half_y * math.cos(angle), -side * half_x * math.sin(angle)))
            half = d.between(9, 14)
            strokes.append(_Stroke(_Shape(place, (26, 4.6, half), turn), 620, "bone", over_tissues=("muscle", "fat")))
            strokes.append(_Stroke(_Shape(place, (24, 2.4, half - 2.4), turn), 210, "bone", over_tissues=("bone",)))
    return strokes


def _spine(d: _Draw, inner_y: float) -> list[_Stroke]:
    back = 0.56 * inner_y
    size = d.between(0.93, 1.07)
    strokes = []
    for side in (-1, 1):
        strokes.append(_Stroke(_Shape((0, back + 32, side * 34), (400, 20, 27), side * 14, d.wobble(0.06)), 60, "muscle"))
        strokes.append(_Stroke(_Shape((0, back + 2, side * 33), (400, 13, 10), side * 30, d.wobble(0.05)), 60, "muscle"))
    bone = lambda place, half, hu, turn=0.0: _Stroke(
        _Shape((0, back + place[0], place[1]), (400, half[0] * size, half[1] * size), turn), hu, "bone", 6
    )
    for side in (-1, 1):
        strokes.append(bone((27, side * 26), (4.2, 17), 330, -side * 16))
    strokes += [bone((49, 0), (17, 3.6), 340), bone((25, 0), (15.5, 18), 430)]
    strokes += [bone((0, 0), (16.5, 22.5), 470), bone((0, 0), (14.8, 20.8), d.between(150, 210))]
    strokes.append(_Stroke(_Shape((0, back + 25, 0), (400, 8.5, 10.5)), 30, "fluid"))
    return strokes


def _vessels_and_bowel(d: _Draw, inner_y: float, inner_x: float) -> list[_Stroke]:
    front = 0.56 * inner_y - 27
    aorta_hu = d.between(145, 175)
    strokes = [
        _Stroke(_Shape((0, front + 2, 12), (400, d.between(9.5, 12), d.between(9.5, 12))), aorta_hu, "liver", 5),
        _Stroke(_Shape((0, front - 1, -24), (400, 9, 12.5), 10), aorta_hu - 20, "liver"),
    ]
    pancreas = _Shape((d.between(-10, 5), front - 22, 24), (22, 9, 40), 14, d.wobble(0.12))
    strokes.append(_Stroke(pancreas, d.between(85, 105), "liver", 8, over_tissues=("fat",)))
    centre = (d.between(-5, 5), -0.42 * inner_y, 0.42 * inner_x)
    half = (80.0, 0.40 * inner_y, 0.30 * inner_x)
    wobble = d.wobble(0.06)
    wall = _Shape(centre, half, 12, wobble)
    inside = _Shape(centre, (half[0] - 4, half[1] - 4.5, half[2] - 4.5), 12, wobble)
    strokes.append(_Stroke(wall, 62, "muscle", 7, over_tissues=("fat",)))
    strokes.append(_Stroke(inside, d.between(8, 30), "fluid", 7, over_labels=(7,)))
    # gas floats to the front of a supine patient and ends in a level: a wide flat box cut out of the stomach's inside
    gas = _Shape((centre[0], centre[1] - half[1], centre[2]), (60, 0.55 * half[1], half[2] * 1.5), 0, (), 8.0)
    strokes.append(_Stroke(gas, -960, "gas", 7, over_tissues=("fluid",), over_labels=(7,)))
    for number in range(3):
        place = (d.between(-20, 20), d.between(-0.1, 0.2) * inner_y - 3, inner_x * (0.84 - 0.16 * number))
        size = d.between(11, 15)
        strokes.append(_Stroke(_Shape(place, (34, size, size), 0, d.wobble(0.1)), 55, "muscle", over_tissues=("fat",)))
        strokes.append(
            _Stroke(_Shape(place, (31, size - 2.5, size - 2.5), 0, d.wobble(0.1)), -700, "gas", over_tissues=("muscle",))
        )
    return strokes


def _liver(d: _Draw, inner_y: float, inner_x: float, hu: float) -> tuple[list[_Stroke], list[dict[str, object]]]:
    right = (d.between(-6, 6), -0.03 * inner_y, -0.53 * inner_x)
    half = (95.0, 0.86 * inner_y, 0.44 * inner_x)
    left = _Shape((8, -0.53 * inner_y, -0.08 * inner_x), (70, 0.34 * inner_y, 0.46 * inner_x), -6, d.wobble(0.05))
    lobes = (_Shape(right, half, -8, d.wobble(0.04)), left)
    strokes = [_Stroke(lobe, hu, "liver", 1, over_tissues=("fat",)) for lobe in lobes]
    hilum = (-0.10 * inner_y, -0.20 * inner_x)
    for _ in range(7):  # portal and hepatic branches leave the hilum like spokes
        angle = d.between(math.radians(125), math.radians(250))
        length, thick = d.between(14, 30), d.between(1.8, 4.2)
        y = hilum[0] + math.sin(angle) * (length + 4)
        x = hilum[1] + math.cos(angle) * (length + 4)
        branch = _Shape((d.between(-14, 14), y, x), (d.between(8, 16), thick, length), math.degrees(angle))
        strokes.append(_Stroke(branch, hu + d.between(35, 60), "liver", 1, over_labels=(1,)))
    strokes.append(
        _Stroke(
            _Shape((-14, -0.45 * inner_y, -0.36 * inner_x), (20, 20, 12), 20, d.wobble(0.05)), 8, "fluid", over_labels=(1,)
        )
    )
    lesions: list[dict[str, object]] = []
    taken: list[tuple[tuple[float, float, float], float]] = []
    for typical in (12.0, 8.0, 5.5, 4.0):
        radius = typical * d.between(0.85, 1.2)
        for _ in range(50):  # until it touches no other
            angle, far = d.between(0, 2 * math.pi), math.sqrt(d.between(0, 1)) * 0.62
            y, x = right[1] + far * half[1] * math.sin(angle), right[2] + far * half[2] * math.cos(angle)
            centre = (d.between(-10, 10), y, x)
            if all(math.dist(centre, other) > radius + size + 4 for other, size in taken):
                break
        else:
            continue
        taken.append((centre, radius))
        contrast = -d.between(20, 60)
        body = _Shape(centre, (radius, radius, radius), 0, d.wobble(0.08))
        strokes.append(_Stroke(body, hu + contrast, "liver", 2, over_labels=(1,)))
        facts = {"radius_mm": round(radius, 2), "contrast_hu": round(contrast, 1)}
        lesions.append({"centre_mm": [round(c, 2) for c in centre], **facts})
    return strokes, lesions


def _kidney(d: _Draw, side: int, inner_y: float, inner_x: float) -> list[_Stroke]:
    centre = (-30.0 + d.between(-6, 6), 0.62 * inner_y, side * 0.50 * inner_x)
    turn = side * 35.0
    cortex = _Shape(centre, (55, 24, 29), turn, d.wobble(0.04))
    medulla = _Shape((centre[0], centre[1], centre[2]), (50, 15, 20), turn)
    sinus = _Shape((centre[0], centre[1] - 4, centre[2] - side * 9), (44, 6, 11), turn)
    return [
        _Stroke(cortex, d.between(175, 200), "liver", 4, over_tissues=("fat", "muscle")),
        _Stroke(medulla, d.between(140, 160), "liver", 4, over_labels=(4,)),
        _Stroke(sinus, -60, "fat", 4, over_labels=(4,)),
    ]


def _texture(d: _Draw, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Smooth noise of SD 1 with a grain of about 2 mm and a slow part of about 12 mm, as tissue and kernel give."""
    from scipy.ndimage import gaussian_filter

    white = torch.randn((2, *shape), generator=d.generator).numpy()
    total = np.zeros(shape, dtype=np.float32)
    for noise, sigma_mm, share in ((white[0], 1.6, 0.85), (white[1], 8.0, 0.5)):
        smooth = gaussian_filter(noise, [sigma_mm / s for s in spacing_mm], mode="wrap")
        total += share * smooth / smooth.std()
    return total / total.std()
