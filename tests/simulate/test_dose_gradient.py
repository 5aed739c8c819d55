"""The gradient in d = ln n0 against finite differences of exact Poisson expectations; scouts; noise after the log."""

import math

import pytest
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.simulate import simulate_scan_differentiable
from taskct.simulate.differentiable import twin_counts
from taskct.simulate.post_log import simulate_scan_post_log
from taskct.simulate.scout import scout_views, take_scout

Z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
WEIGHT = torch.exp(-Z * Z / 2) / torch.exp(-Z * Z / 2).sum()


def exact_square(d: float, p: float) -> float:
    """E (noisy p - p)^2 under Poisson counts with the floor 0.1, summed."""
    expected = math.exp(d - p)
    n = torch.arange(0, int(expected + 12 * math.sqrt(expected) + 40), dtype=torch.float64)
    chance = torch.exp(n * math.log(expected) - expected - torch.lgamma(n + 1))
    return float((chance * (d - torch.log(n.clamp_min(0.1)) - p) ** 2).sum())


def twin_gradient(d: float, p: float) -> float:
    """d/dd of the same under the twin, by autograd through the expectation."""
    level = torch.tensor(d, dtype=torch.float64, requires_grad=True)
    counts = twin_counts(level - p + 0 * Z, Z, electronic_std=0.0, floor_photons=0.1)
    value = (WEIGHT * (level - torch.log(counts) - p) ** 2).sum()
    return float(torch.autograd.grad(value, level)[0])


@pytest.mark.parametrize("power", [8, 12, 16])
@pytest.mark.parametrize("p", [0.0, 2.0, 4.0, 6.0, 8.0])
def test_the_gradient_in_d_is_that_of_exact_poisson_expectations(power: int, p: float) -> None:
    d = power * math.log(2)
    if math.exp(d - p) < 10:
        pytest.skip("fewer than 10 photons: outside the twin's domain")
    step = 1e-3
    finite = (exact_square(d + step, p) - exact_square(d - step, p)) / (2 * step)
    # at 10 photons third moments of twin and counts part (8.4 % at the worst of these); from 30 photons on it is 1 %
    assert twin_gradient(d, p) == pytest.approx(finite, rel=0.10 if math.exp(d - p) < 30 else 0.012)


def test_noise_after_the_log_gets_the_gradient_of_starved_rays_wrong() -> None:
    d, p = 8 * math.log(2), 6.0  # 0.6 photons
    finite = (exact_square(d + 1e-3, p) - exact_square(d - 1e-3, p)) / 2e-3
    post_log = -math.exp(p - d)  # of exp(p - d), its variance
    # counts: a starved ray ends at the floor, so more dose makes it noisier at first; after the log it only gets better
    assert post_log < -1.5 and finite > 0


def test_noise_after_the_log_has_the_draws_of_the_twin_and_its_gradient() -> None:
    p = torch.full((1, 1, 20, 30), 3.0)
    d = torch.tensor(11.0, requires_grad=True)
    one = simulate_scan_post_log(p, d, seed=3)
    other = simulate_scan_differentiable(p, d, seed=3)
    correlation = torch.corrcoef(torch.stack([one.detach().flatten(), other.detach().flatten()]))[0, 1]
    assert correlation > 0.999
    assert float(one.detach().std()) == pytest.approx(float(other.detach().std()), rel=0.02)
    assert torch.autograd.grad((one - p).square().sum(), d)[0] < 0


def projector(start_deg: float = 0.0, views: int = 40) -> Projector:
    beam = ParallelBeam(views=views, cols=30, pixel_mm=10.0, start_deg=start_deg)
    return Projector(Grid((24, 24), 10.0), beam)


def ellipse() -> Tensor:
    y, x = (torch.linspace(-115, 115, 24),) * 2
    return (0.02 * ((y[:, None] / 60) ** 2 + (x / 100) ** 2 < 1).float())[None, None]


def test_a_scout_sees_the_front_and_the_side() -> None:
    A = projector()
    front, side = take_scout(A(ellipse()), A, photons=None).amax(-1)[:, 0]
    assert float(front) == pytest.approx(0.02 * 120, rel=0.1) and float(side) == pytest.approx(0.02 * 200, rel=0.1)
    assert scout_views(A) == (0, 20)


def test_scout_noise_is_repeatable_and_small() -> None:
    A = projector()
    p = A(ellipse())
    one, two = (take_scout(p, A, seed=4, case_id="x") for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(one, take_scout(p, A, seed=5, case_id="x"))
    assert float((one - take_scout(p, A, photons=None)).abs().max()) < 0.2


def test_a_beam_without_a_side_view_has_no_scout() -> None:
    A = projector().subset(range(5))
    with pytest.raises(GeometryError, match="the side"):
        scout_views(A)
