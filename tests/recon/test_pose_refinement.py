"""Poses refined by radiographs: exact on the true image, better than wrong ones on an estimate, refused where senseless."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskct import Grid, ParallelBeam, Projector
from taskct.core.errors import ConfigError, GeometryError
from taskct.geometry import bi_planar
from taskct.physics.projectors import Projectors
from taskct.recon.population import GaussianPopulation
from taskct.recon.pose_refinement import PoseRefined, reconstruct_and_refine, refine_poses

N = 20
GRID = Grid((N, N, N), 9.0)
A = Projector(GRID, bi_planar(cols=N, rows=N, pixel_mm=15.0, source_iso_mm=1000, source_detector_mm=1500))


def heads(count: int, seed: int) -> torch.Tensor:
    """Shells with two dense rods inside, of random size and place: (count, 1, N, N, N) in 1/mm."""
    g = torch.Generator().manual_seed(seed)
    line = (torch.arange(N) - (N - 1) / 2) * 9.0
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    made = []
    for _ in range(count):
        r, c = 1 + 0.12 * torch.rand(3, generator=g), 8 * (torch.rand(3, generator=g) - 0.5)
        form = (((z - c[0]) / (58 * r[0])) ** 2 + ((y - c[1]) / (66 * r[1])) ** 2 + ((x - c[2]) / (54 * r[2])) ** 2).sqrt()
        mu = 0.02 * torch.sigmoid((1 - form) * 12) + 0.02 * torch.exp(-(((form - 0.9) / 0.08) ** 2))
        for side in (-1, 1):
            away = ((z + 25) ** 2 + (y - 8) ** 2 + (x - side * 24 * r[2]) ** 2).sqrt()
            mu = mu + 0.015 * torch.sigmoid((13 - away) / 3)
        made.append(mu)
    return torch.stack(made)[:, None]


TRUTH = heads(1, seed=3)


def wrong(size: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Turns in degrees and shifts in mm of both views, of that size."""
    draw = np.random.default_rng(seed)
    return draw.normal(0, size, (2, 3)), draw.normal(0, size, (2, 3))


@pytest.mark.parametrize("size", [1.0, 3.0, 5.0])
def test_fitted_on_the_true_volume_the_poses_come_back_exactly(size: float) -> None:
    turn, shift = wrong(size)
    p = A.moved(turn_deg=turn, shift_mm=shift)(TRUTH)
    fit = refine_poses(TRUTH, p, A, rounds=20)
    assert np.abs(fit.turn_deg[0] - turn).max() < 0.02
    # a shift along the rays changes the magnification only: 1 mm of 1000
    assert np.abs(fit.shift_mm[0] - shift).max() < 0.1
    assert (fit.after < 0.01 * fit.before).all()
    assert float((fit.A(TRUTH) - p).abs().max()) < 0.01 * float(p.max())


def test_each_view_and_each_image_has_a_pose_of_its_own() -> None:
    turn, shift = wrong(2.0, seed=1)
    still = np.zeros((2, 3))
    B = A.moved(turn_deg=still, shift_mm=still)
    p = torch.cat([A.moved(turn_deg=turn, shift_mm=shift)(TRUTH), A(TRUTH)])
    for fit in (refine_poses(TRUTH, p, A, rounds=12), refine_poses(TRUTH, p, Projectors([A, B]), rounds=12)):
        assert isinstance(fit.A, Projectors) and fit.turn_deg.shape == (2, 2, 3)
        assert np.abs(fit.turn_deg[0] - turn).max() < 0.05
        assert np.abs(fit.turn_deg[1]).max() < 0.01 and np.abs(fit.shift_mm[1]).max() < 0.05


def test_refined_in_turn_with_a_population_model_poses_and_image_are_better_than_with_the_wrong_ones() -> None:
    population, others = heads(60, seed=0), heads(3, seed=9)
    model = GaussianPopulation(population, sigma=0.05)
    turns, shifts = zip(*[wrong(4.0, seed=5 + i) for i in range(3)], strict=True)
    p = Projectors([A.moved(turn_deg=t, shift_mm=s) for t, s in zip(turns, shifts, strict=True)])(others)
    error = lambda mu: float((mu - others).square().mean().sqrt())
    mu, fit = reconstruct_and_refine(model, p, A)
    assert error(mu) < 0.9 * error(model(p, A))
    assert fit.after.mean() < 0.6 * fit.before.mean()
    assert torch.equal(PoseRefined(model)(p, A), mu)


def test_an_expected_size_holds_what_the_views_do_not_show_when_the_image_is_wrong() -> None:
    blurred = torch.nn.functional.avg_pool3d(TRUTH, 5, stride=1, padding=2)
    p = A(TRUTH)
    held, free = (refine_poses(blurred, p, A, expected=e, rounds=6) for e in ((0.2, 0.4), None))
    assert np.abs(held.shift_mm).max() < np.abs(free.shift_mm).max()
    assert (free.after <= held.after + 1e-9).all()


def test_a_start_is_where_the_search_begins() -> None:
    turn, shift = wrong(2.0, seed=2)
    p = A.moved(turn_deg=turn, shift_mm=shift)(TRUTH)
    once = refine_poses(TRUTH, p, A, rounds=1)
    twice = refine_poses(TRUTH, p, A, rounds=1, start=once)
    both = refine_poses(TRUTH, p, A, rounds=2)
    assert np.allclose(twice.turn_deg, both.turn_deg, atol=0.02) and np.allclose(twice.before, both.before)
    assert np.abs(once.turn_deg - both.turn_deg).max() > 0.05  # so that the start matters


def test_slices_counts_and_senseless_settings_are_refused() -> None:
    p = A(TRUTH)
    flat = Projector(Grid((8, 8), 1.0), ParallelBeam(views=2, cols=12, pixel_mm=1.0))
    with pytest.raises(GeometryError, match="radiographs"):
        refine_poses(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 2, 12), flat)
    with pytest.raises(ConfigError, match="two numbers > 0"):
        refine_poses(TRUTH, p, A, expected=(0.0, 1.0))
    with pytest.raises(ConfigError, match="rounds"):
        refine_poses(TRUTH, p, A, rounds=0)
    with pytest.raises(GeometryError, match="each of 2 geometries"):
        refine_poses(TRUTH, p, Projectors([A, A]))
