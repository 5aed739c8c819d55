"""A network that has learnt nothing is named; one that merely scores like the atlas is not."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import InputError
from taskct.evaluation.volumes.atlas_check import check_against_atlas

WATER = 0.02
NAMES = [f"skull-{i}" for i in range(12)]


def truths() -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    return 0.02 + 0.004 * torch.randn(12, 1, 6, 6, 6, generator=g)


TRUTH = truths()
ATLAS = TRUTH.mean(0, keepdim=True)


def check(mu: torch.Tensor):
    return check_against_atlas(mu, TRUTH, ATLAS, NAMES, mu_water_per_mm=WATER)


def test_the_atlas_and_a_network_stuck_near_it_are_named() -> None:
    for stuck in (ATLAS.expand_as(TRUTH), ATLAS + 0.03 * (TRUTH - ATLAS), ATLAS + 1e-4 * torch.randn_like(TRUTH)):
        found = check(stuck)
        assert found.equals_atlas and not found.beats_atlas and "learnt nothing" in found.text


def test_results_nearer_to_the_truths_beat_it() -> None:
    found = check(ATLAS + 0.4 * (TRUTH - ATLAS))
    assert found.beats_atlas and not found.equals_atlas and found.gain_db.low > 1


def test_results_far_from_the_atlas_that_are_no_better_are_not_called_the_atlas() -> None:
    """Those of another patient depart from it as far as truths do: shuffled radiographs are a failure of another kind."""
    found = check(TRUTH.roll(1, 0))
    assert not found.equals_atlas and not found.beats_atlas and found.moved > 0.9 and "not better" in found.text


def test_results_that_only_score_like_the_atlas_are_not_called_the_atlas() -> None:
    found = check(2 * TRUTH - ATLAS)  # as far beyond the truth as the atlas is before it
    assert abs(found.gain_db.mean) < 0.1 and not found.equals_atlas and found.moved > 3


def test_cases_and_patients_must_match() -> None:
    with pytest.raises(InputError, match="a patient per case"):
        check_against_atlas(TRUTH, TRUTH, ATLAS, NAMES[:-1], mu_water_per_mm=WATER)
