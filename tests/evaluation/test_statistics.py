from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from taskct.core.errors import ConfigError, InputError
from taskct.evaluation.seeded import seeded_bootstrap
from taskct.evaluation.statistics import INTERVALS, bootstrap_mean, holm, p_of_zero, paired_difference


@pytest.mark.parametrize(("n", "low", "high"), [(5, 0.88, 0.94), (8, 0.92, 0.98), (20, 0.92, 0.98)])
def test_the_default_interval_covers_the_true_mean_as_often_as_it_says(n, low, high):
    # 600 draws of n normal patients: the count has a standard error of about 0.009. n = 5 cannot reach 95 % (see the module).
    rng = np.random.default_rng(n)
    hits = 0
    for _ in range(600):
        interval = bootstrap_mean(rng.normal(3.0, 2.0, n), range(n), resamples=1000)
        hits += interval.low <= 3.0 <= interval.high
    assert low <= hits / 600 <= high


def test_the_percentile_interval_is_narrower_than_it_claims_with_few_patients():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        interval = bootstrap_mean(rng.normal(0, 1, 6), range(6), resamples=500, method="percentile")
        hits += interval.low <= 0 <= interval.high
    assert hits / 400 < 0.92  # about 0.86: the reason why it is not the default


def test_slices_of_one_patient_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    level = rng.normal(0, 1, 8)
    once = bootstrap_mean(level, range(8))
    often = bootstrap_mean(np.repeat(level, 50), np.repeat(np.arange(8), 50))
    assert (once.low, once.high) == pytest.approx((often.low, often.high), rel=1e-12)
    assert (often.n_patients, often.n_values) == (8, 400)


def test_each_patient_weighs_the_same_however_many_slices_it_has():
    assert bootstrap_mean([0.0, 0.0, 0.0, 4.0], ["a", "a", "a", "b"]).mean == 2.0


def test_pairing_removes_what_patients_have_in_common():
    rng = np.random.default_rng(0)
    patient = rng.normal(0, 10, 12)
    a, b = patient + rng.normal(1, 0.1, 12), patient + rng.normal(0, 0.1, 12)
    paired = paired_difference(a, b, range(12))
    assert paired.separated and abs(paired.mean - 1) < 0.2
    assert paired.high - paired.low < 0.1 * (bootstrap_mean(a, range(12)).high - bootstrap_mean(a, range(12)).low)


@pytest.mark.parametrize("method", INTERVALS)
def test_the_same_seed_gives_the_same_interval(method):
    values = np.random.default_rng(0).exponential(size=15)
    first, again = (bootstrap_mean(values, range(15), method=method, seed=4) for _ in range(2))
    other = bootstrap_mean(values, range(15), method=method, seed=5)
    assert first == again and first.low != other.low
    assert first.low < first.mean < first.high


def test_a_shift_moves_the_interval_and_a_scale_scales_it():
    values = np.random.default_rng(0).normal(size=10)
    base, moved = bootstrap_mean(values, range(10)), bootstrap_mean(5 + 2 * values, range(10))
    assert (moved.low, moved.high) == pytest.approx((5 + 2 * base.low, 5 + 2 * base.high), rel=1e-9)


def test_few_patients_are_said_and_never_separated():
    one = bootstrap_mean([1.0, 2.0], ["a", "a"])
    assert np.isnan(one.low) and one.note.startswith("n=1 patient: no interval") and not one.separated
    three = bootstrap_mean([1.0, 1.1, 1.2], "abc")
    assert three.low > 0 and not three.separated and "at most about 75 %" in three.note and "n=3" in str(three)
    assert bootstrap_mean([1.0, 1.1, 1.2, 1.3, 1.1], "abcde").separated


def test_undefined_values_are_left_out_and_counted():
    interval = bootstrap_mean([1.0, float("nan"), 3.0], "abb")
    assert (interval.mean, interval.n_patients, interval.left_out) == (2.0, 2, 1)
    assert bootstrap_mean([float("nan")], "a").n_patients == 0
    assert np.isnan(bootstrap_mean([float("inf"), 1.0], "ab").low)


def test_equal_patients_give_an_interval_of_no_width():
    for method in INTERVALS:
        interval = bootstrap_mean([2.0] * 6, range(6), method=method)
        assert (interval.low, interval.high) == (2.0, 2.0)


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError, match="one of expanded, percentile, bca"):
        bootstrap_mean([1.0], "a", method="studentised")
    with pytest.raises(InputError, match="one patient per value"):
        bootstrap_mean([1.0, 2.0], "a")
    with pytest.raises(InputError, match="0 < level < 1"):
        bootstrap_mean([1.0], "a", level=95)


def test_five_patients_can_be_separated_and_four_cannot():
    five, four = (bootstrap_mean([1.0, 1.1, 0.9, 1.05, 0.95][:n], list("abcde")[:n]) for n in (5, 4))
    assert five.separated and five.note == ""
    assert four.low > 0 and not four.separated and "too few" in four.note


def rejected(p_values: list[float], alpha: float) -> list[bool]:
    """Holm's step-down procedure as it is told: the smallest first, each against alpha over what is left, until one fails."""
    found = [False] * len(p_values)
    left = sorted(range(len(p_values)), key=lambda k: p_values[k])
    while left and p_values[left[0]] <= alpha / len(left) + 1e-12:
        found[left.pop(0)] = True
    return found


def test_holm_rejects_what_the_step_down_procedure_rejects_at_every_level():
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 40):
        p_values = [float(p) for p in rng.beta(0.3, 2.0, count)]
        p_values[: count // 3] = p_values[count // 3 : 2 * (count // 3)]  # ties
        adjusted = holm(p_values)
        for alpha in (0.001, 0.01, 0.05, 0.2, 0.7):
            assert [bool(p <= alpha + 1e-12) for p in adjusted] == rejected(p_values, alpha), (count, alpha)
        assert (adjusted >= p_values).all() and (adjusted <= 1).all()


def test_what_was_not_compared_is_not_counted_by_holm():
    assert np.array_equal(holm([0.01, np.nan, 0.02]), [0.02, np.nan, 0.02], equal_nan=True)
    assert holm([]).shape == (0,)
    for wrong in (1.2, -0.1, np.inf, -np.inf):
        with pytest.raises(InputError, match="p-values from 0 to 1"):
            holm([0.5, wrong])
    with pytest.raises(InputError, match="a list of p-values"):
        holm([[0.5, 0.2]])  # type: ignore[list-item]


def test_the_p_value_is_that_of_the_one_sample_t_test():
    values = np.random.default_rng(3).normal(0.4, 1.0, 12)
    expected = scipy.stats.ttest_1samp(values, 0.0).pvalue
    assert bootstrap_mean(values, range(12)).p == pytest.approx(expected)
    assert seeded_bootstrap(values[None], resamples=100).p == pytest.approx(expected)
    assert bootstrap_mean([0.0] * 6, range(6)).p == 1.0 and bootstrap_mean([2.0] * 6, range(6)).p == 0.0
    assert np.isnan(bootstrap_mean([1.0], "a").p)


def test_the_p_value_over_seeds_rejects_a_true_zero_about_as_often_as_it_says():
    # 400 draws at 0.05: a standard error of 0.011; three seeds with much between them are the hardest
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        table = rng.normal(0, 0.5, (3, 1)) + rng.normal(0, 1.0, (1, 20)) + rng.normal(0, 0.5, (3, 20))
        hits += seeded_bootstrap(table, resamples=50).p < 0.05
    assert 0.01 <= hits / 400 <= 0.10


def test_an_undefined_error_gives_no_p_value() -> None:
    assert np.isnan(p_of_zero(1.0, float("nan"), 4)) and np.isnan(p_of_zero(float("nan"), 1.0, 4))
    assert (p_of_zero(0.0, 1.0, 4), p_of_zero(0.0, 0.0, 4), p_of_zero(1.0, 0.0, 4)) == (1.0, 1.0, 0.0)
