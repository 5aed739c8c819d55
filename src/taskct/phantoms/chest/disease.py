"""Infection, effusion, emphysema and atelectasis: what of each one patient has, and where it may lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from taskct.phantoms.chest.chest_ranges import ChestSettings
from taskct.phantoms.chest.nodules import Nodule, draw_nodule
from taskct.phantoms.lesions.record import Lesion, draw_shape
from taskct.phantoms.painting.draws import Draws

GROUND_GLASS, CONSOLIDATION = "ground glass", "consolidation"
_MOST_LESIONS = 120


@dataclass(frozen=True)
class Disease:
    """What one patient has. Lesions carry their place; `effusions` are (side, fluid level above the back in mm)."""

    nodules: tuple[Nodule, ...]
    infection: tuple[Lesion, ...]
    effusions: tuple[tuple[int, float], ...]
    bullae: tuple[Lesion, ...]
    atelectasis_mm: tuple[float, float]  # depth of the dense dependent lung at the back: right, left
    thick_fissures: bool


def draw_disease(
    draws: Draws, chosen: ChestSettings, where_mm: np.ndarray, deep_mm: np.ndarray, *, lung_hu: float, back_mm: float
) -> Disease:
    """`where_mm` (N, 3) are places in the lungs in z, y, x, `deep_mm` (N,) how deep each lies below the pleura."""
    placed: list[Lesion] = []
    infected = draws.chance(chosen.infection_share)
    infection = _draw_infection(draws, where_mm, deep_mm, back_mm, lung_hu) if infected else []
    wanted = draws.whole(1, chosen.most_nodules) if draws.chance(chosen.nodule_share) else 0
    nodules: list[Nodule] = []
    drawn = [
        draw_nodule(draws, diameter_mm=chosen.diameter_mm, solid=chosen.solid, part_solid=chosen.part_solid, lung_hu=lung_hu)
        for _ in range(wanted)
    ]
    for one in sorted(drawn, key=lambda n: -n.radius_mm):
        spot = _free_place(draws, where_mm, deep_mm, [*placed, *nodules], one.radius_mm)
        if spot is not None:
            nodules.append(replace(one, centre_mm=spot))
    effusions = []
    if draws.chance(chosen.effusion_share):
        sides = draws.pick([(-1,), (1,), (-1, 1)], [0.4, 0.3, 0.3])
        effusions = [(side, draws.uniform(12, 55)) for side in sides]
    bullae: list[Lesion] = []
    if chosen.distractors and draws.chance(0.2):
        bullae = [_bulla(draws, where_mm) for _ in range(draws.whole(6, 40))]
    dependent = chosen.distractors and draws.chance(0.35)
    return Disease(
        nodules=tuple(nodules),
        infection=tuple(infection[:_MOST_LESIONS]),
        effusions=tuple(effusions),
        bullae=tuple(bullae),
        atelectasis_mm=(draws.uniform(4, 22), draws.uniform(4, 22)) if dependent else (0.0, 0.0),
        thick_fissures=chosen.distractors and draws.chance(0.15),
    )


def _draw_infection(draws: Draws, where_mm: np.ndarray, deep_mm: np.ndarray, back_mm: float, lung_hu: float) -> list[Lesion]:
    """Patches of ground glass, denser in part, mostly at the back, below and near the pleura."""
    severity = draws.uniform(0.15, 1.0)
    back = np.clip(where_mm[:, 1] / back_mm, -1, 1)
    weight = np.exp(-deep_mm / 14) * (0.25 + np.clip(back, 0, 1)) * (1.2 - 0.6 * np.clip(where_mm[:, 0] / 100, -1, 1))
    chances = np.cumsum(weight / weight.sum())
    found: list[Lesion] = []
    for _ in range(draws.whole(2, 3 + int(16 * severity))):
        spot = where_mm[min(int(np.searchsorted(chances, draws.uniform(0, 1))), len(where_mm) - 1)]
        radius = draws.uniform(7, 26) * (0.6 + 0.6 * severity)
        shape = draw_shape(draws, radius_mm=radius, roughness=draws.uniform(0.35, 0.7))
        place = tuple(float(v) for v in spot)
        glass = draws.uniform(-680, -420) - lung_hu
        found.append(Lesion(place, radius, glass, kind=GROUND_GLASS, edge_mm=draws.uniform(2, 6), **shape))  # type: ignore[arg-type]
        if draws.chance(0.2 + 0.4 * severity):
            core = radius * draws.uniform(0.3, 0.65)
            inner = draw_shape(draws, radius_mm=core, roughness=draws.uniform(0.3, 0.6))
            dense = draws.uniform(-120, 50) - lung_hu
            found.append(Lesion(place, core, dense, kind=CONSOLIDATION, edge_mm=draws.uniform(1, 3), **inner))  # type: ignore[arg-type]
    return sorted(found, key=lambda one: one.kind == CONSOLIDATION)  # what is dense is painted over what is not


def _bulla(draws: Draws, where_mm: np.ndarray) -> Lesion:
    spot = where_mm[draws.whole(0, len(where_mm) - 1)]
    radius = draws.log_uniform(2, 14, power=1.4)
    shape = draw_shape(draws, radius_mm=radius, roughness=draws.uniform(0.1, 0.4))
    return Lesion(tuple(float(v) for v in spot), radius, -110.0, kind="bulla", edge_mm=1.0, **shape)  # type: ignore[arg-type]


def _free_place(
    draws: Draws, where_mm: np.ndarray, deep_mm: np.ndarray, others: list[Lesion], radius_mm: float
) -> tuple[float, float, float] | None:
    """A place at which a ball of that radius fits into the lung, apart from other lesions; None where there is none."""
    free = deep_mm > min(0.6 * radius_mm, 9.0)
    for other in others:
        gap = np.linalg.norm(where_mm - np.asarray(other.centre_mm), axis=1)
        free &= gap > 1.15 * (radius_mm + other.radius_mm) + 2
    fits = np.where(free)[0]
    if len(fits) == 0:
        return None
    z, y, x = where_mm[fits[draws.whole(0, len(fits) - 1)]]
    jitter = [draws.uniform(-2, 2) for _ in range(3)]
    return float(z + jitter[0]), float(y + jitter[1]), float(x + jitter[2])
