"""The differentiable twin: gradients against finite differences, agreement with exact counts where it claims it."""

from __future__ import annotations

import math

import pytest
import torch

from taskct.core.errors import GeometryError, InputError
from taskct.core.seeds import generator
from taskct.physics.dose import Dose
from taskct.simulate import add_noise, simulate_scan_differentiable


def _p(shape: tuple[int, ...] = (2, 1, 3, 5)) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=generator(0, "p")) * 9


@pytest.mark.parametrize("electronic_std", [0.0, 4.0])
@pytest.mark.parametrize("level_shape", [(), (2,), (2, 3)])
def test_gradients_equal_finite_differences_with_common_draws(electronic_std: float, level_shape: tuple[int, ...]) -> None:
    level = torch.full(level_shape, math.log(4096.0), dtype=torch.float64, requires_grad=True)
    p = _p().requires_grad_()
    modulation = torch.tensor([0.8, 1.0, 1.2], dtype=torch.float64, requires_grad=True)

    def scan(p: torch.Tensor, level: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        shape = modulation / modulation.mean()  # as the simulation does; keeps the check inside the 1 % rule
        return simulate_scan_differentiable(p, level, seed=1, electronic_std=electronic_std, modulation=shape)

    assert torch.autograd.gradcheck(scan, (p, level, modulation), eps=1e-6, atol=1e-6, rtol=1e-4)


def test_the_gradient_of_an_expectation_in_the_dose_matches_its_finite_difference() -> None:
    # E |p - p_clean|^2 over many draws; the pathwise gradient of the mean against the difference of means, same draws
    p = torch.full((1, 1, 100, 400), 4.0, dtype=torch.float64)
    error = lambda d: (simulate_scan_differentiable(p, d, seed=2) - p).square().mean()
    level = torch.tensor(math.log(1e4), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(error(level), level)
    step = 1e-4
    by_difference = (error(level.detach() + step) - error(level.detach() - step)) / (2 * step)
    assert slope.item() == pytest.approx(by_difference.item(), rel=1e-6)
    # first order: E = 1 / lambda, so dE / d log photons = -1 / lambda, lambda = 183; second order adds about 4 / lambda = 2 %
    assert slope.item() == pytest.approx(-math.exp(4) / 1e4, rel=0.05)


def test_starved_rays_keep_a_finite_gradient() -> None:
    for dtype in (torch.float32, torch.float64):
        p = torch.tensor([0.0, 9.0, 30.0, 300.0], dtype=dtype).reshape(1, 1, 1, 4).requires_grad_()
        for std in (0.0, 10.0):
            level = torch.tensor(math.log(256.0), dtype=dtype, requires_grad=True)
            noisy = simulate_scan_differentiable(p, level, seed=0, electronic_std=std)
            grads = torch.autograd.grad(noisy.sum(), (p, level))
            assert all(bool(torch.isfinite(g).all()) for g in (noisy, *grads))


@pytest.mark.parametrize("electronic_std", [0.0, 10.0])
@pytest.mark.parametrize("photons", [5.0, 8.0, 30.0, 1000.0])
def test_mean_and_spread_agree_with_exact_counts_from_5_photons_on(photons: float, electronic_std: float) -> None:
    p = torch.zeros((1, 1, 100, 2000), dtype=torch.float64)
    exact = add_noise(p, Dose(photons, electronic_std=electronic_std), seed=0)
    twin = simulate_scan_differentiable(p, math.log(photons), seed=0, electronic_std=electronic_std)
    # docs/dose.md tabulates 2.1 % and 2.7 % at worst; 200 000 rays, with the same draws, add less than 0.3 %
    assert twin.mean().item() == pytest.approx(exact.mean().item(), abs=0.03 * exact.std().item())
    assert twin.std().item() == pytest.approx(exact.std().item(), rel=0.03)


def test_the_plain_gaussian_agrees_from_30_photons_on() -> None:
    p = torch.zeros((1, 1, 100, 2000), dtype=torch.float64)
    exact = add_noise(p, Dose(30.0), seed=0)
    twin = simulate_scan_differentiable(p, math.log(30.0), seed=0, skewed=False)
    assert twin.std().item() == pytest.approx(exact.std().item(), rel=0.03)  # tabulated 2.0 %
    starved = simulate_scan_differentiable(p, math.log(8.0), seed=0, skewed=False)
    assert starved.std().item() > 1.15 * add_noise(p, Dose(8.0), seed=0).std().item()  # and not below


def test_the_same_seed_gives_the_draws_of_the_exact_simulation() -> None:
    p = _p((2, 1, 4, 50)) / 3
    exact = add_noise(p, Dose(1e6), seed=4, case_id="c", items=["i", "j"])
    twin = simulate_scan_differentiable(p, math.log(1e6), seed=4, case_id="c", items=["i", "j"])
    alike = torch.corrcoef(torch.stack([(exact - p).flatten(), (twin - p).flatten()]))[0, 1].item()
    assert alike > 0.9999


def test_dtype_and_shape_follow_p_and_levels_that_do_not_fit_are_refused() -> None:
    p = _p().float()
    assert simulate_scan_differentiable(p, 9.0, seed=0).dtype == torch.float32
    volume = torch.zeros(2, 1, 3, 2, 4)
    assert simulate_scan_differentiable(volume, torch.zeros(2, 3) + 8, seed=0).shape == volume.shape
    with pytest.raises(GeometryError, match=r"one number, \(2,\) for the batch or \(2, 3\) for its views, got \(3,\)"):
        simulate_scan_differentiable(p, torch.zeros(3), seed=0)
    with pytest.raises(InputError, match="electronic_std"):
        simulate_scan_differentiable(p, 9.0, seed=0, electronic_std=-1)
    with pytest.raises(InputError, match="seed expects"):
        simulate_scan_differentiable(p, 9.0, seed=0.5)  # type: ignore[arg-type]
