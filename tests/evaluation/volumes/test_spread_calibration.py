"""Spreads that are right, too small and too large, and the factor that mends them."""

from __future__ import annotations

import math

import pytest
import torch

from taskct.core.errors import InputError
from taskct.evaluation.volumes.spread_calibration import ensemble_spread, reliability, spread_factor


def drawn(factor: float, seed: int, n: int = 40000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A stated spread, and results whose error is `factor` times as wide, about a truth of zero."""
    g = torch.Generator().manual_seed(seed)
    spread = 0.5 + 2 * torch.rand(n, generator=g)
    return spread, factor * spread * torch.randn(n, generator=g), torch.zeros(n)


def test_a_spread_that_means_what_it_says_has_error_and_spread_equal_in_every_bin() -> None:
    curve = reliability(*drawn(1.0, 0))
    assert all(abs(e / s - 1) < 0.06 for s, e in zip(curve.spread, curve.error, strict=True))
    assert list(curve.spread) == sorted(curve.spread)
    assert abs(curve.within[0] - 0.683) < 0.01 and abs(curve.within[1] - 0.954) < 0.01
    assert curve.calibrated()


def test_a_factor_from_other_cases_calibrates_a_spread_that_is_too_small() -> None:
    spread, mu, truth = drawn(1 / 0.64, 1)
    assert not reliability(spread, mu, truth).calibrated()
    factor = spread_factor(*drawn(1 / 0.64, 2))  # cases of its own
    assert math.isclose(factor, 1 / 0.64, rel_tol=0.02)
    assert reliability(factor * spread, mu, truth).calibrated(0.03)


def test_voxels_that_never_vary_take_no_part() -> None:
    spread, mu, truth = drawn(1.0, 3)
    air = torch.zeros(100000)
    padded = reliability(torch.cat([spread, air]), torch.cat([mu, air]), torch.cat([truth, air]))
    assert padded == reliability(spread, mu, truth)


def test_wrong_spreads_are_refused() -> None:
    spread, mu, truth = drawn(1.0, 3, n=50)
    with pytest.raises(InputError, match="one shape"):
        reliability(spread[:-1], mu, truth)
    with pytest.raises(InputError, match="at least 0"):
        reliability(-spread, mu, truth)
    with pytest.raises(InputError, match="two members"):
        ensemble_spread(torch.zeros(1, 2, 1, 2, 2, 2))


def test_the_spread_of_an_ensemble_is_its_standard_deviation() -> None:
    members = torch.tensor([1.0, 2.0, 4.0]).reshape(3, 1, 1, 1, 1, 1)
    mean, spread = ensemble_spread(members)
    assert math.isclose(float(mean), 7 / 3, rel_tol=1e-6) and math.isclose(float(spread), 1.5275252, rel_tol=1e-6)
