"""Named sizes of the bi-planar experiment, and the demo with the network of the package."""

from __future__ import annotations

import math
from typing import Any

import pytest

from taskct.cli.demo import _NEXT, SYSTEMS
from taskct.core.errors import ConfigError
from taskct.models import open_model, shipped_models
from taskct.recon.learned import load_reconstructor, trained_for
from taskct.systems.biplanar.experiment import PRESETS, BiPlanar, biplanar_steps
from taskct.systems.biplanar.experiment.biplanar_presets import DEMO, NETWORK_OF_PACKAGE
from taskct.systems.biplanar.experiment.shared_skulls import geometry_of
from taskct.systems.catalogue import EXPERIMENTS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_steps_that_end_with_a_page(name: str) -> None:
    steps = biplanar_steps(BiPlanar(**PRESETS[name]))
    assert steps[0].name == "skulls" and steps[-1].name == "report" and steps[-1].always


def test_the_demo_shows_other_skulls_than_those_of_the_networks_training_through_its_own_geometry() -> None:
    demo = BiPlanar(**DEMO)
    assert demo.seed != BiPlanar().seed and not demo.nets and demo.package == (NETWORK_OF_PACKAGE,)
    assert NETWORK_OF_PACKAGE in shipped_models()
    about = trained_for(load_reconstructor(NETWORK_OF_PACKAGE))
    assert about is not None and about.geometry_differences(geometry_of(demo, demo.views)) == []
    model = open_model(NETWORK_OF_PACKAGE)
    assert model.weights.stat().st_size < 5e6
    assert model.card is not None and {f.of for f in model.card.figures} >= {"second family", "radiographs of another skull"}


def test_the_demo_is_known_by_its_name() -> None:
    assert set(SYSTEMS["biplanar"]) <= set(EXPERIMENTS) and any(NETWORK_OF_PACKAGE in line for line in _NEXT["biplanar"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 0}, "one image in a batch"),
        ({"geometries": 0}, "one geometry"),
        ({"lr": math.nan}, "lr is expected above 0, got nan"),
        ({"photons": 0.0}, "photons is expected above 0"),
        ({"field_mm": -1.0}, "field_mm is expected above 0"),
        ({"source_iso_mm": 2000.0}, "the detector stands behind the skull"),
        ({"size": 0}, "a size that divides by 8"),
        ({"pose_errors": (math.nan,)}, "pose_errors above 0"),
        ({"view_counts": (3,), "main_nets": ()}, "main_nets are empty"),
        ({"view_counts": (2, 2)}, "view_counts are expected each once"),
        ({"pose_errors": (3.0, 3.0000001)}, "pose_errors are expected each once and apart in six digits"),
        ({"plain": (), "nets": ()}, "a row in nets, package or plain"),
        ({"age_months": (0.0, 500.0)}, "within 0 to 240 months"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_before_any_skull_is_drawn(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BiPlanar(**change)
