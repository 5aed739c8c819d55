"""What of a CT lies outside of the training is said, each thing in a sentence; what lies inside is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from chest_sets import tiny_chest

from taskct.data.case import Case
from taskct.data.lungs import find_lungs
from taskct.phantoms.chest import ChestSettings
from taskct.phantoms.patient import make_patient
from taskct.systems.chest.ct_limits import SeenInTraining, facts_of_ct, outside_of_training


def told(case: Case, **known: tuple[float, float]) -> str:
    lungs = find_lungs(case)
    return "; ".join(outside_of_training(facts_of_ct(case, lungs), replace(lungs, notes=()), SeenInTraining(**known)))


def test_a_chest_of_fine_pixels_and_slices_lies_inside() -> None:
    small = tiny_chest()
    fine = small.hu.repeat_interleave(3, 1).repeat_interleave(3, 2)
    assert told(Case(fine, (2.5, 2.0, 2.0))) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spacing_mm": (10.0, 4.0, 4.0), "affine_mm": None}, "slices are 10.0 mm apart, in training up to 5 mm"),
        ({"provenance": {"slice_thickness_mm": 7.0}}, "slices are 7.0 mm thick, in training up to 3 mm"),
        ({"spacing_mm": (2.5, 6.0, 6.0), "affine_mm": None}, "pixels have 6.00 mm, in training up to 2 mm"),
        ({}, "the trunk is 204 mm wide, in training 270 to 470 mm"),
    ],
)
def test_each_fact_outside_is_a_sentence(change: dict[str, object], words: str) -> None:
    assert words in told(replace(tiny_chest(), **change))  # type: ignore[arg-type]


def test_noise_density_and_contrast_of_the_lung_are_compared() -> None:
    quiet = tiny_chest()
    noisy = replace(quiet, hu=quiet.hu + 60 * torch.randn(quiet.hu.shape, generator=torch.Generator().manual_seed(0)))
    assert "noise is about" in told(noisy) and "noise is about" not in told(quiet)
    dense = replace(
        quiet, hu=torch.where(quiet.hu < -700, quiet.hu.clamp(min=-700), quiet.hu).where(quiet.hu > -950, quiet.hu)
    )
    words = told(dense)
    assert "median of its lung is -7" in words and "HU denser than lung, in training 780 to 1000 HU" in words


def test_lungs_that_are_not_whole_are_said() -> None:
    lungs = find_lungs(tiny_chest())
    assert [w for w in outside_of_training({}, lungs) if "tips may be missing" in w]


def test_a_chest_that_is_turned_front_to_back_is_said() -> None:
    settings = ChestSettings(nodule_share=0, infection_share=0, effusion_share=0)
    made = make_patient(3, 1, site="chest", shape=(16, 72, 88), spacing_mm=(12.0, 5.0, 5.0), settings=settings, texture=False)
    for case, said in ((made.case, False), (replace(made.case, hu=made.case.hu.flip(1)), True)):
        lungs = find_lungs(case)
        words = outside_of_training(facts_of_ct(case, lungs), lungs)
        assert any("the CT may be turned front to back" in one for one in words) == said
