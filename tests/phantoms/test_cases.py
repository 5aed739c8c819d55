from __future__ import annotations

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.phantoms import ABDOMEN_LABELS, PHANTOM_CASES, phantom_case


def test_the_abdomen_has_every_organ_where_anatomy_puts_it():
    case = phantom_case("abdomen", seed=0, shape=(6, 128, 128), spacing_mm=(6.0, 2.8, 2.8))
    place = {}
    for number, name in ABDOMEN_LABELS.items():
        inside = case.labels == number
        assert inside.any(), name
        place[name] = np.argwhere(inside.numpy()).mean(0)[1:] - 63.5  # y, x from the middle
    assert place["liver"][1] < -10 < 10 < place["spleen"][1]  # liver on the right, x runs to the left
    assert place["vertebra"][0] > place["aorta"][0] > place["stomach"][0]  # y runs to the back
    assert set(case.labels.unique().tolist()) == {0, *ABDOMEN_LABELS}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lesions_have_the_contrast_that_is_written_down(seed):
    case = phantom_case("abdomen", seed=seed, shape=(8, 192, 192), spacing_mm=(5.0, 1.9, 1.9))
    lesion = case.provenance["lesions"][0]
    z, y, x = (g - c for g, c in zip(np.meshgrid(*case.grid.axes_mm(), indexing="ij"), lesion["centre_mm"], strict=True))
    core = (np.sqrt(z**2 + y**2 + x**2) < 0.6 * lesion["radius_mm"]) & (case.labels.numpy() == 2)
    contrast = float(case.hu[core].mean() - case.hu[case.labels == 1].median())
    assert contrast == pytest.approx(lesion["contrast_hu"], abs=6)  # texture of SD 5 over some tens of voxels, and vessels
    assert -60 <= lesion["contrast_hu"] <= -20


def test_the_seed_decides_everything():
    small = {"shape": (3, 64, 64), "spacing_mm": (8.0, 5.6, 5.6)}
    a, b, c = (phantom_case("abdomen", seed=s, **small) for s in (0, 0, 1))
    assert torch.equal(a.hu, b.hu) and torch.equal(a.labels, b.labels) and not torch.equal(a.hu, c.hu)


def test_values_are_whole_hu_of_a_patient_in_air():
    hu = phantom_case("abdomen", shape=(2, 96, 96), spacing_mm=(5.0, 3.7, 3.7)).hu
    assert torch.equal(hu, hu.round()) and hu.min() >= -1024 and 300 < hu.max() < 1000
    assert float(hu[:, 0].mean()) == pytest.approx(-1000, abs=3)


@pytest.mark.parametrize("name", PHANTOM_CASES)
def test_every_phantom_becomes_a_case(name):
    case = phantom_case(name, shape=(2, 48, 48), spacing_mm=(5.0, 7.5, 7.5))
    assert case.hu.shape == (2, 48, 48) and torch.isfinite(case.hu).all()
    assert case.mu.max() > 0.9 * case.mu_water_per_mm


def test_an_unknown_phantom_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="did you mean 'abdomen'"):
        phantom_case("abdomn")
