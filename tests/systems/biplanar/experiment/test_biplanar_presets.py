"""Named sizes of the bi-planar experiment, and the demo with the network of the package."""

from __future__ import annotations

import pytest

from taskct.cli.demo import _NEXT, SYSTEMS
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
