"""Settings of the chest experiment that cannot be meant are refused before any patient is painted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from taskct.core.errors import ConfigError
from taskct.evaluation.influence import Influence
from taskct.systems.chest.chest_comparing import gain_of
from taskct.systems.chest.chest_demo import DEMO
from taskct.systems.chest.chest_presets import PRESETS
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_steps import chest_steps


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sharings": ("uncertanty",)}, "unknown name in sharings 'uncertanty'; did you mean 'uncertainty'"),
        ({"doses": (2.0,)}, "doses are shares of the photons above 0 and up to 1"),
        ({"doses": (math.nan,), "bridge_steps": 0}, "doses are shares"),
        ({"batch": 0}, "batch is expected as 1 or more, got 0"),
        ({"seeds": 0}, "seeds is expected as 1 or more"),
        ({"steps": -1}, "steps is expected as 0 or more"),
        ({"lr": math.nan}, "lr is expected above 0, got nan"),
        ({"photons": -1.0}, "photons is expected above 0"),
        ({"pixel_mm": 0.0}, "pixel_mm is expected above 0"),
        ({"widths": ()}, "the small encoder expects at least two positive widths"),
        ({"fold": 3}, "fold is expected as 1, 2 or 4"),
        ({"crop": (96,)}, "crop expects rows and columns"),
        ({"validation_patients": 0}, "validation_patients are expected as 1 or more"),
        ({"shares": (0.001,)}, "leave one of 200"),
        ({"doses": (0.05, 0.0500000001)}, "doses are expected each once and apart in six digits"),
        ({"infection_share": 2.0}, "infection_share from 0 to 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ChestExperiment(**change)


def test_shares_that_round_to_one_percent_have_steps_of_their_own() -> None:
    names = [step.name for step in chest_steps(ChestExperiment(shares=(0.3, 0.304)))]
    assert {"segment-30pc-0", "segment-30.4pc-0"} <= set(names)


def test_trainings_of_other_lengths_have_a_number_of_seeds_of_their_own() -> None:
    arms = ChestExperiment(seeds=7, length_seeds=2).arms
    assert {arm.seed for arm in arms if arm.group == "all"} == set(range(7))
    assert {arm.seed for arm in arms if arm.length in ("computing", "longer")} == {0, 1}
    assert {arm.seed for arm in ChestExperiment(seeds=1, length_seeds=3).arms if arm.length == "longer"} == {0}


def test_every_preset_and_the_demo_can_be_meant() -> None:
    assert all(ChestExperiment(**preset).slice_mm > 0 for preset in (*PRESETS.values(), DEMO))


def test_differences_of_shares_end_where_shares_can_differ() -> None:
    after = Influence(np.array([0.95]), np.array([[0.2, 0.9, 1.6, 1.1]]))
    before = Influence(np.array([0.05]), np.array([[0.6, 0.1, -0.7, 0.2]]))
    assert gain_of("PSNR", after, before).high > 1.0
    gain = gain_of("AUC nodule", after, before)
    assert gain.mean == pytest.approx(0.9) and gain.high == 1.0
