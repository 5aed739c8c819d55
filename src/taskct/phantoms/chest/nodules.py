"""Lung nodules: solid, part-solid and ground glass, with spicules, and how they grow."""

from __future__ import annotations

from dataclasses import dataclass, replace

from taskct.core.errors import InputError
from taskct.data.nodule_kinds import GLASS, PART_SOLID, SOLID
from taskct.phantoms.lesions.record import Lesion, draw_shape
from taskct.phantoms.painting.draws import Draws

PART_SOLID_FROM_MM = 6.0
_MOST_DOUBLINGS = 30  # from a nodule of 1 mm to one of 1 m


@dataclass(frozen=True)
class Nodule(Lesion):
    """A nodule; `level_hu` is the HU of its body, `core_hu` that of the solid core in `core_share` of the radius (0: none).

    `contrast_hu` is the body's (the core's, where there is one) against the lung. `spicules` are (z, y, x) directions and
    lengths in radii. `doubling_days` is the time in which its volume doubles.
    """

    level_hu: float = 0.0
    core_hu: float = 0.0
    core_share: float = 0.0
    spicules: tuple[tuple[float, float, float, float], ...] = ()
    doubling_days: float = 400.0


def draw_nodule(draws: Draws, *, diameter_mm: tuple[float, float], solid: float, part_solid: float, lung_hu: float) -> Nodule:
    """A nodule without a place; the logarithm of its diameter is even, so small ones are commoner."""
    diameter = draws.log_uniform(*diameter_mm, power=1.15)
    kind = draws.pick([SOLID, PART_SOLID, GLASS], [solid, part_solid, max(1 - solid - part_solid, 1e-9)])
    if kind == PART_SOLID and diameter < PART_SOLID_FROM_MM:
        kind = SOLID
    level = draws.uniform(-40, 80) if kind == SOLID else draws.uniform(-680, -450)
    core = draws.uniform(-50, 60) if kind == PART_SOLID else 0.0
    spiculated = kind != GLASS and diameter > 8 and draws.chance(0.45)
    spicules = tuple((*draws.direction(), draws.uniform(1.3, 1.9)) for _ in range(draws.whole(5, 12))) if spiculated else ()
    radius = diameter / 2
    return Nodule(
        centre_mm=(0.0, 0.0, 0.0),
        radius_mm=radius,
        contrast_hu=(core if kind == PART_SOLID else level) - lung_hu,
        kind=kind,
        edge_mm=draws.uniform(0.4, 0.9) + (0.12 * radius if kind == GLASS else 0.02 * radius),
        level_hu=level,
        core_hu=core,
        core_share=draws.uniform(0.35, 0.65) if kind == PART_SOLID else 0.0,
        spicules=spicules,
        doubling_days=draws.log_uniform(60, 900) if kind == SOLID else draws.log_uniform(250, 1500),
        **draw_shape(draws, radius_mm=radius, roughness=draws.uniform(0.08, 0.45)),  # type: ignore[arg-type]
    )


def grown(nodule: Nodule, days: float) -> Nodule:
    """The nodule `days` later (or earlier): exponential growth, volume 2^(days / doubling_days); the core grows faster.

    >>> import dataclasses
    >>> one = draw_nodule(Draws(0, "n"), diameter_mm=(8, 8), solid=1, part_solid=0, lung_hu=-850)
    >>> later = grown(dataclasses.replace(one, doubling_days=100.0), 300)
    >>> round(later.volume_mm3 / one.volume_mm3, 3)
    8.0
    """
    doublings = days / nodule.doubling_days
    if not abs(doublings) <= _MOST_DOUBLINGS:
        raise InputError(
            f"grown expects a finite number of days within {_MOST_DOUBLINGS} doublings of the volume, of "
            f"{nodule.doubling_days:g} days each, got {days!r}"
        )
    times = 2 ** (doublings / 3)
    axes = tuple(a * times for a in nodule.semi_axes_mm)
    return replace(
        nodule,
        radius_mm=nodule.radius_mm * times,
        semi_axes_mm=axes,  # type: ignore[arg-type]
        core_share=min(0.95, nodule.core_share * times**0.5),
    )
