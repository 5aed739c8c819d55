"""SIRT, CGLS and OS-SART: what they converge to, how, and when they stop."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, UnitsError
from taskct.geometry import FanBeam, Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.recon import cgls, os_sart, sirt

GRID = Grid((6, 5), 2.0)
BEAM = ParallelBeam(views=11, cols=12, pixel_mm=1.2, start_deg=3.0, col_offset_mm=0.3)


@pytest.fixture(name="A")
def projector() -> Projector:
    return Projector(GRID, BEAM)


@pytest.fixture
def dense(A: Projector) -> Tensor:
    """A as a matrix (rays, pixels), float64."""
    basis = torch.eye(30, dtype=torch.float64).reshape(30, 1, 6, 5)
    return A(basis).reshape(30, -1).T


@pytest.fixture
def noisy(A: Projector) -> Tensor:
    """A scan that no image explains."""
    gen = torch.Generator().manual_seed(0)
    mu = 0.02 * torch.rand((1, 1, 6, 5), generator=gen, dtype=torch.float64)
    return A(mu) + 0.02 * torch.randn((1, 1, *A.p_shape), generator=gen, dtype=torch.float64)


def test_sirt_converges_to_least_squares_weighted_with_ray_lengths(A: Projector, dense: Tensor, noisy: Tensor) -> None:
    rows = dense.sum(1)
    root = torch.where(rows > 1e-9, rows.clamp(min=1e-9).rsqrt(), torch.zeros_like(rows))
    wanted = torch.linalg.lstsq(root[:, None] * dense, root * noisy.flatten()).solution
    got = sirt(noisy, A, iterations=500, relaxation=1.9).flatten()
    torch.testing.assert_close(got, wanted, atol=1e-9, rtol=1e-7)  # linear convergence, 500 steps


def test_cgls_converges_to_least_squares_with_a_residual_that_never_grows(A: Projector, dense: Tensor, noisy: Tensor) -> None:
    sizes = []
    got = cgls(noisy, A, iterations=60, callback=lambda k, mu: sizes.append(float((noisy - A(mu)).norm())))
    wanted = torch.linalg.lstsq(dense, noisy.flatten()).solution
    torch.testing.assert_close(got.flatten(), wanted, atol=1e-9, rtol=1e-7)
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(sizes))


def test_cgls_with_damping_is_tikhonov(A: Projector, dense: Tensor, noisy: Tensor) -> None:
    eye = torch.eye(30, dtype=torch.float64)
    wanted = torch.linalg.solve(dense.T @ dense + 2.0**2 * eye, dense.T @ noisy.flatten())
    torch.testing.assert_close(cgls(noisy, A, iterations=60, damping_mm=2.0).flatten(), wanted, atol=1e-10, rtol=1e-8)


def test_cgls_rests_at_the_solution_instead_of_dividing_rounding_errors(A: Projector) -> None:
    mu = torch.rand((1, 1, 6, 5), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(cgls(A(mu), A, iterations=500), mu, atol=2e-4, rtol=1e-3)  # float32, condition about 30
    assert torch.equal(cgls(torch.zeros(1, 1, *A.p_shape), A), torch.zeros(1, 1, 6, 5))


def test_one_subset_is_sirt(A: Projector, noisy: Tensor) -> None:
    torch.testing.assert_close(
        os_sart(noisy, A, iterations=7, subsets=1, relaxation=0.8), sirt(noisy, A, iterations=7, relaxation=0.8)
    )


@pytest.mark.parametrize("subsets", [2, 5, 11])
def test_os_sart_reaches_a_consistent_solution_in_fewer_passes_than_sirt(A: Projector, subsets: int) -> None:
    mu = torch.rand((1, 1, 6, 5), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p = A(mu)
    passes = {}
    for name, solve in (("sirt", sirt), ("os_sart", lambda *a, **k: os_sart(*a, subsets=subsets, relaxation=1.0, **k))):
        errors = []
        solve(p, A, iterations=60, callback=lambda k, x, errors=errors: errors.append(float((x - mu).norm())))
        passes[name] = errors
    assert passes["os_sart"][29] < passes["sirt"][59]
    assert passes["os_sart"][59] < passes["os_sart"][29]


@pytest.mark.parametrize("solve", [sirt, os_sart])
def test_non_negative_images_have_no_negative_values(solve: object, A: Projector, noisy: Tensor) -> None:
    assert float(solve(noisy - 0.05, A).min()) < 0  # type: ignore[operator]
    assert float(solve(noisy - 0.05, A, nonnegative=True).min()) >= 0  # type: ignore[operator]


@pytest.mark.parametrize("solve", [sirt, cgls, os_sart])
def test_iterations_from_a_start_image_go_on_from_it(solve: object, A: Projector) -> None:
    mu = torch.rand((1, 1, 6, 5), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    before = mu.clone()
    got = solve(A(mu), A, iterations=2, start=mu)  # type: ignore[operator]
    torch.testing.assert_close(got, mu, atol=1e-12, rtol=1e-9)
    assert torch.equal(mu, before) and got is not mu


@pytest.mark.parametrize("solve", [sirt, cgls, os_sart])
def test_a_callback_stops_and_a_tolerance_rests(solve: object, A: Projector, noisy: Tensor) -> None:
    seen: list[int] = []
    three = solve(noisy, A, iterations=50, callback=lambda k, mu: seen.append(k) or k == 3)  # type: ignore[operator]
    assert seen == [1, 2, 3]
    torch.testing.assert_close(three, solve(noisy, A, iterations=3))  # type: ignore[operator]
    seen.clear()
    solve(noisy, A, iterations=400, tolerance=1e-3, callback=lambda k, mu: seen.append(k) and None)  # type: ignore[operator]
    assert 2 <= len(seen) < 400


@pytest.mark.parametrize("solve", [sirt, cgls, os_sart])
def test_images_of_a_batch_rest_on_their_own(solve: object, A: Projector, noisy: Tensor) -> None:
    batch = torch.cat([noisy, 3 * noisy.flip(-1) + 0.1, torch.zeros_like(noisy)])
    together = solve(batch, A, iterations=100, tolerance=1e-3)  # type: ignore[operator]
    for k in range(3):
        alone = solve(batch[k : k + 1], A, iterations=100, tolerance=1e-3)  # type: ignore[operator]
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("solve", [sirt, cgls, os_sart])
def test_a_few_iterations_are_differentiable_by_unrolling(solve: object) -> None:
    A = Projector(Grid((4, 3), 2.0), FanBeam(views=4, cols=6, pixel_mm=4.0, source_iso_mm=30.0, source_detector_mm=60.0))
    gen = torch.Generator().manual_seed(3)
    p = torch.rand((1, 1, 4, 6), generator=gen, dtype=torch.float64, requires_grad=True)
    extra = {"subsets": 2} if solve is os_sart else {}
    assert torch.autograd.gradcheck(lambda x: solve(x, A, iterations=2, **extra), (p,))  # type: ignore[operator]


def test_progress_is_drawn_when_asked(A: Projector, noisy: Tensor, capfd: pytest.CaptureFixture[str]) -> None:
    sirt(noisy, A, iterations=2)
    assert capfd.readouterr().err == ""
    sirt(noisy, A, iterations=2, progress=True)


def test_errors_name_the_argument(A: Projector, noisy: Tensor) -> None:
    for solve in (sirt, cgls, os_sart):
        for count in (0, -3, 2.5, True):
            with pytest.raises(ConfigError, match=f"{solve.__name__} expects iterations as a whole number of at least 1"):
                solve(noisy, A, iterations=count)
        with pytest.raises(ConfigError, match="tolerance >= 0"):
            solve(noisy, A, tolerance=-1.0)
        with pytest.raises(GeometryError, match=r"expects start of shape \(1, 1, 6, 5\), got \(1, 1, 5, 6\)"):
            solve(noisy, A, start=torch.zeros(1, 1, 5, 6))
        with pytest.raises(UnitsError, match="finite start"):
            solve(noisy, A, start=torch.full((1, 1, 6, 5), float("nan")))
    with pytest.raises(ConfigError, match=r"relaxation > 0 and < 2, got 2\.0"):
        sirt(noisy, A, relaxation=2.0)
    with pytest.raises(ConfigError, match="damping_mm >= 0"):
        cgls(noisy, A, damping_mm=-1.0)
    with pytest.raises(ConfigError, match=r"one subset per view \(11\), got subsets=12"):
        os_sart(noisy, A, subsets=12)
