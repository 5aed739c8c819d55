"""What a strategy reached: spread over patients, and who misses the bound."""

from dataclasses import replace

import numpy as np
import pytest

from taskct.evaluation.dose import parse_target
from taskct.systems.alara.rivals.outcomes import Comparison, Outcome, over_seeds, saved_over_seeds, spread_over_seeds


def test_the_spread_of_a_share_of_full_dose_is_that_of_the_gaps() -> None:
    full, photons = np.array([0.9, 0.5, 0.2, np.nan]), np.full(4, 1e4)
    even, uneven = (Outcome(n, 1.0, photons, 0.9 * full + off) for n, off in (("a", 0.0), ("b", np.array([0.1, 0, -0.1, 0]))))
    found = Comparison(parse_target("body.dice>=0.9*full"), "mean", ("p", "q", "r", "s"), (even, uneven), full)
    assert found.spread(even) == pytest.approx(0, abs=1e-12) and found.spread(uneven) == pytest.approx(0.1)
    assert found.spread_difference("a", "b").mean == pytest.approx(-0.1)
    other = spread_over_seeds([found, found], "b", "a")
    assert (other.mean, other.n_patients) == (pytest.approx(0.1), 3)


def test_the_spread_draws_patients_and_not_their_images() -> None:
    rng = np.random.default_rng(0)
    values, photons = rng.normal(30, 2, (2, 12)), np.full(36, 1e4)
    once = Comparison(
        parse_target("rmse_hu<=30"), "mean", tuple(map(str, range(12))),
        tuple(Outcome(n, 1.0, photons[:12], v) for n, v in zip("ab", values, strict=True)),
    )  # fmt: skip
    thrice = Comparison(
        once.target,
        "mean",
        once.patients * 3,
        tuple(Outcome(o.strategy, 1.0, photons, np.tile(o.values, 3)) for o in once.outcomes),
    )
    one, same = once.spread_difference("a", "b"), thrice.spread_difference("a", "b")
    assert (same.n_patients, same.n_values) == (12, 36)
    assert same.high - same.low == pytest.approx(one.high - one.low, rel=0.1)  # three equal images tell no more than one


def test_missed_cases_come_worst_first() -> None:
    target = parse_target("rmse_hu<=10")
    one = Outcome("fixed", 1.0, np.ones(3), np.array([9.0, 14.0, 11.0]))
    found = Comparison(target, "mean", ("a", "b", "c"), (one,))
    assert [p for p, _ in found.missed(one)] == ["b", "c"] and found.share(one) == pytest.approx(1 / 3)


def test_trainings_from_several_seeds_are_one_comparison_each_with_its_own_rivals() -> None:
    target, patients = parse_target("rmse_hu<=10"), tuple(f"p{k}" for k in range(8))
    noise = 9 + 0.1 * np.sin(np.arange(8))

    def training(learned: float, fixed: float, *, spread: float = 1.0) -> Comparison:
        rows = (("fixed", fixed, spread), ("learned", learned, 0.5 * spread))
        each = 1 + 0.1 * np.cos(np.arange(8))
        return Comparison(target, "mean", patients, tuple(Outcome(n, 1.0, v * each, noise * s) for n, v, s in rows))

    several = [training(800.0, 1000.0), training(400.0, 500.0, spread=2.0)]  # through the second network all need half
    found = saved_over_seeds(several, "learned", "fixed")
    assert found.mean == pytest.approx(-20) and found.high < 0
    one = over_seeds(several)
    assert one.saved("learned", "fixed") == found and [r["photons"] for r in one.rows()] == pytest.approx([750, 600], rel=0.02)
    apart = [c.spread_difference("learned", "fixed").mean for c in several]
    assert one.spread_difference("learned", "fixed").mean == pytest.approx(np.mean(apart)) and apart[0] != apart[1]
    lost = replace(several[1], outcomes=several[1].outcomes[:1], unreached=("learned",))
    assert over_seeds([several[0], lost]).unreached == ("learned",)
