"""Nodules in a real chest: solid ones take the place of vessels, ground glass does not hide them, records and marks agree."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from chest_sets import tiny_chest

from taskct.core.errors import GeometryError, InputError
from taskct.data.case import Case
from taskct.data.lungs import find_lungs
from taskct.data.nodule_kinds import GLASS, PART_SOLID, SOLID
from taskct.phantoms.chest import insert_nodule

AT = (6, 24, 40)  # a sample in the left lung


def fine_chest() -> tuple[Case, tuple[float, float, float], torch.Tensor]:
    """A tiny chest with 2 mm pixels and a vessel through the place of the nodule."""
    small = tiny_chest()
    hu = small.hu.repeat_interleave(2, 1).repeat_interleave(2, 2)
    hu[6, 48, 60:100] = 60.0
    case = Case(hu, (2.5, 2.0, 2.0), "fine")
    z, y, x = (case.affine_mm @ [AT[0], 2 * AT[1], 2 * AT[2], 1.0])[:3]  # type: ignore[operator]
    return case, (float(z), float(y), float(x)), find_lungs(case).mask


@pytest.mark.parametrize(("kind", "low", "high"), [(SOLID, -60, 100), (PART_SOLID, -600, -200), (GLASS, -700, -380)])
def test_each_kind_has_its_density_and_leaves_the_rest_alone(kind: str, low: float, high: float) -> None:
    case, at, lungs = fine_chest()
    made = insert_nodule(case, centre_mm=at, diameter_mm=20.0, kind=kind, seed=1, lungs=lungs)
    (number,) = made.marks.numbers([kind])  # type: ignore[union-attr]
    mask = made.marks.instances == number  # type: ignore[union-attr]
    assert low < float(made.hu[mask].mean()) < high
    assert made.provenance["lesions"][0]["kind"] == kind and made.provenance["lesions"][0]["inserted"]
    volume = float(mask.sum()) * 10.0
    assert 0.7 < volume / (4 / 3 * np.pi * 10**3) < 1.6  # spicules add to the ball
    far = torch.ones(mask.shape, dtype=torch.bool)
    far[:, 20:76, 52:108] = False
    assert torch.equal(made.hu[far], case.hu[far])


def test_a_vessel_shows_through_ground_glass_and_not_above_soft_tissue_in_a_solid_nodule() -> None:
    case, at, lungs = fine_chest()
    glass = insert_nodule(case, centre_mm=at, diameter_mm=20.0, kind=GLASS, seed=1, lungs=lungs)
    solid = insert_nodule(case, centre_mm=at, diameter_mm=20.0, kind=SOLID, seed=1, lungs=lungs)
    assert float(glass.hu[6, 48, 80]) == 60.0 and float(glass.hu[6, 44, 80]) < -350
    assert float(solid.hu[6, 48, 80]) < 150


def test_the_same_seed_gives_the_same_nodule_and_another_seed_another() -> None:
    case, at, lungs = fine_chest()
    one, two, other = (insert_nodule(case, centre_mm=at, diameter_mm=12.0, seed=s, lungs=lungs) for s in (3, 3, 4))
    assert torch.equal(one.hu, two.hu) and not torch.equal(one.hu, other.hu)


def test_marks_that_are_known_get_one_more() -> None:
    case, at, lungs = fine_chest()
    once = insert_nodule(case, centre_mm=at, diameter_mm=12.0, seed=1, lungs=lungs)
    twice = insert_nodule(once, centre_mm=(at[0], at[1], at[2] - 100.0), diameter_mm=10.0, kind=GLASS, seed=2, lungs=lungs)
    assert len(twice.marks.numbers([SOLID, GLASS])) == 2 and len(twice.provenance["lesions"]) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"centre_mm": (0.0, 0.0, 0.0)}, "is not in the lungs"),
        ({"centre_mm": (0.0, math.nan, 0.0)}, "a place expects three finite numbers"),
        ({"centre_mm": (0.0, 0.0)}, "a place expects three finite numbers"),
        ({"kind": "solid nodul"}, "did you mean 'solid nodule'"),
        ({"diameter_mm": 80.0}, "from 2 to 60"),
        ({"diameter_mm": 2.0, "slice_thickness_mm": 10.0}, "fills no voxel by half"),
    ],
)
def test_what_cannot_be_inserted_is_refused(change: dict[str, object], words: str) -> None:
    case, at, lungs = fine_chest()
    asked = {"centre_mm": at, "diameter_mm": 12.0, "seed": 1, "lungs": lungs, **change}
    with pytest.raises(InputError, match=words):
        insert_nodule(replace(case), **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [(slice(None), slice(None), slice(0, 80)), (slice(0, 9),), (slice(None), slice(4, None))])
def test_lungs_on_another_grid_are_refused_even_where_they_hold_the_place(window: tuple[slice, ...]) -> None:
    case, at, lungs = fine_chest()
    with pytest.raises(GeometryError, match=r"lungs .* are on another grid than its CT"):
        insert_nodule(case, centre_mm=at, diameter_mm=12.0, seed=1, lungs=lungs[window])


def test_a_nodule_mostly_in_the_chest_wall_is_refused() -> None:
    case, (z, y, x), lungs = fine_chest()
    with pytest.raises(InputError, match=r"[4-9]\d% of a nodule of 40 mm .* would lie outside of the lungs, at most 35%"):
        insert_nodule(case, centre_mm=(z, y, x + 33.0), diameter_mm=40.0, seed=1, lungs=lungs)
