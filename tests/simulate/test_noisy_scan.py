"""simulate_scan: statistics through the projector, determinism per case and image, bad input."""

from __future__ import annotations

import math

import pytest
import torch

from taskct.core.errors import GeometryError, InputError, UnitsError
from taskct.core.seeds import generator
from taskct.geometry import FanBeam, Grid, ParallelBeam
from taskct.physics.bowtie import bowtie_for_cylinder, cylinder_bowtie
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.simulate import add_noise, onto_grid, resize_linear, simulate_scan

GRID = Grid((32, 32), 6.0)
FAN = FanBeam(views=12, cols=48, pixel_mm=9.0, source_iso_mm=500, source_detector_mm=1000)


def _disk(batch: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    y, x = (torch.from_numpy(a) for a in GRID.axes_mm())
    disk = ((y[:, None] ** 2 + x[None] ** 2) < 80.0**2).to(dtype) * 0.02
    return torch.stack([disk * (1 - 0.1 * b) for b in range(batch)])[:, None]


def _spread(dose: Dose, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of p over 400 scans of the disk, each (V, C)."""
    A = Projector(GRID, FAN)
    clean = A(_disk(dtype=torch.float64)).expand(400, 1, 12, 48)
    noisy = add_noise(clean, dose, seed=3, **options)  # type: ignore[arg-type]
    return noisy.mean(0)[0], noisy.var(0)[0]


def test_halving_the_dose_doubles_the_log_variance_of_a_scan() -> None:
    full, half = (_spread(Dose(1e5, f))[1].mean().item() for f in (1.0, 0.5))
    # at least 4000 counts behind the disk: second-order 1/4000; sampling sqrt(4 / (400 * 576)) = 0.4 %; four of them
    assert half / full == pytest.approx(2.0, rel=0.017)


def test_bowtie_and_modulation_change_the_noise_and_not_the_mean() -> None:
    dose = Dose(1e5)
    modulation = torch.tensor([0.4, 1.6] * 6, dtype=torch.float64)
    bowtie = bowtie_for_cylinder(FAN, 160.0, 0.02, min_transmission=0.05)
    plain, plain_var = _spread(dose)
    shaped, shaped_var = _spread(dose, modulation=modulation, bowtie=bowtie)
    assert (shaped - plain).abs().mean().item() < 2e-3  # sd of a mean of 400 is at most 0.02 / 20 = 1e-3 per ray
    expected = plain_var / (modulation[:, None] * bowtie)
    # each variance from 400 scans carries 7 %; the mean over 576 rays 0.4 %
    assert (shaped_var / expected).mean().item() == pytest.approx(1.0, abs=0.03)


def test_a_starved_ray_follows_the_floored_poisson_law() -> None:
    p = torch.full((1, 1, 1, 200_000), 8.0, dtype=torch.float64)
    noisy = add_noise(p, Dose(4096), seed=0)
    rate = 4096 * math.exp(-8)
    empty = (noisy > math.log(4096)).double().mean().item()  # no count at all: read as 0.1
    assert empty == pytest.approx(math.exp(-rate), abs=5 * 0.5 / math.sqrt(2e5))
    assert noisy.max().item() == pytest.approx(math.log(40960), abs=1e-12)


def test_the_same_case_and_seed_give_the_same_noise_and_another_of_either_does_not() -> None:
    A, mu = Projector(GRID, FAN), _disk()
    one = simulate_scan(mu, A, Dose(1e4), seed=5, case_id="a")
    assert torch.equal(one, simulate_scan(mu, A, Dose(1e4), seed=5, case_id="a"))
    assert not torch.equal(one, simulate_scan(mu, A, Dose(1e4), seed=6, case_id="a"))
    assert not torch.equal(one, simulate_scan(mu, A, Dose(1e4), seed=5, case_id="b"))


@pytest.mark.parametrize("electronic_std", [0.0, 5.0])
def test_the_noise_of_an_image_does_not_depend_on_its_batch(electronic_std: float) -> None:
    A, mu, dose = Projector(GRID, FAN), _disk(3), Dose(1e4, electronic_std=electronic_std)
    together = simulate_scan(mu, A, dose, seed=5, case_id="a")
    alone = simulate_scan(mu[2:], A, dose, seed=5, case_id="a", items=[2])
    assert torch.allclose(together[2:], alone, atol=1e-6)  # rounding of the projector only: the counts are the same
    reordered = simulate_scan(mu[[2, 0]], A, dose, seed=5, case_id="a", items=[2, 0])
    assert torch.allclose(together[[2, 0]], reordered, atol=1e-6)
    named = simulate_scan(mu[:1], A, dose, seed=5, case_id="a", items=["slice 0"])
    assert not torch.allclose(together[:1], named, atol=1e-3)


def test_one_seed_gives_coupled_noise_at_all_doses() -> None:
    A, mu = Projector(GRID, FAN), _disk(dtype=torch.float64)
    clean = A(mu)
    noise = [(add_noise(clean, Dose(n), seed=0) - clean) * math.sqrt(n) for n in (1e5, 2e5)]
    alike = torch.corrcoef(torch.stack([n.flatten() for n in noise]))[0, 1].item()
    assert alike > 0.99  # the same normal draw behind each ray


def test_a_generator_as_seed_is_drawn_from_and_moves_on() -> None:
    A, mu = Projector(GRID, FAN), _disk()
    stream = generator(0, "mine")
    one, two = (simulate_scan(mu, A, Dose(1e4), seed=stream) for _ in range(2))
    assert not torch.equal(one, two)
    assert torch.equal(one, simulate_scan(mu, A, Dose(1e4), seed=generator(0, "mine")))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_follows_mu_and_mu_is_left_alone(dtype: torch.dtype) -> None:
    A, mu = Projector(GRID, FAN), _disk(2, dtype).requires_grad_()
    before = mu.detach().clone()
    p = simulate_scan(mu, A, Dose(1e4), seed=0, bowtie=cylinder_bowtie(160.0, 0.02))
    assert p.dtype == dtype and p.shape == A(mu).shape and not p.requires_grad
    assert torch.equal(mu.detach(), before)


def test_a_volume_is_scanned_with_rows_and_a_subset_of_views_keeps_its_views() -> None:
    beam = ParallelBeam(views=6, cols=12, rows=4, pixel_mm=10.0)
    grid = Grid((4, 10, 10), 10.0)
    mu = torch.full((1, 1, 4, 10, 10), 0.01)
    A = Projector(grid, beam)
    assert simulate_scan(mu, A, Dose(1e8), seed=0).shape == (1, 1, 6, 4, 12)
    part = A.subset([4, 1])
    fine = simulate_scan(mu, part, Dose(1e12), seed=0, on_grid=grid.refined(2))
    assert torch.allclose(fine, A.subset([4, 1])(mu), atol=0.03)  # refinement moves the edges of the block by half a sample


def test_a_finer_grid_changes_the_projections_by_discretisation_only() -> None:
    A = Projector(GRID, FAN)
    y, x = (torch.from_numpy(a) for a in GRID.axes_mm())
    smooth = (0.02 * torch.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * 40.0**2)))[None, None]
    coarse, fine = (simulate_scan(smooth, A, Dose(1e14), seed=0, on_grid=g) for g in (None, GRID.refined(3)))
    assert 1e-6 < (coarse - fine).abs().max().item() < 0.01 * coarse.max().item()


@pytest.mark.parametrize(("old", "new"), [((9, 11), (25, 25)), ((24, 24), (17, 31)), ((5, 4), (5, 8))])
def test_resize_equals_skimage_to_rounding_also_at_the_edges(old: tuple[int, int], new: tuple[int, int]) -> None:
    transform = pytest.importorskip("skimage.transform")
    image = torch.rand(old, dtype=torch.float64, generator=generator(0, *old))
    theirs = transform.resize(image.numpy(), new, order=1, anti_aliasing=False)
    assert (resize_linear(image, new) - torch.from_numpy(theirs)).abs().max().item() < 1e-12


def test_onto_grid_refuses_a_grid_of_another_region() -> None:
    with pytest.raises(GeometryError, match=r"two grids of one region.*grid.refined"):
        onto_grid(_disk(), GRID, Grid((64, 64), 6.0))
    with pytest.raises(GeometryError, match="two grids of one region"):
        simulate_scan(_disk(), Projector(GRID, FAN), Dose(1e4), seed=0, on_grid=Grid((64, 64), 6.0))


def test_wrong_values_are_refused_with_advice() -> None:
    A, mu = Projector(GRID, FAN), _disk()
    scan = lambda mu=mu, **options: simulate_scan(mu, A, Dose(1e4), **{"seed": 0, **options})
    with pytest.raises(UnitsError, match=r"look like HU; convert them with taskct.to_mu"):
        scan(mu * 50_000 - 1000)
    holed = mu.clone()
    holed[0, 0, 3, 3] = float("nan")
    with pytest.raises(UnitsError, match=r"simulate_scan expects finite mu in 1/mm, got 1 NaN"):
        scan(holed)
    with pytest.raises(GeometryError, match=r"one relative tube current per view, \(12,\)"):
        scan(modulation=torch.ones(11))
    for seed in (1.5, "0", True, None):
        with pytest.raises(InputError, match=r"seed expects a whole number or a torch.Generator"):
            scan(seed=seed)
    with pytest.raises(GeometryError, match="items names the 1 images of the batch, got 2 names"):
        scan(items=[0, 1])
    with pytest.raises(InputError, match="floor_photons expects a number of photons above 0"):
        scan(floor_photons=0.0)
    with pytest.raises(UnitsError, match="finite line integrals"):
        add_noise(torch.full((1, 1, 2, 2), float("nan")), Dose(1e4), seed=0)
    with pytest.raises(GeometryError, match="Projector expects mu of shape"):
        scan(torch.zeros(1, 1, 16, 16))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_noise_is_the_same_on_every_device_unless_it_is_drawn_there() -> None:
    p = torch.rand((2, 1, 30, 40), generator=generator(0)) * 8
    dose = Dose(4096, electronic_std=3)
    here, there = add_noise(p, dose, seed=0), add_noise(p.cuda(), dose, seed=0)
    assert there.is_cuda and torch.allclose(here, there.cpu(), atol=1e-5)
    drawn_there = add_noise(p.cuda(), dose, seed=0, noise_device="cuda")
    assert drawn_there.is_cuda and not torch.allclose(here, drawn_there.cpu(), atol=1e-2)


@pytest.mark.parametrize("dose", [1e5, None, "low"])
def test_a_scan_expects_a_dose(dose):
    A = Projector(Grid((8, 8), 4.0), ParallelBeam(views=6, cols=12, pixel_mm=4.0))
    with pytest.raises(InputError, match=r"expects dose as a taskct\.Dose"):
        simulate_scan(torch.full((1, 1, 8, 8), 0.02), A, dose, seed=0)


@pytest.mark.parametrize("photons", [1e19, 1e308, 10**400])
def test_more_photons_than_numbers_can_tell_apart_are_refused(photons):
    with pytest.raises(InputError, match="at most 1e"):
        Dose(photons)
