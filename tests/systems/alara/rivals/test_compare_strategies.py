"""Strategies beside one another at one quality."""

import numpy as np
import pytest
from dose_subjects import NOISE, SUBJECTS, smooth

from taskct.core.errors import InputError
from taskct.evaluation.dose import parse_target
from taskct.evaluation.dose.quality import quality_of
from taskct.systems.alara.pages.strategies_page import DoseSection, statements
from taskct.systems.alara.rivals.compare_strategies import compare_strategies
from taskct.systems.alara.rivals.measuring import Measuring
from taskct.systems.alara.rivals.outcomes import Comparison
from taskct.systems.alara.rivals.strategies import STRATEGIES


def test_strategies_are_compared_at_one_quality_and_saved() -> None:
    target = parse_target(NOISE)
    found = compare_strategies(
        STRATEGIES, smooth, np.geomspace(1e3, 1e6, 6), Measuring(SUBJECTS, quality_of(target), target), progress=False
    )
    names = [o.strategy for o in found.outcomes]
    assert names[:4] == list(STRATEGIES) and len(names) == 6
    for one in found.outcomes:
        assert np.nanmean(one.values) == pytest.approx(5, rel=0.08)  # fresh noise of 12 images
    assert found.saved("modulation a=0.5", "fixed").mean < 0
    assert found.saved("oracle: least dose for the mean", "fixed").mean < 0
    assert found.spread_difference("oracle: each reaches it", "fixed").mean < -1
    again = Comparison.from_plain(found.plain())
    assert again.rows() == found.rows() and again.target == target
    assert again.saved("modulation a=0.5", "fixed") == found.saved("modulation a=0.5", "fixed")
    with pytest.raises(InputError, match="no outcome of 'none'"):
        found.outcome("none")


def test_the_dose_of_the_scout_is_counted_for_every_strategy() -> None:
    target = parse_target(NOISE)
    plain, counted = (
        compare_strategies(
            {k: STRATEGIES[k] for k in ("fixed", "modulation a=0.5")}, smooth, np.geomspace(1e3, 1e6, 6),
            Measuring(SUBJECTS, quality_of(target), target, scout=scout), oracles=False, progress=False,
        )
        for scout in (0.0, 5000.0)
    )  # fmt: skip
    for one, other in zip(plain.outcomes, counted.outcomes, strict=True):
        assert np.allclose(other.photons, one.photons + 5000) and np.array_equal(other.values, one.values)
    alone, beside = (c.saved("modulation a=0.5", "fixed").mean for c in (plain, counted))
    ours, theirs = (o.photons.mean() for o in plain.outcomes[::-1])
    assert alone < beside < 0 and beside == pytest.approx(100 * ((ours + 5000) / (theirs + 5000) - 1))
    assert counted.notes["scout_photons_per_view"] == 5000


def test_no_oracle_is_said_to_reach_a_bound_that_nobody_can_reach() -> None:
    target = parse_target("noise_sd_hu<=0.01")
    found = compare_strategies(
        {"fixed": STRATEGIES["fixed"]}, smooth, np.geomspace(1e3, 1e5, 3),
        Measuring(SUBJECTS[:3], quality_of(target), target), progress=False,
    )  # fmt: skip
    assert "oracle: each reaches it" in found.unreached and "fixed" in found.unreached and not found.outcomes


def test_where_the_lowest_level_is_enough_lower_ones_are_measured_so_that_quality_is_equal() -> None:
    target = parse_target(NOISE)
    two = {k: STRATEGIES[k] for k in ("fixed", "modulation a=1")}
    whole, high = (
        compare_strategies(two, smooth, levels, Measuring(SUBJECTS, quality_of(target), target), progress=False)
        for levels in (np.geomspace(1e3, 1e6, 6), np.geomspace(2e4, 1e6, 4))
    )
    for one, other in zip(whole.outcomes, high.outcomes, strict=True):
        assert other.photons.mean() == pytest.approx(one.photons.mean(), rel=0.02), one.strategy
        assert np.nanmean(other.values) == pytest.approx(5, rel=0.08)
    saved, known = (c.saved("modulation a=1", "fixed") for c in (high, whole))
    assert saved.mean == pytest.approx(known.mean, abs=2) and saved.mean > 20
    assert saved.low == pytest.approx(known.low, abs=6)


def test_a_bound_that_every_dose_keeps_compares_nothing_and_says_so() -> None:
    target, two = parse_target("noise_sd_hu<=1e9"), {k: STRATEGIES[k] for k in ("fixed", "modulation a=1")}
    job = Measuring(SUBJECTS[:5], quality_of(target), target)
    found = compare_strategies(two, smooth, [1e5, 1e6], job, oracles=False, progress=False)
    assert found.kept_at_lowest == {"fixed": pytest.approx(1e5 / 1024), "modulation a=1": pytest.approx(1e5 / 1024)}
    assert np.isnan(found.saved("modulation a=1", "fixed").low)
    ((text, against),) = statements(DoseSection("all", [found], "modulation a=1"))
    assert against and "Fixed keeps it at 98 photons, the least scanned, so it cannot be compared." in text
