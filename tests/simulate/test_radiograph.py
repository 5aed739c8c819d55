"""Radiographs: counts by Beer and Lambert, scatter, spectrum, and what a film forgets."""

from __future__ import annotations

import pytest
import torch

from taskct import Dose, Grid, Projector
from taskct.core.errors import ConfigError, GeometryError, InputError, UnitsError
from taskct.geometry import bi_planar
from taskct.physics.film import as_film, fit_film
from taskct.physics.spectrum import Spectrum, split_materials, transmitted
from taskct.simulate.radiograph import Scatter, take_radiographs, transmission

GRID = Grid((12, 12, 12), 10.0)
A = Projector(GRID, bi_planar(cols=12, rows=12, pixel_mm=15.0, source_iso_mm=1000, source_detector_mm=1500))
BODY = torch.zeros(1, 1, 12, 12, 12)
BODY[..., 3:9, 3:9, 3:9] = 0.02


def test_many_photons_give_the_mean_intensity_of_the_finer_rays() -> None:
    p = take_radiographs(BODY, A, Dose(1e12), seed=0)
    finer = bi_planar(cols=24, rows=24, pixel_mm=7.5, source_iso_mm=1000, source_detector_mm=1500)
    mu = torch.nn.functional.interpolate(BODY, scale_factor=2, mode="trilinear", align_corners=False)
    passed = torch.exp(-Projector(GRID.refined(2), finer)(mu))[0, 0]
    expected = -torch.log(torch.nn.functional.avg_pool2d(passed, 2))
    assert torch.allclose(p[0, 0], expected, atol=1e-3)
    assert bool((p[0, 0] <= torch.nn.functional.avg_pool2d(-passed.log(), 2) + 1e-3).all())  # log of a mean, mean of logs


def test_noise_follows_the_counts() -> None:
    many = torch.stack([take_radiographs(BODY, A, Dose(2000.0), seed=s)[0, 0, 0, 5, 5] for s in range(400)])
    clean = float(take_radiographs(BODY, A, Dose(1e12), seed=0)[0, 0, 0, 5, 5])
    expected = 2000 * torch.exp(torch.tensor(-clean))
    assert float(many.std()) == pytest.approx(float(expected**-0.5), rel=0.1)  # 400 draws: 3.5 % standard error
    assert float(many.mean()) == pytest.approx(clean, abs=4 * float(many.std()) / 20 + 1 / (2 * float(expected)))


def test_the_same_seed_gives_the_same_film_whatever_the_batch() -> None:
    two = torch.cat([BODY, 0.5 * BODY])
    alone = take_radiographs(two[1:], A, Dose(1e4), seed=3, items=["b"])
    assert torch.equal(take_radiographs(two, A, Dose(1e4), seed=3, items=["a", "b"])[1:], alone)
    assert not torch.equal(alone, take_radiographs(two[1:], A, Dose(1e4), seed=4, items=["b"]))


def test_a_finer_grid_of_the_same_region_is_taken_as_it_is_and_another_region_refused() -> None:
    fine = Grid((24, 24, 24), 5.0)
    mu = torch.zeros(1, 1, 24, 24, 24)
    mu[..., 6:18, 6:18, 6:18] = 0.02
    there = take_radiographs(mu, A, Dose(1e12), seed=0, mu_grid=fine)
    assert float((there - take_radiographs(BODY, A, Dose(1e12), seed=0)).abs().mean()) < 0.05
    with pytest.raises(GeometryError, match="cover the region of"):
        take_radiographs(mu, A, Dose(1e4), seed=0, mu_grid=Grid((24, 24, 24), 4.0))


def test_scatter_adds_photons_and_so_lowers_thick_line_integrals() -> None:
    clean = take_radiographs(BODY, A, Dose(1e12), seed=0)
    fogged = take_radiographs(BODY, A, Dose(1e12), seed=0, scatter=Scatter(share=0.5, width_mm=80))
    drop = (clean - fogged)[0, 0, 0]
    assert float(drop[5, 5]) > float(drop[0, 0]) > 0
    with pytest.raises(ConfigError, match="0 <= share"):
        Scatter(share=-1)


def test_a_spectrum_of_one_energy_changes_nothing_and_a_broad_one_hardens() -> None:
    soft, bone = split_materials(torch.tensor([0.0, 0.0193, 0.05]))
    assert torch.allclose(soft + bone, torch.tensor([0.0, 0.0193, 0.05])) and float(bone[1]) == 0 and float(bone[2]) > 0.02
    p = torch.linspace(0.1, 8, 9)
    assert torch.allclose(transmitted(p, 0 * p, Spectrum((70.0,), (2.0,))), torch.exp(-p))
    through = -torch.log(transmitted(p, 0 * p, Spectrum.tungsten(90)))
    slope = through.diff() / p.diff()
    assert bool((slope.diff() < 0).all())  # beam hardening: each further centimetre attenuates less
    assert Spectrum((40.0,), (1.0,)).factors()[1][0] > Spectrum((40.0,), (1.0,)).factors()[0][0] > 1  # bone rises more
    with pytest.raises(ConfigError, match="20 to 150 keV"):
        Spectrum((10.0,), (1.0,))


def test_eight_bits_forget_the_attenuation_and_gain_can_be_fitted_back() -> None:
    p = take_radiographs(torch.cat([BODY, 0.5 * BODY]), A, Dose(1e8), seed=0)
    film = as_film(p, mode="8-bit")
    assert float(film.min()) == 0 and float(film.max()) == 1
    assert float((film[0] - film[1]).abs().max()) < 0.06  # half the attenuation looks the same
    dulled = as_film(p, mode="gain", seed=1)
    gain, offset = fit_film(dulled, p)
    assert torch.allclose((dulled - offset) / gain, p, atol=1e-4)
    assert as_film(p) is p
    with pytest.raises(InputError, match="'8-bit', got 'png'"):
        as_film(p, mode="png")  # type: ignore[arg-type]


def test_gain_and_offset_of_films_spread_as_stated_and_do_not_depend_on_each_other() -> None:
    p = torch.linspace(0, 3, 36).reshape(1, 1, 1, 6, 6).expand(500, 1, 2, 6, 6)
    gain, offset = fit_film(as_film(p, mode="gain", seed=0, spread=0.2), p)
    log_gain, offset = gain.log().flatten(), offset.flatten()  # 1000 films: standard errors of 0.0063 (mean), 0.0045 (std)
    assert abs(float(log_gain.mean())) < 0.025 and abs(float(offset.mean())) < 0.025
    assert float(log_gain.std()) == pytest.approx(0.2, abs=0.018) and float(offset.std()) == pytest.approx(0.2, abs=0.018)
    assert abs(float(torch.corrcoef(torch.stack([log_gain, offset]))[0, 1])) < 0.13  # four standard errors


def test_hounsfield_units_are_refused() -> None:
    with pytest.raises(UnitsError):
        take_radiographs(torch.full((1, 1, 12, 12, 12), -1000.0), A, Dose(1e4), seed=0)


def test_scatter_takes_no_share_and_ten_times_the_primary_and_no_more() -> None:
    Scatter(share=0.0, width_mm=0.5)
    Scatter(share=10.0)
    for wrong in ({"share": -0.01}, {"share": 10.1}, {"width_mm": 0.0}):
        with pytest.raises(ConfigError, match="0 <= share <= 10 and width_mm > 0"):
            Scatter(**wrong)


def test_what_counts_as_bone_is_told_by_the_water_of_the_effective_energy() -> None:
    """Soft tissue of 200 HU attenuates as water at every energy, whatever the energy of the images."""
    for kev, water in ((60.0, 0.02059), (70.0, 0.01929), (80.0, 0.01837)):
        spectrum = Spectrum((50.0, 80.0), (0.5, 0.5), effective_kev=kev)
        assert spectrum.mu_water_per_mm == pytest.approx(water, rel=5e-3)  # 70 keV lies between two lines of the table
        A = Projector(
            Grid((4, 4, 4), 10.0), bi_planar(cols=4, rows=4, pixel_mm=10.0, source_iso_mm=1e4, source_detector_mm=1.1e4)
        )
        mu = torch.full((1, 1, 4, 4, 4), 1.2 * water, dtype=torch.float64)
        p = A(mu)
        assert torch.allclose(transmission(mu, A, spectrum=spectrum, oversample=1), transmitted(p, 0 * p, spectrum), rtol=1e-6)
