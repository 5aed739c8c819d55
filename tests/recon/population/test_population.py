"""Population models: exact where theory says so, better than the mean where the scan says something, calibrated spread."""

from __future__ import annotations

import pickle
from itertools import pairwise

import pytest
import torch

from taskct import Grid, Projector
from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.geometry import bi_planar
from taskct.physics.projectors import Projectors
from taskct.recon.agree import Agreed, Agreement, agree
from taskct.recon.population import GaussianPopulation, MeanImage, NearestImage, Registered

N = 12
GRID = Grid((N, N, N), 8.0)


def beam(start: float = 0.0):
    return bi_planar(
        cols=N, rows=N, pixel_mm=12.0, source_iso_mm=1000, source_detector_mm=1500, angles_deg=(start, start + 90)
    )


A = Projector(GRID, beam())


def blobs(count: int, seed: int = 0) -> torch.Tensor:
    """Ellipsoids of random place, size and attenuation: (count, 1, N, N, N) in 1/mm."""
    g = torch.Generator().manual_seed(seed)
    line = torch.linspace(-1, 1, N)
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    made = []
    for _ in range(count):
        c, r = 0.25 * (torch.rand(3, generator=g) - 0.5), 0.45 + 0.3 * torch.rand(3, generator=g)
        far = ((z - c[0]) / r[0]) ** 2 + ((y - c[1]) / r[1]) ** 2 + ((x - c[2]) / r[2]) ** 2
        made.append((1 - far).mul(4).clamp(0, 1) * (0.015 + 0.01 * torch.rand(1, generator=g)))
    return torch.stack(made)[:, None]


POPULATION, OTHERS = blobs(40), blobs(6, seed=9)
P = A(OTHERS)


def error(mu: torch.Tensor) -> float:
    return float((mu - OTHERS).square().mean().sqrt())


def test_agreement_lowers_the_misfit_in_each_step_and_rests_at_the_truth() -> None:
    misfits = [float((A(agree(torch.zeros_like(OTHERS), P, A, steps=n)) - P).norm()) for n in (0, 1, 3, 10)]
    assert all(b < a for a, b in pairwise(misfits))
    assert torch.allclose(agree(OTHERS, P, A, steps=5), OTHERS, atol=1e-6)


def test_the_agreement_layer_has_the_gradient_of_its_steps_and_learns_its_relaxation() -> None:
    layer = Agreement(2, learnt=True)
    mu = torch.zeros_like(OTHERS, requires_grad=True)
    layer(mu, P, A).square().sum().backward()
    assert layer.relaxation.grad is not None and float(layer.relaxation.grad.abs().min()) > 0
    assert mu.grad is not None and float(mu.grad.abs().max()) > 0
    assert torch.allclose(Agreement(3)(mu, P, A), agree(mu, P, A, steps=3))
    small = Projector(
        Grid((3, 3, 3), 8.0), bi_planar(cols=4, rows=4, pixel_mm=12.0, source_iso_mm=100, source_detector_mm=150)
    )
    start, scan = torch.rand(1, 1, 3, 3, 3, dtype=torch.float64), torch.rand(1, 1, *small.p_shape, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda m, q: agree(m, q, small, steps=2), (start.requires_grad_(), scan.requires_grad_()))
    with pytest.raises(ConfigError, match="whole number >= 0"):
        Agreement(-1)


def test_rows_beat_one_another_in_the_order_that_theory_gives() -> None:
    mean = error(MeanImage(POPULATION)(P, A))
    nearest = error(NearestImage(POPULATION)(P, A))
    registered = error(Registered(MeanImage(POPULATION))(P, A))
    gaussian = error(GaussianPopulation(POPULATION, sigma=0.01)(P, A))
    assert max(nearest, registered, gaussian) < mean
    for method in (MeanImage(POPULATION), GaussianPopulation(POPULATION, sigma=0.01)):
        agreed = Agreed(method, 20)(P, A)
        assert float((A(agreed) - P).norm()) < float((A(method(P, A)) - P).norm())


def test_a_member_of_the_population_is_found_and_registration_finds_a_moved_and_denser_image() -> None:
    assert NearestImage(POPULATION).which(A(POPULATION[[7, 3]]), A).tolist() == [7, 3]
    from taskct.recon.population import register

    theta = torch.eye(3, 4)[None].clone()
    theta[0, :, 3] = torch.tensor([0.1, -0.08, 0.05])
    theta[0, 0, 0] = 1.1
    grid = torch.nn.functional.affine_grid(theta, [1, 1, N, N, N], align_corners=False)
    truth = 1.2 * torch.nn.functional.grid_sample(POPULATION[:1], grid, align_corners=False)
    before = (POPULATION[:1] - truth).square().mean().sqrt()
    after = (register(POPULATION[:1], A(truth), A) - truth).square().mean().sqrt()
    assert float(after) < 0.25 * float(before)


def test_the_gaussian_estimate_is_the_regularised_least_squares_solution() -> None:
    model = GaussianPopulation(POPULATION[:8], sigma=0.2)
    w = torch.zeros(8, 1, dtype=torch.float64, requires_grad=True)
    X = model.parts.flatten(1).double()
    Y = torch.cat([A(part[None]).flatten(1) for part in model.parts]).double()
    target = (P[:1].flatten(1) - A(model.mean).flatten(1)).double()
    optimiser = torch.optim.LBFGS([w], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = ((w.T @ Y - target).square().sum() / 0.2**2) + w.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    expected = model.mean.flatten().double() + (w.T @ X)[0]
    assert torch.allclose(model(P[:1], A).flatten().double(), expected.detach(), atol=1e-6)


def test_the_posterior_spread_is_that_of_the_inverse_of_the_whole_matrix() -> None:
    model = GaussianPopulation(POPULATION[:6], sigma=0.2)
    X = model.parts.flatten(1).double().T  # (voxels, N)
    Y = torch.cat([A(part[None]).flatten(1) for part in model.parts]).double().T  # (rays, N)
    posterior = torch.linalg.inv(torch.eye(6, dtype=torch.float64) + Y.T @ Y / 0.2**2)
    expected = (X @ posterior @ X.T).diagonal().clamp_min(0).sqrt()
    assert torch.allclose(model.spread(A).flatten().double(), expected, atol=1e-6)


def test_a_calibrated_spread_is_as_large_as_the_error_of_new_cases() -> None:
    held, fresh = blobs(20, seed=3), blobs(20, seed=4)
    model = GaussianPopulation(POPULATION, sigma=0.05).calibrated(held, A(held), A)
    mean, spread = model.estimate(A(fresh), A)
    wide = spread > 0.02 * spread.max()
    ratio = float(((mean - fresh).square()[wide].mean() / spread.square()[wide].mean()).sqrt())
    assert ratio == pytest.approx(1.0, abs=0.15)


def test_each_image_may_have_a_geometry_of_its_own() -> None:
    each = Projectors([Projector(GRID, beam(5.0 * k)) for k in range(len(OTHERS))])
    p = each(OTHERS)
    for method in (
        MeanImage(POPULATION), NearestImage(POPULATION), GaussianPopulation(POPULATION), Agreed(MeanImage(POPULATION), 3),
        Registered(MeanImage(POPULATION), rounds=2),
    ):  # fmt: skip
        together = method(p, each)
        alone = method(p[2:3], each.each[2])
        assert torch.allclose(together[2:3], alone, atol=1e-6)
    wrong = GaussianPopulation(POPULATION, sigma=0.02)(p, A)
    assert error(GaussianPopulation(POPULATION, sigma=0.02)(p, each)) < error(wrong)  # knowing the geometry helps


def test_models_survive_pickling_and_refuse_other_grids() -> None:
    model = GaussianPopulation(POPULATION)
    before = model(P, A)
    assert torch.equal(pickle.loads(pickle.dumps(model))(P, A), before)
    with pytest.raises(GeometryError, match="resample the population"):
        MeanImage(POPULATION[..., :-1])(P, A)
    with pytest.raises(InputError, match="at least two images"):
        GaussianPopulation(POPULATION[:1])
    with pytest.raises(InputError, match="finite images"):
        NearestImage(torch.full((2, 1, 4, 4, 4), float("nan")))


@pytest.mark.parametrize("learnt", [True, False])
def test_the_relaxation_is_a_weight_only_where_it_is_learnt(learnt: bool) -> None:
    assert Agreement(2, learnt=learnt).relaxation.requires_grad is learnt
    assert Agreement(2).relaxation.requires_grad is False
