from __future__ import annotations

import numpy as np
import pytest

from taskct.core.errors import InputError
from taskct.evaluation.seeded import ratio_of, resampled, seeded_bootstrap, standard_error
from taskct.evaluation.statistics import bootstrap_mean


@pytest.mark.parametrize(
    ("seeds", "patients", "sd_seed", "sd_patient", "sd_rest"),
    [(1, 20, 0.0, 1.0, 0.5), (3, 20, 0.3, 1.0, 0.5), (3, 30, 1.0, 1.0, 1.0), (5, 12, 0.2, 1.0, 0.3)],
)
def test_the_interval_covers_the_true_mean_about_as_often_as_it_says(seeds, patients, sd_seed, sd_patient, sd_rest):
    # 300 draws: standard error 0.013 at 0.95. Three seeds with much between them are the hardest (0.93).
    rng = np.random.default_rng(patients)
    hits = 0
    for _ in range(300):
        table = rng.normal(0, sd_seed, (seeds, 1)) + rng.normal(0, sd_patient, (1, patients))
        found = seeded_bootstrap(table + rng.normal(0, sd_rest, (seeds, patients)), resamples=300)
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 300 <= 0.99


def test_ignoring_the_seeds_would_claim_too_much():
    rng = np.random.default_rng(0)
    honest = naive = 0
    for _ in range(200):
        table = rng.normal(0, 1.0, (3, 1)) + rng.normal(0, 0.3, (1, 20)) + rng.normal(0, 0.3, (3, 20))
        both, over_patients = seeded_bootstrap(table, resamples=300), bootstrap_mean(table.mean(0), range(20), resamples=300)
        honest += both.low <= 0 <= both.high
        naive += over_patients.low <= 0 <= over_patients.high
    assert naive / 200 < 0.4
    assert honest / 200 > 0.88


def test_one_seed_is_the_interval_over_patients_and_says_so():
    values = np.random.default_rng(1).normal(size=(1, 25))
    ours, theirs = seeded_bootstrap(values, resamples=4000), bootstrap_mean(values[0], range(25))
    assert ours.mean == pytest.approx(theirs.mean)
    assert ours.high - ours.low == pytest.approx(theirs.high - theirs.low, rel=0.06)  # two sets of draws
    assert "1 training seed: says nothing about training again" in ours.note
    assert "2 training seeds" in seeded_bootstrap(np.ones((2, 9))).note and not seeded_bootstrap(np.ones((3, 9))).note


def test_values_without_a_skew_have_an_interval_round_their_mean():
    values = np.random.default_rng(0).normal(5.0, 1.0, (3, 40))
    values = np.concatenate([values, 2 * values.mean() - values], axis=1)  # symmetric about the mean
    found = seeded_bootstrap(values)
    # quantiles of 2000 draws: a standard error of 0.05 half widths each
    assert (found.low + found.high) / 2 == pytest.approx(found.mean, abs=0.15 * (found.high - found.mean))


def test_equal_values_have_an_interval_of_no_width():
    found = seeded_bootstrap(np.full((3, 8), 0.5))
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)


def test_a_ratio_pools_and_its_interval_covers_the_pooled_value():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        below = rng.integers(50, 400, (1, 30)) + np.zeros((3, 1))
        rate = (0.6 + 0.1 * rng.normal(size=(1, 30)) + 0.03 * rng.normal(size=(3, 30))).clip(0, 1)
        found = seeded_bootstrap(np.stack([rate * below, below]), ratio_of, resamples=300)
        hits += found.low <= 0.6 <= found.high
    assert 0.89 <= hits / 200 <= 0.99
    one = seeded_bootstrap(np.array([[[1.0, 9.0]], [[10.0, 10.0]]]), ratio_of)
    assert one.mean == 0.5  # 10 / 20, whatever the patients weigh


def test_undefined_patients_are_left_out_and_counted():
    values = np.array([[1.0, np.nan, 3.0, 2.0], [1.0, 5.0, 3.0, 2.0]])
    found = seeded_bootstrap(values)
    assert (found.mean, found.n_patients, found.left_out) == (2.0, 3, 1)
    assert seeded_bootstrap(np.full((2, 3), np.nan)).n_patients == 0


def test_the_same_seed_gives_the_same_draws_for_every_quantity():
    values = np.random.default_rng(0).normal(size=(2, 3, 10))
    both, first = resampled(values, seed=3), resampled(values[:1], seed=3)
    assert np.allclose(both[:, 0], first[:, 0], rtol=0, atol=1e-12)  # another order of sums
    assert not np.allclose(first, resampled(values[:1], seed=4))


def test_the_standard_error_holds_every_part_of_the_variance():
    rng = np.random.default_rng(0)
    tables = [rng.normal(0, 0.5, (4, 1)) + rng.normal(0, 1, (1, 15)) + rng.normal(0, 0.7, (4, 15)) for _ in range(1500)]
    stated = np.mean([standard_error(t)[0] ** 2 for t in tables])
    assert stated == pytest.approx(np.var([t.mean() for t in tables]), rel=0.1)  # 1500 draws; clamping adds a few per cent


def test_impossible_columns_are_refused():
    with pytest.raises(InputError, match=r"expected columns \(J, seeds, patients\), got \(3,\)"):
        seeded_bootstrap(np.ones(3))
