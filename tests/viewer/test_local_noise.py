"""Noise maps."""

from __future__ import annotations

import pytest
import torch

from taskct.viewer.local_noise import noise_map


def _noise(sd: float) -> torch.Tensor:
    return sd * torch.randn(96, 96, generator=torch.Generator().manual_seed(1))


def test_with_a_truth_the_map_is_the_local_sd_of_the_difference_whatever_the_anatomy():
    truth = torch.zeros(96, 96)
    truth[:, 40:] = 500.0
    noisy = truth + _noise(10.0)
    noisy[48:] = truth[48:] + _noise(40.0)[48:]
    found = noise_map(noisy, (1.0, 1.0), truth)
    assert float(found[8:40].mean()) == pytest.approx(10, rel=0.05)
    assert float(found[56:88].mean()) == pytest.approx(40, rel=0.05)


def test_without_a_truth_white_noise_is_found_on_a_slope_of_anatomy():
    slope = torch.arange(96.0)[None] * 5
    inner = noise_map(slope + _noise(25.0), (1.0, 1.0))[8:-8, 8:-8]
    assert float(inner.mean()) == pytest.approx(25, rel=0.05)


def test_a_shift_of_all_values_is_not_noise():
    truth = _noise(30.0)
    assert float(noise_map(truth + 50, (2.0, 2.0), truth).max()) < 1e-2
