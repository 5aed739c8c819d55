"""Base, petrous bones, orbits, nose, jaws, teeth and neck: solids with a place, painted over the vault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.draws import Draws
from taskct.phantoms.skull.child import Child
from taskct.phantoms.skull.skull_tissues import SOFT_HU, Tissue

Point = tuple[float, float, float]  # z, y, x in the child's frame


@dataclass(frozen=True)
class Solid:
    """An ellipsoid (`centre`, `semi`) or a rod (`centre` to `end`, `radii`) of one tissue; `shell_mm` > 0 makes it hollow."""

    tissue: Tissue
    hu: float
    centre: Point
    semi: Point = (0.0, 0.0, 0.0)
    end: Point | None = None
    radii: tuple[float, float] = (0.0, 0.0)
    shell_mm: float = 0.0

    @property
    def bounds(self) -> tuple[Point, Point]:
        """Lowest and highest corner in mm."""
        if self.end is None:
            pairs = [(c - s, c + s) for c, s in zip(self.centre, self.semi, strict=True)]
        else:
            r = max(self.radii)
            pairs = [(min(a, b) - r, max(a, b) + r) for a, b in zip(self.centre, self.end, strict=True)]
        low, high = zip(*pairs, strict=True)
        return low, high

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Signed distance in mm, negative inside the tissue."""
        if self.end is None:
            d = shapes.ellipsoid(x, y, z, self.centre, self.semi)
        else:
            d = shapes.capsule(x, y, z, self.centre, self.end, self.radii)
        return np.maximum(d, -(d + np.float32(self.shell_mm))) if self.shell_mm else d


def soft_solids(child: Child) -> list[Solid]:
    """Flesh of face, temples and neck, which lies under all bone: the forehead's line runs on into the face."""
    z, length, width, f = child.base_z_mm, child.half_length_mm, child.half_width_mm, child.face
    flesh = lambda centre, semi: Solid(Tissue.MUSCLE, SOFT_HU[Tissue.MUSCLE] - 6, centre, semi)
    return [
        flesh((z - 12, 0.06 * length, 0.0), (30, 0.70 * length, 0.84 * width)),  # below the base, from ear to ear
        flesh((z - 4, -0.50 * length, 0.0), (26 * f**0.5, 0.41 * length, 0.74 * width)),  # about the orbits
        flesh((z - 22 * f, -0.45 * length, 0.0), (33 * f, 0.53 * length, 0.66 * width)),
        flesh((z - 16 * f, _front(child) - 1, 0.0), (9 * f, 10, 6.5 * f**0.5)),  # nose
        *(flesh((z - 5, _front(child) + 20, s * 0.42 * width), (16 * f**0.5 + 5, 26, 16.5 * f**0.5 + 5)) for s in (-1, 1)),
        Solid(Tissue.MUSCLE, SOFT_HU[Tissue.MUSCLE], (-140.0, 0.22 * length, 0.0), end=(z, 0.16 * length, 0.0),
              radii=(0.42 * width, 0.44 * width)),
        Solid(Tissue.FAT, SOFT_HU[Tissue.FAT], (z - 24 * f, -0.52 * length, 0.44 * width), (10 * f, 14, 9)),
        Solid(Tissue.FAT, SOFT_HU[Tissue.FAT], (z - 24 * f, -0.52 * length, -0.44 * width), (10 * f, 14, 9)),
    ]  # fmt: skip


def hard_solids(child: Child, seed: int) -> list[Solid]:
    """Bone, teeth and air of the face, the base and the neck, in the order in which they are painted."""
    return [
        *_temporal(child),
        *_maxilla(child),
        *_orbits(child),
        *_mandible(child),
        *_teeth(child, Draws(seed, "teeth")),
        *_spine(child),
    ]


def _temporal(c: Child) -> Iterator[Solid]:
    z, length, width = c.base_z_mm, c.half_length_mm, c.half_width_mm
    pneumatic = min(1.0, c.age_months / 36)  # mastoid cells fill with air in the first years
    for side, shift in zip((-1, 1), c.ear_shift_mm, strict=True):
        inner, outer = (z + 6, -0.02 * length, side * 0.26 * width), (z + 3, 0.20 * length + shift, side * 0.76 * width)
        yield Solid(Tissue.PETROUS, c.bone_hu + 450, inner, end=outer, radii=(5.0, 7.5))
        yield Solid(Tissue.CAVITY, -500.0, (z + 2, 0.13 * length + shift, side * 0.70 * width), (3, 3, 4.5))
        yield Solid(
            Tissue.BONE, 0.7 * c.bone_hu, (z - 8, 0.30 * length + shift, side * 0.80 * width), (10 + 5 * pneumatic, 8, 5.5)
        )
        if pneumatic > 0.2:
            yield Solid(
                Tissue.CAVITY,
                -100 - 500 * pneumatic,
                (z - 8, 0.30 * length + shift, side * 0.80 * width),
                (8 * pneumatic, 5 * pneumatic, 3 * pneumatic),
            )
        cheek = (z - 10, -0.50 * length, side * 0.74 * width)
        yield Solid(Tissue.BONE, c.bone_hu, cheek, end=(z - 13, -0.05 * length, side * 0.83 * width), radii=(2.4, 2.0))
        # external ear: cartilage outside the vault
        yield Solid(
            Tissue.CARTILAGE, SOFT_HU[Tissue.CARTILAGE], (z + 4, 0.16 * length + shift, side * 1.02 * width), (15, 9, 2.2)
        )


def _front(c: Child) -> float:
    """y of the forehead just above the orbits, where the vault meets the base."""
    return -0.87 * c.half_length_mm


def _maxilla(c: Child) -> Iterator[Solid]:
    z, length, width, f = c.base_z_mm, c.half_length_mm, c.half_width_mm, c.face
    yield Solid(Tissue.BONE, 0.55 * c.bone_hu, (z - 20 * f, -0.60 * length, 0.0), (16 * f, 0.27 * length, 0.42 * width))
    yield Solid(Tissue.CAVITY, -700.0, (z - 14 * f, -0.56 * length, 0.0), (9 * f, 0.27 * length, 4.5 * f**0.5))
    yield Solid(
        Tissue.BONE, 0.5 * c.bone_hu, (z - 22 * f, -0.60 * length, 0.0), end=(z - 4, -0.55 * length, 0.0), radii=(0.9, 0.9)
    )
    grown = min(1.0, c.age_months / 150)
    for side in (-1, 1):  # maxillary sinuses: slits at birth
        semi = (3 + 13 * grown, 4 + 12 * grown, 2.5 + 9 * grown)
        yield Solid(Tissue.CAVITY, -850.0, (z - 15 * f, -0.52 * length, side * 0.27 * width), semi)
    yield Solid(Tissue.CAVITY, -900.0, (-140.0, -0.06 * length, 0.0), end=(z - 16 * f, -0.10 * length, 0.0), radii=(5.0, 5.5))


def _orbits(c: Child) -> Iterator[Solid]:
    z, width = c.base_z_mm, c.half_width_mm
    f = c.face**0.5
    for side in (-1, 1):
        z0, y0, x0 = z - 5, _front(c) + 13, side * 0.42 * width
        yield Solid(Tissue.BONE, 0.9 * c.bone_hu, (z0, y0, x0), (16 * f, 19, 16.5 * f), shell_mm=1.8)
        yield Solid(Tissue.FAT, SOFT_HU[Tissue.FAT], (z0, y0, x0), (14.4 * f, 17.2, 14.8 * f))
        yield Solid(Tissue.FAT, SOFT_HU[Tissue.FAT], (z0, y0 - 11, x0), (11 * f, 9, 12 * f))
        yield Solid(Tissue.EYE, SOFT_HU[Tissue.EYE], (z0, y0 - 5, x0), (9.8, 9.8, 9.8))
        yield Solid(Tissue.EYE, 80.0, (z0, y0 - 11, x0), (4.0, 1.8, 4.0))
        yield Solid(Tissue.MUSCLE, 45.0, (z0, y0 + 3, x0), end=(z0, y0 + 18, 0.6 * x0), radii=(2.0, 1.6))


def _mandible(c: Child) -> Iterator[Solid]:
    z, length, width, f = c.base_z_mm, c.half_length_mm, c.half_width_mm, c.face
    low = z - 43 * f
    arch = np.linspace(-1, 1, 13)
    points = [_jaw_point(c, t, low + 5 * t * t) for t in arch]
    for a, b in pairwise(points):
        yield Solid(Tissue.BONE, 0.95 * c.bone_hu, a, end=b, radii=(4.2 * f**0.5, 4.2 * f**0.5))
    for side in (-1, 1):
        start = _jaw_point(c, side, low + 5)
        yield Solid(Tissue.BONE, 0.95 * c.bone_hu, start, end=(z - 7, 0.06 * length, side * 0.66 * width), radii=(3.8, 3.2))


def _jaw_point(c: Child, t: float, z: float, grow: float = 1.0) -> Point:
    forward = 0.42 * c.half_length_mm * (1 - t * t) * grow
    return (
        float(z),
        float(-0.34 * c.half_length_mm - forward + c.jaw_mm * (1 - t * t)),
        float(0.48 * c.half_width_mm * t * grow**0.5),
    )


def _teeth(c: Child, d: Draws) -> Iterator[Solid]:
    """Ten a row: buds inside the jaws before six months, erupting later; each with its own density."""
    z, f = c.base_z_mm, c.face
    low = z - 43 * f
    out = min(1.0, max(0.0, (c.age_months - 6) / 20))
    size = (1.8 + 0.5 * min(1.0, c.age_months / 24)) * f**0.5
    for t in np.linspace(-0.8, 0.8, 10):
        for height, grow in ((low + 3 + 4 * out, 0.96), (low + 21 * f**0.5 - 4 * out, 0.98)):
            hu = 1300 + 700 * min(1.0, c.age_months / 24) + d.normal(0, 140, -400, 400)
            yield Solid(Tissue.TOOTH, hu, _jaw_point(c, t, height, grow), (1.25 * size, size, size))


def _spine(c: Child) -> Iterator[Solid]:
    z, length = c.base_z_mm, c.half_length_mm
    step = 13 + 5 * min(1.0, c.age_months / 120)
    for i in range(5):
        at = z - 14 - step * i
        y = 0.26 * length + 1.2 * i
        yield Solid(Tissue.BONE, 0.5 * c.bone_hu, (at, y, 0.0), (0.32 * step, 7.5, 8))
        yield Solid(Tissue.BONE, 0.55 * c.bone_hu, (at, y + 16, 0.0), (2.8, 8.5, 5))
        for side in (-1, 1):
            yield Solid(Tissue.BONE, 0.5 * c.bone_hu, (at, y + 5, side * 11.0), (3.2, 5.5, 5.0))
        yield Solid(Tissue.CSF, 20.0, (at, y + 10.5, 0.0), (step, 5.0, 6.0))
