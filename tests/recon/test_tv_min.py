"""TV: closed forms, a second implementation, the duality gap, weights, scale and refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, InputError, UnitsError
from taskct.core.units import UnitsWarning
from taskct.geometry import FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.projector import Projector
from taskct.recon import ConvergenceWarning, TvProblem, TvStep, fbp, tv_min, tv_steps
from taskct.recon.gradient import gradient, gradient_adjoint, gradient_norm_squared, total_variation
from taskct.recon.noise_level import noise_level
from taskct.recon.primal_dual import primal_dual_steps

BEAM = ParallelBeam(views=48, cols=48, pixel_mm=1.5)
GRID = Grid((32, 32), 2.0)
DISKS = [((0.0, 4.0, -8.0), 18.0, 0.02), ((0.0, -2.0, -4.0), 6.0, 0.01)]


def seen_from_above(rows: int, cols: int, spacing_mm: tuple[float, float, float]) -> Projector:
    """One view along z of a single layer: A is the thickness of the layer times the identity."""
    _, y_mm, x_mm = spacing_mm
    beam = VectorBeam(
        rows=rows,
        cols=cols,
        detector_mm=np.array([[100.0, 0, 0]]),
        col_step_mm=np.array([[0, 0, x_mm]]),
        row_step_mm=np.array([[0, y_mm, 0]]),
        direction=np.array([[1.0, 0, 0]]),
    )
    return Projector(Grid((1, rows, cols), spacing_mm), beam)


def noisy_scan(scan: Tensor, std: float = 0.03) -> Tensor:
    return scan + std * torch.randn(scan.shape, generator=torch.Generator().manual_seed(0), dtype=scan.dtype)


def test_tv_of_a_step_moves_both_sides_by_the_known_amount() -> None:
    high, wide, (z_mm, y_mm, x_mm) = 6, 10, (3.0, 2.0, 1.25)
    A = seen_from_above(high, wide, (z_mm, y_mm, x_mm))
    mu = torch.zeros(1, 1, 1, high, wide, dtype=torch.float64)
    mu[..., 4:] = 0.1
    # each side is constant, so 1/2 z^2 (mu - a)^2 * pixels + lambda * rows * |step| / x has its minimum in closed form
    h = (z_mm * y_mm * x_mm) ** (1 / 3)
    lam = 0.02 * h * (h * z_mm) ** 0.5  # strength * h * sqrt(h n w), n = A^T 1 = z_mm
    wanted = mu.clone()
    wanted[..., :4] += lam / (z_mm**2 * x_mm * 4)
    wanted[..., 4:] -= lam / (z_mm**2 * x_mm * 6)
    got = tv_min(z_mm * mu, A, strength=0.02, noise_std=1.0, iterations=4000, tolerance=1e-8)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0.0)  # gap 1e-8 of the objective
    assert float((wanted - mu).abs().max()) > 1e-3


def test_denoising_agrees_with_scikit_image() -> None:
    from skimage.restoration import denoise_tv_chambolle

    gen = torch.Generator().manual_seed(0)
    image = torch.zeros(24, 24, dtype=torch.float64)
    image[6:18, 8:20] = 1.0
    image += 0.1 * torch.randn(24, 24, generator=gen, dtype=torch.float64)
    A = seen_from_above(24, 24, (1.0, 1.0, 1.0))  # A = 1, h = n = 1, so lambda = strength
    f = image[None, None, None]
    got = tv_min(f, A, strength=0.2, noise_std=1.0, nonnegative=False, iterations=3000, tolerance=3e-5)
    theirs = torch.tensor(denoise_tv_chambolle(image.numpy(), weight=0.2, eps=1e-9, max_num_iter=5000))[None, None, None]

    def objective(u: Tensor) -> float:
        return float(0.5 * (u - f).square().sum() + 0.2 * total_variation(gradient(u, (1.0, 1.0, 1.0))).sum())

    assert objective(got) <= objective(theirs) * (1 + 3e-5)  # the gap that is left
    torch.testing.assert_close(got, theirs, atol=5e-3, rtol=0.0)  # of a step of 1; theirs still moves in flat parts


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_the_duality_gap_bounds_the_objective_and_goes_to_zero(
    weighted: bool, nonnegative: bool, scan_of_balls: Callable[..., Tensor]
) -> None:
    A = Projector(GRID, BEAM)
    clean = scan_of_balls(BEAM, DISKS, dtype=torch.float64)
    p = noisy_scan(clean)
    options = {"weights": 1e3 * torch.exp(-3 * clean)} if weighted else {"noise_std": 0.03}
    steps = list(tv_steps(p, A, TvProblem(iterations=900 if weighted else 250, nonnegative=nonnegative, **options)))
    last = steps[-1]
    assert float(last.gap) < (3e-4 if weighted else 3e-5)
    assert nonnegative == bool(last.mu.min() >= 0)
    for step in steps:  # the gap is a bound on what is left to gain, at every step
        assert float(step.gap) >= 0
        assert float(step.objective * (1 - step.gap)) <= float(last.objective) * (1 + 1e-9)
    gaps = [float(s.gap) for s in steps]
    assert gaps[30] < 0.05 * gaps[3]


def test_an_optimum_by_gap_cannot_be_improved_by_small_changes(scan_of_balls: Callable[..., Tensor]) -> None:
    A = Projector(GRID, BEAM)
    p = noisy_scan(scan_of_balls(BEAM, DISKS, dtype=torch.float64))
    *_, last = tv_steps(p, A, TvProblem(noise_std=0.03, iterations=250))
    h, n = 2.0, float(A.adjoint(torch.ones_like(p)).mean())
    lam = h * (h * n / 0.03**2) ** 0.5

    def objective(mu: Tensor) -> float:
        return float(0.5 * ((A(mu) - p) / 0.03).square().sum() + lam * total_variation(gradient(mu, (2.0, 2.0))).sum())

    best = objective(last.mu)
    assert best == pytest.approx(float(last.objective), rel=1e-9)
    gen = torch.Generator().manual_seed(5)
    for size in (1e-4, 1e-3):
        for _ in range(5):
            change = size * torch.randn(last.mu.shape, generator=gen, dtype=torch.float64)
            assert objective((last.mu + change).clamp(min=0)) > best * (1 - 1e-4)  # the gap that is left


def test_tv_with_its_defaults_beats_fbp_on_a_noisy_scan(scan_of_balls: Callable[..., Tensor]) -> None:
    A = Projector(GRID, BEAM)
    p = noisy_scan(scan_of_balls(BEAM, DISKS))
    clean = cgls_like_truth(A)
    error = lambda mu: float((mu - clean).square().mean().sqrt())
    assert error(tv_min(p, A)) < 0.6 * error(fbp(p, A, window="hann", frequency_scale=0.641))


def cgls_like_truth(A: Projector) -> Tensor:
    y, x = np.meshgrid(*A.grid.refined(4).axes_mm(), indexing="ij")
    fine = sum(mu * ((y - c[1]) ** 2 + (x - c[2]) ** 2 < r**2) for c, r, mu in DISKS)
    return torch.tensor(fine, dtype=torch.float32).reshape(1, 1, 32, 4, 32, 4).mean((3, 5))


def test_strength_needs_no_change_with_dose_units_of_weight_or_pixel_size(scan_of_balls: Callable[..., Tensor]) -> None:
    A = Projector(GRID, BEAM)
    p = noisy_scan(scan_of_balls(BEAM, DISKS, dtype=torch.float64))
    options = {"iterations": 900, "tolerance": 3e-4}
    by_std = tv_min(p, A, noise_std=0.03, **options)
    by_weights = tv_min(p, A, weights=torch.full_like(p, 0.03**-2), **options)
    torch.testing.assert_close(by_weights, by_std, atol=1e-4, rtol=0.0)  # both within a gap of 3e-4
    twice = Projector(Grid((32, 32), 4.0), ParallelBeam(views=48, cols=48, pixel_mm=3.0))  # everything twice as large
    torch.testing.assert_close(tv_min(p, twice, noise_std=0.03, **options), by_std / 2, atol=1e-4, rtol=0.0)


def test_rays_of_weight_zero_do_not_matter(scan_of_balls: Callable[..., Tensor]) -> None:
    A = Projector(GRID, BEAM)
    p = scan_of_balls(BEAM, DISKS)
    w = torch.full_like(p, 1e3)
    w[..., ::7, 20] = 0
    bad = torch.where(w == 0, torch.full_like(p, 5.0), p)
    start = torch.zeros(1, 1, 32, 32)
    options = {"weights": w, "start": start, "iterations": 200, "tolerance": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # the strength is set by the p-weighted mean weight, which the bad rays move by a little
        torch.testing.assert_close(tv_min(bad, A, **options), tv_min(p, A, **options), atol=2e-4, rtol=0.0)


def test_images_of_a_batch_end_as_they_end_alone(scan_of_balls: Callable[..., Tensor]) -> None:
    A = Projector(GRID, BEAM)
    p = scan_of_balls(BEAM, DISKS, dtype=torch.float64)
    batch = torch.cat([noisy_scan(p), noisy_scan(2 * p, 0.1), torch.zeros_like(p)])
    weights = torch.cat([torch.full_like(p, 1e3), 1e2 * torch.exp(-p), torch.ones_like(p)])
    for options in ({}, {"weights": weights}):
        together = tv_min(batch, A, **options)
        for k in range(3):
            alone = tv_min(batch[k : k + 1], A, **{n: v[k : k + 1] for n, v in options.items()})
            torch.testing.assert_close(together[k : k + 1], alone, atol=1e-10, rtol=1e-7)


def test_a_start_far_away_reaches_the_same_image(scan_of_balls: Callable[..., Tensor]) -> None:
    A = Projector(GRID, BEAM)
    p = noisy_scan(scan_of_balls(BEAM, DISKS, dtype=torch.float64))
    options = {"noise_std": 0.03, "iterations": 900, "tolerance": 3e-4}
    start = torch.full((1, 1, 32, 32), 0.05, dtype=torch.float64)
    torch.testing.assert_close(tv_min(p, A, start=start, **options), tv_min(p, A, **options), atol=3e-5, rtol=0.0)


@pytest.mark.parametrize("spacing_mm", [(2.0, 0.5), (3.0, 1.0, 0.7)])
def test_the_gradient_has_its_exact_transpose_its_norm_and_true_slopes(spacing_mm: tuple[float, ...]) -> None:
    shape = (5, 7, 6)[: len(spacing_mm)]
    gen = torch.Generator().manual_seed(0)
    mu = torch.rand((2, 1, *shape), generator=gen, dtype=torch.float64)
    z = torch.rand((len(shape), 2, 1, *shape), generator=gen, dtype=torch.float64)
    assert float((gradient(mu, spacing_mm) * z).sum()) == pytest.approx(
        float((mu * gradient_adjoint(z, spacing_mm)).sum()), rel=1e-12
    )
    for _ in range(200):
        mu = gradient_adjoint(gradient(mu / mu.norm(), spacing_mm), spacing_mm)
    assert 0.8 * gradient_norm_squared(spacing_mm) < float(mu.norm()) <= gradient_norm_squared(spacing_mm)
    slope = torch.arange(shape[-1], dtype=torch.float64).expand(1, 1, *shape) * spacing_mm[-1]
    assert float(total_variation(gradient(slope, spacing_mm))) == pytest.approx(np.prod(shape[:-1]) * (shape[-1] - 1))


def test_the_noise_level_is_read_from_the_scan(scan_of_balls: Callable[..., Tensor]) -> None:
    beam = FanBeam(views=180, cols=128, pixel_mm=1.0, source_iso_mm=200.0, source_detector_mm=400.0)
    p = scan_of_balls(beam, DISKS)
    batch = torch.cat([noisy_scan(p, 0.05), noisy_scan(p, 0.2)])
    assert noise_level(batch).flatten().tolist() == pytest.approx([0.05, 0.2], rel=0.05)  # statistics and some edges
    assert 0 < float(noise_level(p)) < 0.01
    assert float(noise_level(torch.zeros_like(p))) == 1.0


def test_too_few_iterations_warn_with_the_gap_that_was_reached(scan_of_balls: Callable[..., Tensor]) -> None:
    A = Projector(GRID, BEAM)
    with pytest.warns(
        ConvergenceWarning, match=r"ended after 15 iterations at a relative duality gap of .* tolerance of 1.0e-06"
    ):
        tv_min(noisy_scan(scan_of_balls(BEAM, DISKS)), A, iterations=15, tolerance=1e-6)
    seen: list[int] = []
    tv_min(scan_of_balls(BEAM, DISKS), A, tolerance=0.0, callback=lambda k, mu: seen.append(k) or k >= 20)
    assert seen == list(range(1, 21))


def test_errors_name_the_argument() -> None:
    A = Projector(GRID, BEAM)
    p = torch.full((1, 1, *A.p_shape), 0.1)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="tv_min expects strength > 0"):
            tv_min(p, A, strength=bad)
        with pytest.raises(ConfigError, match="tv_min expects noise_std > 0"):
            tv_min(p, A, noise_std=bad)
    with pytest.raises(ConfigError, match="iterations as a whole number"):
        tv_min(p, A, iterations=-1)
    with pytest.raises(InputError, match="weights or noise_std, got both"):
        tv_min(p, A, weights=p, noise_std=1.0)
    with pytest.raises(GeometryError, match="weights of the shape of p"):
        tv_min(p, A, weights=p[..., 1:])
    with pytest.raises(UnitsError, match="finite weights >= 0"):
        tv_min(p, A, weights=-p)
    with pytest.raises(UnitsError, match="not all of them 0"):
        tv_min(p, A, weights=0 * p)
    with pytest.raises(InputError, match=r"no gradient with respect to p; pass p\.detach"):
        tv_min(p.requires_grad_(True), A)


def test_relative_weights_are_warned_of_and_inverse_variances_are_not() -> None:
    A = Projector(GRID, BEAM)
    p = torch.full((1, 1, *A.p_shape), 2.0)
    with pytest.warns(UnitsWarning, match="the surest ray is 0.74 times its own noise"):
        tv_min(p, A, weights=(-p).exp(), iterations=1, tolerance=10.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnitsWarning)
        tv_min(p, A, weights=1000 * (-p).exp(), iterations=1, tolerance=10.0)


def test_both_methods_find_the_same_image_and_the_one_in_a_ramp_metric_with_a_fifth_of_the_projections(
    scan_of_balls: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    A = Projector(GRID, BEAM)
    p = noisy_scan(scan_of_balls(BEAM, DISKS, dtype=torch.float64))
    calls: list[int] = []
    forward = Projector.__call__
    monkeypatch.setattr(Projector, "__call__", lambda self, mu: calls.append(1) or forward(self, mu))

    def projections_until(steps: Iterator[TvStep], gap: float) -> tuple[int, Tensor]:
        calls.clear()
        for step in steps:
            if float(step.gap) < gap:
                return len(calls), step.mu
        raise AssertionError("the gap was not reached")

    options = TvProblem(noise_std=0.03, iterations=2000)
    few, image = projections_until(tv_steps(p, A, options), 1e-2)
    many, _ = projections_until(primal_dual_steps(p, A, options), 1e-2)
    assert 5 * few <= many
    _, image = projections_until(tv_steps(p, A, options), 1e-5)
    _, other = projections_until(primal_dual_steps(p, A, options), 1e-5)
    torch.testing.assert_close(image, other, atol=5e-5, rtol=0.0)  # of 0.02: gaps of 1e-5 on both sides


def test_images_of_a_batch_with_other_noise_and_scale_are_found_as_if_alone(scan_of_balls: Callable[..., Tensor]) -> None:
    A = Projector(GRID, BEAM)
    p = noisy_scan(scan_of_balls(BEAM, DISKS, dtype=torch.float64))
    batch = torch.cat(
        [p, 0.2 * p.flip(-1) + 0.01 * torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(1))]
    )
    together = tv_min(batch, A)
    for k in range(2):
        torch.testing.assert_close(together[k : k + 1], tv_min(batch[k : k + 1], A), atol=1e-9, rtol=1e-7)


def test_corners_that_few_views_see_do_not_hold_up_the_gap() -> None:
    # rays through air alone carry a dual value there: without it 21 steps are needed, of an image that is done after 14
    A = Projector(
        Grid((128, 128), 3.9), FanBeam(views=300, cols=256, pixel_mm=4.2, source_iso_mm=595.0, source_detector_mm=1085.6)
    )
    y, x = torch.meshgrid(torch.arange(128.0) - 63.5, torch.arange(128.0) - 63.5, indexing="ij")
    mu = 0.02 * ((x / 50) ** 2 + (y / 35) ** 2 < 1)[None, None]
    counts = torch.poisson(1e6 * torch.exp(-A(mu)), generator=torch.Generator().manual_seed(0))
    steps: list[TvStep] = []
    for step in tv_steps(-torch.log(counts / 1e6), A, TvProblem()):
        steps.append(step)
        if float(step.gap) < 1e-2:
            break
    assert len(steps) <= 16
    *_, last = tv_steps(-torch.log(counts / 1e6), A, TvProblem(iterations=60))
    for step in steps:
        assert float(step.objective * (1 - step.gap)) <= float(last.objective) * (1 + 1e-9)
