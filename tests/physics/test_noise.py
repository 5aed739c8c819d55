"""Laws of the counting model: mean and variance at any dose, exact quantiles, bow-tie and modulation in counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from taskct.core.errors import GeometryError, InputError
from taskct.core.seeds import generator
from taskct.geometry import ConeBeam, FanBeam, ParallelBeam, VectorBeam
from taskct.physics.bowtie import bowtie_for_cylinder, cylinder_bowtie, transmission
from taskct.physics.dose import Dose
from taskct.physics.noise import expected_counts, log_transform, log_variance, relative_air, sample_counts, statistical_weights
from taskct.physics.poisson import poisson_from_normal

DRAWS = 200_000


def test_a_ray_of_p_8_at_4096_photons_sees_1_37_photons() -> None:
    p = torch.full((1, 1, 1, DRAWS), 8.0, dtype=torch.float64)
    expected = expected_counts(p, Dose(4096))
    assert expected[0, 0, 0, 0].item() == pytest.approx(4096 * math.exp(-8), rel=1e-12)
    counts = sample_counts(expected, generator=generator(0, "p8"))
    # standard error of the mean: sqrt(1.374 / 200000) = 0.0026; five of them
    assert counts.mean().item() == pytest.approx(1.374, abs=0.013)


@pytest.mark.parametrize("expected", [0.05, 1.374, 12.0, 16.0, 40.0, 4096.0, 1e7])
@pytest.mark.parametrize("electronic_std", [0.0, 8.0])
def test_counts_have_the_mean_and_variance_of_the_stated_model(expected: float, electronic_std: float) -> None:
    draws = torch.full((DRAWS,), expected, dtype=torch.float64)
    counts = sample_counts(draws, generator=generator(1, "model"), electronic_std=electronic_std)
    variance = expected + electronic_std**2
    assert counts.mean().item() == pytest.approx(expected, abs=5 * math.sqrt(variance / DRAWS))
    # var of a sample variance: (mu4 - var^2) / n, and mu4 = 3 var^2 + expected for Poisson + Normal; five standard errors
    error = math.sqrt((2 * variance**2 + expected) / DRAWS)
    assert counts.var().item() == pytest.approx(variance, abs=5 * error)


@settings(deadline=None, max_examples=25)
@given(log_mean=st.floats(-5, 12), seed=st.integers(0, 1000))
def test_counts_are_the_exact_poisson_quantile_of_their_draw(log_mean: float, seed: int) -> None:
    mean = math.exp(log_mean)
    z = torch.cat([torch.randn(400, dtype=torch.float64, generator=generator(seed, "z")), torch.linspace(-5, 5, 101).double()])
    counts = poisson_from_normal(torch.tensor(mean, dtype=torch.float64), z).numpy()
    lower, upper = stats.poisson.ppf(stats.norm.cdf(z), mean), stats.poisson.isf(stats.norm.sf(z), mean)
    assert np.array_equal(counts, np.where(z.numpy() < 0, lower, upper))


@pytest.mark.parametrize("mean", [15.9, 16.0, 21.3, 57.0, 400.0])
def test_counts_are_exact_also_next_to_the_steps_of_the_quantile(mean: float) -> None:
    z = torch.linspace(-5, 5, 200_001, dtype=torch.float64)  # some 1000 draws lie where the expansion cannot decide
    counts = poisson_from_normal(torch.tensor(mean, dtype=torch.float64), z).numpy()
    lower, upper = stats.poisson.ppf(stats.norm.cdf(z), mean), stats.poisson.isf(stats.norm.sf(z), mean)
    assert np.array_equal(counts, np.where(z.numpy() < 0, lower, upper))


def test_counts_rise_with_the_draw_and_with_the_mean() -> None:
    z = torch.linspace(-4, 4, 801).double()
    means = torch.logspace(-2, 5, 400).double()
    counts = poisson_from_normal(means[:, None], z[None])
    assert bool((counts.diff(dim=0) >= 0).all() and (counts.diff(dim=1) >= 0).all())


def test_halving_the_dose_doubles_the_log_variance() -> None:
    p = torch.full((1, 1, 1, DRAWS), 2.0, dtype=torch.float64)
    variances = []
    for fraction in (1.0, 0.5):
        dose = Dose(1e5, fraction)
        air = dose.used_photons * relative_air(p)
        counts = sample_counts(expected_counts(p, dose), generator=generator(2, fraction))
        variances.append(log_transform(counts, air, floor_photons=dose.floor_photons).var().item())
    # 6767 expected counts: the second-order term is 1 / 6767; a ratio of two sample variances errs by
    # sqrt(4 / n) = 0.45 %, four of them
    assert variances[1] / variances[0] == pytest.approx(2.0, rel=0.018)


@pytest.mark.parametrize("electronic_std", [0.0, 20.0])
def test_log_variance_and_weights_predict_the_spread_of_p(electronic_std: float) -> None:
    dose = Dose(2e4, 0.5, electronic_std)
    p = torch.full((1, 1, 1, DRAWS), 3.0, dtype=torch.float64)
    counts = sample_counts(expected_counts(p, dose), generator=generator(3, "w"), electronic_std=electronic_std)
    noisy = log_transform(counts, dose.used_photons * relative_air(p), floor_photons=dose.floor_photons)
    predicted = log_variance(p, dose)[0, 0, 0, 0].item()
    # 498 expected counts: terms beyond the delta method are about (5/2) variance, 1.2 % with read-out noise; sampling 1 %
    assert noisy.var().item() == pytest.approx(predicted, rel=0.03)
    assert statistical_weights(p, dose)[0, 0, 0, 0].item() == pytest.approx(1 / predicted, rel=1e-12)


def test_weights_are_finite_for_starved_rays() -> None:
    p = torch.tensor([0.0, 20.0, 800.0]).reshape(1, 1, 1, 3)
    for dose in (Dose(1e4), Dose(1e4, electronic_std=5)):
        weights = statistical_weights(p, dose)
        assert bool(torch.isfinite(weights).all()) and weights.dtype == torch.float32
        assert weights[0, 0, 0, 2] == 0


def test_fraction_modulation_and_bowtie_scale_counts_not_projections() -> None:
    p = torch.rand((2, 1, 4, 6), dtype=torch.float64, generator=generator(4)) * 5
    modulation = torch.tensor([0.5, 1.5, 1.2, 0.8], dtype=torch.float64)
    bowtie = torch.linspace(0.2, 1.0, 6, dtype=torch.float64)
    plain = expected_counts(p, Dose(1000))
    shaped = expected_counts(p, Dose(1000, 0.25), modulation=modulation, bowtie=bowtie)
    assert torch.allclose(shaped, 0.25 * plain * modulation[:, None] * bowtie, rtol=1e-13)
    air = 250 * relative_air(p, modulation=modulation, bowtie=bowtie)
    assert torch.allclose(log_transform(shaped, air, floor_photons=1e-9), p, atol=1e-12)


def test_modulation_may_differ_between_the_images_of_a_batch_and_goes_with_rows() -> None:
    p = torch.zeros((2, 1, 3, 2, 4))
    modulation = torch.tensor([[0.5, 1.0, 1.5], [1.5, 1.0, 0.5]])
    bowtie = torch.rand((2, 4), generator=generator(5)).clamp_min(0.1)
    air = relative_air(p, modulation=modulation, bowtie=bowtie).expand(2, 1, 3, 2, 4)
    for b, k, i, j in ((0, 0, 1, 2), (1, 2, 0, 3), (1, 0, 1, 0)):
        assert air[b, 0, k, i, j].item() == pytest.approx(float(modulation[b, k] * bowtie[i, j]), rel=1e-6)


def test_a_modulation_within_one_percent_of_mean_1_is_divided_by_its_mean() -> None:
    p = torch.zeros((1, 1, 3, 1))
    air = relative_air(p, modulation=torch.tensor([0.5, 1.0, 1.512], dtype=torch.float64))
    assert air.mean().item() == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    "beam",
    [
        FanBeam(views=4, cols=64, pixel_mm=8.0, source_iso_mm=500, source_detector_mm=1000),
        FanBeam(views=4, cols=64, pixel_mm=8.0, source_iso_mm=500, source_detector_mm=1000, curved=True, col_offset_mm=3.0),
        ParallelBeam(views=4, cols=64, pixel_mm=4.0, col_offset_mm=5.0),
    ],
)
def test_a_bowtie_makes_its_cylinder_look_equally_thick(beam: FanBeam | ParallelBeam) -> None:
    passed = bowtie_for_cylinder(beam, 200.0, 0.02, min_transmission=1e-6)
    poses = beam.poses()
    flat_u = beam.col_offset_mm + (np.arange(64) - 31.5) * 4.0
    u = flat_u if poses.source_mm is None else 500 * np.sin(poses.fan_angles_rad(0))
    chord = 2 * np.sqrt(np.clip(100.0**2 - u**2, 0, None))
    behind = passed.numpy() * np.exp(-0.02 * chord)
    assert behind == pytest.approx(np.full(64, math.exp(-0.02 * 200)), rel=1e-9)
    assert float(passed.max()) == pytest.approx(1.0, abs=0.01)
    assert float(bowtie_for_cylinder(beam, 200.0, 0.02, min_transmission=0.1).min()) == pytest.approx(0.1)


def test_a_bowtie_of_a_cone_has_rows_and_a_function_waits_for_its_beam() -> None:
    cone = ConeBeam(views=2, cols=8, rows=3, pixel_mm=20.0, source_iso_mm=500, source_detector_mm=1000)
    made = transmission(cylinder_bowtie(150.0, 0.02), cone)
    assert made is not None and torch.equal(made, bowtie_for_cylinder(cone, 150.0, 0.02)) and made.shape == (3, 8)
    assert transmission(None, cone) is None
    free = VectorBeam(
        rows=1, cols=4, detector_mm=[[0, 500, 0]], col_step_mm=[[0, 0, 1]], row_step_mm=[[1, 0, 0]], source_mm=[[0, -500, 0]]
    )  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="for a VectorBeam give transmissions"):
        bowtie_for_cylinder(free, 150.0)


def test_the_floor_is_a_tenth_of_a_photon_or_half_the_readout_noise() -> None:
    assert Dose(4096).floor_photons == 0.1
    assert Dose(4096, electronic_std=30).floor_photons == 15.0
    p = torch.zeros((1, 1, 1, 2), dtype=torch.float64)
    noisy = log_transform(torch.tensor([0.0, -50.0]), 4096 * relative_air(p), floor_photons=0.1)
    assert noisy.flatten().tolist() == pytest.approx([math.log(40960)] * 2)


def test_half_the_readout_noise_as_floor_leaves_no_bias_where_signal_equals_readout_noise() -> None:
    for std in (5.0, 10.0, 30.0):
        dose = Dose(1e5, electronic_std=std)
        expected = torch.full((DRAWS,), std, dtype=torch.float64)
        counts = sample_counts(expected, generator=generator(6, std), electronic_std=std)
        bias = math.log(std) - counts.clamp_min(dose.floor_photons).log().mean().item()
        assert abs(bias) < 0.02  # computed -0.01, 0.00, 0.00; the spread of 0.6 leaves a standard error of 0.0014


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"photons": 0}, "photons > 0"),
        ({"photons": -5.0}, "photons > 0"),
        ({"photons": float("nan")}, "photons > 0"),
        ({"photons": "many"}, "photons > 0"),
        ({"photons": 1e4, "fraction": 0}, "fraction > 0"),
        ({"photons": 1e4, "electronic_std": -1}, "electronic_std >= 0"),
    ],
)
def test_an_impossible_dose_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Dose(**arguments)


def test_modulation_and_bowtie_that_do_not_fit_are_refused_with_advice() -> None:
    p = torch.zeros((1, 1, 4, 6))
    with pytest.raises(GeometryError, match=r"one relative tube current per view, \(4,\) or \(1, 4\), got \(3,\)"):
        relative_air(p, modulation=torch.ones(3))
    with pytest.raises(InputError, match=r"mean of 200; pass modulation / modulation.mean\(\)"):
        relative_air(p, modulation=torch.full((4,), 200.0))
    with pytest.raises(InputError, match="finite tube currents > 0"):
        relative_air(p, modulation=torch.tensor([0.0, 2.0, 1.0, 1.0]))
    with pytest.raises(GeometryError, match=r"per column \(6,\) or per pixel \(1, 6\), got \(5,\)"):
        relative_air(p, bowtie=torch.ones(5))
    with pytest.raises(InputError, match="above 0 and up to 1, got 0 to 1"):
        relative_air(p, bowtie=torch.tensor([0.0, 1, 1, 1, 1, 1]))
    with pytest.raises(GeometryError, match=r"p of shape \(B, 1, V, C\) or \(B, 1, V, R, C\)"):
        expected_counts(torch.zeros(4, 6), Dose(100))
