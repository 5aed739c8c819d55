"""One child: everything that is drawn once, and what it is labelled with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.phantoms.painting.draws import Draws
from taskct.phantoms.skull import growth
from taskct.phantoms.skull.skull_ranges import KINDS, SkullSettings

SCALP_MM = (2.4, 4.2)  # newborn, adult
VAULT_Z_MM = 22.0  # height of the vault's centre above the volume's, so that the face fits below it


@dataclass(frozen=True)
class Child:
    """Lengths in mm, frame LPS with the origin at the volume's centre: x to the left, y to the back, z up.

    half_*        semi-axes of the outer table of the vault
    squareness    exponent of the vault's superellipsoid
    skew          how far one side of the vault lies ahead of the other, as a share of x; `side` is +1 for the left one
    wedge         narrowing of the forehead (metopic), 0 to .5
    boss          bulge of the forehead (sagittal), mm
    sutures_mm    width of each open suture by name; what is missing is closed
    lacunae       (direction z, y, x, radius mm) of thin places that no growth law foresees
    """

    age_months: float
    kind: str
    side: int
    circumference_mm: float
    index: float
    half_length_mm: float
    half_width_mm: float
    half_height_mm: float
    squareness: float
    skew: float
    wedge: float
    boss_mm: float
    flat_back_mm: float
    thick_mm: dict[str, float]
    thick_wave: tuple[float, ...]
    sutures_mm: dict[str, float]
    fontanelle_mm2: float
    wander: tuple[float, ...]
    lacunae: tuple[tuple[float, float, float, float], ...]
    bone_hu: float
    face: float
    jaw_mm: float
    ear_shift_mm: tuple[float, float]
    base_tilt: float
    base_step_mm: float
    turn_deg: tuple[float, float, float]
    shift_mm: tuple[float, float, float]

    @property
    def base_z_mm(self) -> float:
        """Height of the skull base below the sella."""
        return VAULT_Z_MM - 0.52 * self.half_height_mm

    @property
    def scalp_mm(self) -> float:
        """Thickness of skin and fat over the vault."""
        low, high = SCALP_MM
        return low + (high - low) * min(1.0, self.age_months / 180)

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3): from the child's frame to the scanner's, order z, y, x."""
        turned = np.eye(3)
        for axis, angle in enumerate(np.deg2rad(self.turn_deg)):
            i, j = ((1, 2), (0, 2), (0, 1))[axis]
            one = np.eye(3)
            one[i, i] = one[j, j] = np.cos(angle)
            one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
            turned = turned @ one
        return turned


def draw_child(seed: int, settings: SkullSettings) -> Child:
    """The child of a seed."""
    d = Draws(seed, "child")
    age = d.uniform(*settings.age_months)
    kinds = [k for k in KINDS if settings.kinds.get(k, 0) > 0]
    kind = d.pick(kinds, [settings.kinds[k] for k in kinds])
    side = 1 if d.chance(0.5) else -1
    second = settings.family == "second"
    index = _index(kind, d, second=second)
    circumference = growth.at(growth.HEAD_MM, age) + d.normal(0, growth.HEAD_SD_MM, -34, 34)
    scalp = SCALP_MM[0] + (SCALP_MM[1] - SCALP_MM[0]) * min(1.0, age / 180)
    length, width = growth.half_axes_mm(circumference - 2 * np.pi * scalp, index)
    thick_share = float(np.exp(d.normal(0, 0.15, -0.4, 0.4)))
    shape, pose = Draws(seed, "shape"), Draws(seed, "pose")
    return Child(
        age_months=age,
        kind=kind,
        side=side,
        circumference_mm=circumference,
        index=index,
        half_length_mm=length,
        half_width_mm=width,
        half_height_mm=shape.normal(0.86 if second else 0.80, 0.04, 0.68, 0.96) * length * (0.82 / index) ** 0.35,
        squareness=shape.uniform(2.3, 2.8) if second else shape.uniform(2.0, 2.5),
        skew=_skew(kind, side, shape),
        wedge=shape.uniform(0.22, 0.45) if kind == "metopic" else 0.0,
        boss_mm=shape.uniform(2, 6) if kind == "sagittal" else 0.0,
        flat_back_mm=shape.uniform(4, 10) if kind in ("positional", "lambdoid") else 0.0,
        thick_mm={place: growth.thickness_mm(place, age) * thick_share for place in growth.THICK_GAIN},
        thick_wave=tuple(shape.normal(0, 0.07, -0.2, 0.2) for _ in range(5)),
        sutures_mm=_sutures(kind, side, age, Draws(seed, "sutures"), second=second),
        fontanelle_mm2=_fontanelle(age, Draws(seed, "fontanelle")),
        wander=tuple(shape.uniform(0, 6.28) for _ in range(6)),
        lacunae=tuple(_lacuna(shape) for _ in range(shape.whole(0, 3) if age < 60 else 0)),
        bone_hu=growth.at(growth.BONE_HU, age) + d.normal(0, growth.BONE_SD_HU, -200, 200),
        face=growth.at(growth.FACE, age) * shape.normal(1.0, 0.05, 0.88, 1.12),
        jaw_mm=shape.normal(0, 2.5, -6, 6),
        ear_shift_mm=(shape.normal(0, 1.5, -4, 4), shape.normal(0, 1.5, -4, 4)),
        base_tilt=shape.normal(0.05 if second else 0.14, 0.04, -0.05, 0.28),
        base_step_mm=shape.uniform(3, 7) if second else shape.uniform(6, 11),
        turn_deg=_three(pose, 2.5, 7) if settings.pose else (0.0, 0.0, 0.0),
        shift_mm=_three(pose, 3, 8) if settings.pose else (0.0, 0.0, 0.0),
    )


def _three(draws: Draws, std: float, most: float) -> tuple[float, float, float]:
    return draws.normal(0, std, -most, most), draws.normal(0, std, -most, most), draws.normal(0, std, -most, most)


def _index(kind: str, draws: Draws, *, second: bool) -> float:
    """Cranial index, width / length: 83.5 +- 6.3 % at 0 to 24 months (statistical shape model, n 65)."""
    usual = draws.normal(0.85 if second else 0.825, 0.045, 0.73, 0.95)
    if kind == "sagittal":
        return draws.uniform(0.64, 0.74)
    if kind == "bicoronal":
        return draws.uniform(0.93, 1.05)
    return min(0.98, usual + (0.05 if kind in ("coronal", "positional") else 0.0))


def _skew(kind: str, side: int, draws: Draws) -> float:
    if kind == "coronal":
        return side * draws.uniform(0.08, 0.16)
    if kind == "lambdoid":
        return -side * draws.uniform(0.06, 0.12)
    if kind == "positional":
        return side * draws.uniform(0.05, 0.14)
    return draws.normal(0, 0.012, -0.03, 0.03)


def _sutures(kind: str, side: int, age: float, draws: Draws, *, second: bool) -> dict[str, float]:
    """Widths of the open sutures: sagittal, coronal and lambdoid left and right, metopic."""
    law = growth.SECOND_SUTURE_MM if second else growth.SUTURE_MM
    spread = lambda: float(np.exp(draws.normal(0, growth.SUTURE_SPREAD, -0.7, 0.7)))
    widths = {
        "sagittal": growth.at(law["sagittal"], age) * spread(),
        "coronal left": growth.at(law["coronal"], age) * spread(),
        "coronal right": growth.at(law["coronal"], age) * spread(),
        "lambdoid left": growth.at(law["lambdoid"], age) * spread(),
        "lambdoid right": growth.at(law["lambdoid"], age) * spread(),
        "metopic": growth.at(law["metopic"], age) * spread(),
    }
    fused = {
        "sagittal": ("sagittal",),
        "coronal": ("coronal left" if side > 0 else "coronal right",),
        "bicoronal": ("coronal left", "coronal right"),
        "metopic": ("metopic",),
        "lambdoid": ("lambdoid left" if side > 0 else "lambdoid right",),
    }.get(kind, ())
    if age >= growth.closing_age_months(growth.METOPIC_CLOSED, draws):
        fused = (*fused, "metopic")
    return {name: width for name, width in widths.items() if name not in fused}


def _fontanelle(age: float, draws: Draws) -> float:
    """Area of the anterior fontanelle, 0 once it has closed."""
    closes = growth.closing_age_months(growth.CLOSED_SHARE, draws)
    area = growth.at(growth.FONTANELLE_MM2, age) * float(np.exp(draws.normal(0, 0.35, -0.9, 0.9)))
    return 0.0 if age >= closes else area


def _lacuna(draws: Draws) -> tuple[float, float, float, float]:
    z, y, x = draws.direction()
    return abs(z), y, x, draws.uniform(2.5, 6.0)
