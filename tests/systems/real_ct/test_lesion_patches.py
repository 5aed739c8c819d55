"""Patches at random doses with pairs, and the terms that they are judged by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.systems.real_ct.contrast_terms import image_error, lost_contrast, mean_gain
from taskct.systems.real_ct.lesion_patches import LesionPatches
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment
from taskct.training.batch import Batch

SETTINGS = RealCTExperiment(patch=64, batch=6, pairs=2)


def slices(count: int = 3) -> list[np.ndarray]:
    """Soft tissue of 50 HU with the channels of a prepared slice; the noise of its draws is white."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        one = np.zeros((7, 150, 140), np.float32)
        one[0] = 50 + rng.normal(0, 3, one.shape[1:])
        one[1] = one[0]
        one[3:5] = rng.normal(0, 20, (2, *one.shape[1:]))
        one[5:] = rng.normal(0, 55, (2, *one.shape[1:]))
        found.append(one.astype(np.float16))
    return found


def batch(step: int = 0) -> Batch:
    return LesionPatches(slices(), slices(), SETTINGS).batch(step)


def answered(one: Batch, image: torch.Tensor) -> Batch:
    return one.with_answers({"image_hu": image})


def test_a_batch_depends_on_its_step_alone_and_pairs_share_noise_and_anatomy() -> None:
    one, again, other = batch(3), batch(3), batch(4)
    for name, value in one.targets.items():
        assert torch.equal(value, again.targets[name])
    assert not torch.equal(one.targets["fbp_hu"], other.targets["fbp_hu"])
    t = one.targets
    assert len(one) == 6 and t["added_hu"].shape == (2, 1, 64, 64)
    assert torch.equal(t["truth_hu"][4:] - t["truth_hu"][2:4], (t["truth_hu"][2:4] + t["added_hu"]) - t["truth_hu"][2:4])
    assert torch.equal(t["noise_hu"][4:], t["noise_hu"][2:4])
    change = t["fbp_hu"][4:] - t["fbp_hu"][2:4]  # the scan blurs the lesion and keeps its sum
    assert abs(float(change.sum() / t["added_hu"].sum()) - 1) < 0.05 and bool((t["lesion"] > 0).any())
    assert float(change[(t["lesion"] == 0)[:, None]].abs().max()) < 15


def test_the_noise_map_tells_the_noise_of_each_patch() -> None:
    one = batch(1)
    error = (one.targets["fbp_hu"] - one.targets["truth_hu"])[:4].flatten(1).std(1)
    told = one.targets["noise_hu"][:4].flatten(1).mean(1)
    assert torch.allclose(told, error, rtol=0.12, atol=1.0)


def test_the_whole_contrast_costs_nothing_none_of_it_one_and_noise_does_not_pay() -> None:
    one = batch(2)
    truth, pairs = one.targets["truth_hu"], 2
    whole = lost_contrast(answered(one, truth))
    assert whole is not None and float(whole) < 1e-6
    none = truth.clone()
    none[-pairs:] = truth[-2 * pairs : -pairs]
    assert float(lost_contrast(answered(one, none))) == pytest.approx(1.0)  # type: ignore[arg-type]
    half = truth.clone()
    half[-pairs:] = truth[-2 * pairs : -pairs] + 0.5 * one.targets["added_hu"]
    assert float(lost_contrast(answered(one, half))) == pytest.approx(0.25, abs=1e-4)  # type: ignore[arg-type]
    noise = 30 * torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    noisy = truth.clone()
    noisy[-pairs:] += noise
    noisy[-2 * pairs : -pairs] += noise
    assert float(lost_contrast(answered(one, noisy))) < 1e-6  # type: ignore[arg-type]
    assert mean_gain(answered(one, half))["gain"] == pytest.approx(0.5, abs=1e-4)


def test_the_image_error_weighs_by_the_noise_and_a_batch_without_lesions_has_no_contrast() -> None:
    one = batch(0)
    wrong = one.targets["truth_hu"] + 10
    assert float(image_error(answered(one, one.targets["truth_hu"]))) == 0
    louder = replace(one, targets={**one.targets, "noise_hu": 2 * one.targets["noise_hu"]})
    assert float(image_error(answered(louder, wrong))) == pytest.approx(float(image_error(answered(one, wrong))) / 2)
    bare = replace(one, targets={**one.targets, "lesion": torch.zeros_like(one.targets["lesion"])})
    assert lost_contrast(answered(bare, wrong)) is None


def test_settings_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 x pairs"):
        RealCTExperiment(batch=4, pairs=3)
    with pytest.raises(ConfigError, match="abdomen_crlm1004"):
        RealCTExperiment(judged=("abdomen_crlm1005",))
