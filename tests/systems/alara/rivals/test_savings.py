"""Dose saved at equal quality: its interval holds the truth as often as it says."""

import numpy as np
import pytest

from taskct.core.errors import InputError
from taskct.evaluation.statistics import paired_difference
from taskct.systems.alara.rivals.savings import LevelCurve, dose_saved

LEVELS = np.geomspace(1, 4096, 13)
BOUND = 40.0


def strategy(noise: np.ndarray, blur: np.ndarray, exponent: float, scale: float) -> LevelCurve:
    """Noise SD = sqrt(blur^2 + noise / photons), photons = level * noise^exponent."""
    course = noise**exponent / scale
    spent = course[:, None] * LEVELS
    gaps = BOUND - np.sqrt(blur[:, None] ** 2 + noise[:, None] / spent)
    found = LevelCurve(LEVELS, spent, gaps, 1.0)
    photons = float(found.needed(np.ones((1, len(noise))), "mean")[0])
    return LevelCurve(LEVELS, spent, gaps, photons)


def patients(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise power at one photon, what is left without noise, and the error by which a module judges the first."""
    return np.exp(rng.normal(11.5, 1.0, count)), rng.uniform(15, 30, count), np.exp(rng.normal(0, 0.3, count))


def pair(count: int, rng: np.random.Generator) -> tuple[LevelCurve, LevelCurve]:
    noise, blur, error = patients(count, rng)
    ours = strategy(noise, blur, 0.5, 400.0)
    course = np.sqrt(noise * error) / 400  # another judgement of the same patients
    spent = course[:, None] * LEVELS
    gaps = BOUND - np.sqrt(blur[:, None] ** 2 + noise[:, None] / spent)
    theirs = LevelCurve(LEVELS, spent, gaps, 1.0)
    return ours, LevelCurve(LEVELS, spent, gaps, float(theirs.needed(np.ones((1, count)), "mean")[0]))


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    one, other = pair(200_000, rng)
    truth = 100 * (one.photons / other.photons - 1)
    held, widths, naive_held, naive_widths = [], [], [], []
    for k in range(200):
        ours, theirs = pair(40, rng)
        names = [str(i) for i in range(40)]
        found = dose_saved([ours], theirs, names, resamples=400, seed=k)
        held.append(found.low <= truth <= found.high)
        widths.append(found.high - found.low)
        mine, his = (100 * c.spent[:, 0] / c.spent[:, 0].mean() * c.photons / theirs.photons for c in (ours, theirs))
        naive = paired_difference(mine, his, names, resamples=400, seed=k)
        naive_held.append(naive.low <= truth <= naive.high)
        naive_widths.append(naive.high - naive.low)
    assert 0.89 <= np.mean(held) <= 0.99  # 0.95 within 4 binomial SD of 200, a percentile interval being a little narrow
    assert np.mean(naive_held) > 0.98 and np.mean(naive_widths) > 1.5 * np.mean(widths)  # levels taken as known


def test_seeds_are_drawn_as_patients_are() -> None:
    rng = np.random.default_rng(1)
    noise, blur, _ = patients(30, rng)
    names = [str(i) for i in range(30)]
    rival = strategy(noise, blur, 0.0, 1.0)
    trained = [strategy(noise, blur, e, float(np.exp(11.5 * e))) for e in (0.2, 0.5, 0.9)]  # all reach the bound in time
    alone = dose_saved(trained[1:2], rival, names)
    pooled = dose_saved(trained, rival, names)
    assert alone.low < alone.mean < alone.high < 0
    assert pooled.high - pooled.low > alone.high - alone.low
    with pytest.raises(InputError, match="same 30 patients"):
        dose_saved([strategy(noise[:5], blur[:5], 0.5, 1.0)], rival, names)


def test_where_each_seed_has_rivals_of_its_own_each_is_compared_with_those() -> None:
    noise, blur, _ = patients(30, np.random.default_rng(3))
    names = [str(i) for i in range(30)]
    learned, rival = strategy(noise, blur, 0.4, 100.0), strategy(noise, blur, 0.0, 1.0)  # the lowest level is not enough
    half = lambda c: LevelCurve(c.levels, c.spent / 2, c.gaps, c.photons / 2)  # a better network: all need half
    alone = dose_saved([learned], rival, names)
    own = dose_saved([learned, half(learned)], [rival, half(rival)], names)
    assert own.mean == pytest.approx(alone.mean) and own.low == pytest.approx(alone.low) and own.n_seeds == 2
    shared = dose_saved([learned, half(learned)], rival, names)
    assert shared.mean == pytest.approx(100 * ((1 + alone.mean / 100) / np.sqrt(2) - 1))  # the network's gain, not the dose's
    with pytest.raises(InputError, match="one rival for all 2 curves or one for each, got 3"):
        dose_saved([learned, half(learned)], [rival] * 3, names)


def test_what_the_lowest_level_is_enough_for_leaves_the_saving_open() -> None:
    noise, blur, _ = patients(30, np.random.default_rng(3))
    names = [str(i) for i in range(30)]
    learned, rival = strategy(noise, blur, 0.4, 100.0), strategy(noise, blur, 0.0, 1.0)
    cut = lambda c, k: LevelCurve(c.levels[k:], c.spent[:, k:], c.gaps[:, k:], float(c.spent[:, k].mean()))
    everybody = np.ones((1, 30))
    assert cut(learned, 12).needed(everybody, "mean")[0] == 0 < learned.needed(everybody, "mean")[0]
    assert cut(learned, 12).needed(everybody, 0.9)[0] == 0
    for ours, theirs in ((cut(learned, 12), rival), (learned, cut(rival, 12)), (cut(learned, 12), cut(rival, 12))):
        found = dose_saved([ours], theirs, names)
        assert np.isnan(found.low) and np.isnan(found.high) and np.isnan(found.p)  # "at most" is not a number to compare


def test_three_seeds_that_differ_have_an_interval_that_holds_the_truth() -> None:
    rng = np.random.default_rng(7)
    names = [str(i) for i in range(40)]
    noise, blur, _ = patients(40, rng)
    rival = strategy(noise, blur, 0.5, 400.0)
    trained = lambda factor: LevelCurve(rival.levels, rival.spent * factor, rival.gaps, rival.photons * factor)
    found = [
        dose_saved([trained(float(np.exp(f))) for f in rng.normal(-0.1, 0.05, 3)], rival, names, resamples=200, seed=k)
        for k in range(120)
    ]
    truth = 100 * np.expm1(-0.1)
    assert np.mean([f.low <= truth <= f.high for f in found]) > 0.88  # drawing three seeds again held it in 78 %
    agree = [(f.p < 0.05) == (f.high < 0) for f in found]
    assert np.mean(agree) > 0.85  # p and interval rest on the same error


def test_the_p_value_of_a_saving_agrees_with_its_interval_and_an_open_one_has_none() -> None:
    rng = np.random.default_rng(5)
    names = [str(i) for i in range(40)]
    for _ in range(20):
        found = dose_saved([pair(40, rng)[0]], pair(40, rng)[1], names)
        shown = found.low > 0 or found.high < 0
        if found.p < 0.04 or found.p > 0.06:  # the percentile interval is a little narrower than Student's
            assert shown == (found.p < 0.05)
    ours, theirs = pair(12, np.random.default_rng(4))
    assert np.isnan(dose_saved([barely(ours)], theirs, names[:12]).p)


def barely(curve: LevelCurve) -> LevelCurve:
    """The same strategy with a bound that all patients together reach at the highest level only, by half a unit."""
    return LevelCurve(curve.levels, curve.spent, curve.gaps - curve.gaps[:, -1].mean() + 0.5, curve.photons)


def test_resamples_in_which_a_bound_is_never_reached_open_the_end_on_that_side() -> None:
    ours, theirs = pair(12, np.random.default_rng(4))
    names = [str(i) for i in range(12)]
    whole = dose_saved([ours], theirs, names)
    counts = np.random.default_rng(0).multinomial(12, [1 / 12] * 12, 500).astype(float)
    assert 0.1 < np.isnan(barely(ours).needed(counts, "mean")).mean() < 0.9
    above = dose_saved([barely(ours)], theirs, names)
    below = dose_saved([ours], barely(theirs), names)
    both = dose_saved([barely(ours)], barely(theirs), names)
    assert np.isnan(above.high) and above.low <= whole.mean and above.mean == whole.mean
    assert np.isnan(below.low) and below.high >= whole.mean
    assert np.isnan(both.low) and np.isnan(both.high)
    never = LevelCurve(LEVELS, theirs.spent, theirs.gaps - 100, theirs.photons)
    assert np.isnan(dose_saved([ours], never, names).low) and np.isnan(dose_saved([ours], never, names).high)


def test_a_share_of_patients_asks_for_more_than_the_mean() -> None:
    noise, blur, _ = patients(50, np.random.default_rng(2))
    fixed = strategy(noise, blur, 0.0, 1.0)
    once = np.ones((1, 50))
    assert fixed.needed(once, 0.9)[0] > fixed.needed(once, "mean")[0]
    assert np.isnan(LevelCurve(LEVELS, fixed.spent, fixed.gaps - 100, 1.0).needed(once, "mean")[0])
