"""Phantoms as cases, for everything that wants a patient."""

from __future__ import annotations

import torch

from taskct.core.errors import unknown_name
from taskct.core.units import MU_WATER_70KEV_PER_MM, to_hu
from taskct.data.case import Case
from taskct.geometry import Grid
from taskct.phantoms.abdomen.drawn import abdomen_like
from taskct.phantoms.exact.ellipses import Phantom, disk, ellipses
from taskct.phantoms.exact.head import forbild_like_head
from taskct.phantoms.exact.shepp_logan import shepp_logan

PHANTOM_CASES = ("abdomen", "head", "shepp_logan", "disk", "ellipses")


def phantom_case(
    name: str = "abdomen",
    *,
    seed: int = 0,
    shape: tuple[int, int, int] = (8, 256, 256),
    spacing_mm: tuple[float, float, float] = (5.0, 1.4, 1.4),
) -> Case:
    """A built-in phantom as a Case of `shape`: "abdomen" (with labels, varied by `seed`), "head", "shepp_logan", "disk",
    "ellipses" (varied by `seed`). All but the abdomen are the same in every slice and fill 90 % of the grid's circle.

    >>> phantom_case("disk", shape=(1, 32, 32)).mu.max().item()  # water at 70 keV
    0.019290000200271606
    """
    if name == "abdomen":
        return abdomen_like(seed=seed, shape=shape, spacing_mm=spacing_mm)
    grid = Grid(shape[1:], spacing_mm[1:])
    radius_mm = 0.9 * grid.inscribed_radius_mm
    water = MU_WATER_70KEV_PER_MM
    made: dict[str, Phantom] = {
        "head": forbild_like_head(scale=radius_mm / 120, mu_water_per_mm=water),
        "shepp_logan": shepp_logan(radius_mm=radius_mm / 0.92, mu_per_mm=water),
        "disk": disk(radius_mm, mu_per_mm=water),
        "ellipses": ellipses(seed=seed, radius_mm=radius_mm, mu_per_mm=water),
    }
    if name not in made:
        raise unknown_name("phantom", name, PHANTOM_CASES)
    mu = made[name].rasterise(grid, dtype=torch.float64)[0]
    hu = to_hu(mu, mu_water_per_mm=water).float().expand(shape).contiguous()
    return Case(
        hu=hu,
        spacing_mm=spacing_mm,
        case_id=f"{name}-{seed}" if name == "ellipses" else name,
        mu_water_per_mm=water,
        provenance={"format": "phantom", "source": name, "seed": seed, "notes": []},
    )
