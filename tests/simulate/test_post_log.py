"""Noise put on p itself: the spread that the delta method gives, view by view."""

from __future__ import annotations

import math

import pytest
import torch

from taskct.simulate.post_log import simulate_scan_post_log


@pytest.mark.parametrize("electronic_std", [0.0, 40.0])
@pytest.mark.parametrize(("p", "photons"), [(0.0, 1e4), (2.0, 1e4), (3.0, 2e5)])
def test_the_spread_is_that_of_the_delta_method(p, photons, electronic_std):
    clean = torch.full((1, 1, 100, 200), p, dtype=torch.float64)
    noisy = simulate_scan_post_log(clean, math.log(photons), seed=0, electronic_std=electronic_std)
    expected = photons * math.exp(-p)
    wanted = math.sqrt(expected + electronic_std**2) / expected
    assert float(noisy.std()) == pytest.approx(wanted, rel=0.03)  # of 20,000 draws, four times their own spread
    assert float(noisy.mean()) == pytest.approx(p, abs=4 * wanted / math.sqrt(clean.numel()))


def test_a_gradient_reaches_the_dose():
    log_photons = torch.tensor(9.0, requires_grad=True)
    noisy = simulate_scan_post_log(torch.full((1, 1, 4, 5), 1.0), log_photons, seed=0)
    (noisy - 1.0).square().sum().backward()
    assert log_photons.grad is not None and float(log_photons.grad) < 0  # more photons, less noise
