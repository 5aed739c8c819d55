from __future__ import annotations

import numpy as np
import pytest

from taskct.core.errors import InputError
from taskct.evaluation.influence import influence
from taskct.evaluation.reading import auc
from taskct.evaluation.seeded import seeded_bootstrap


def test_of_a_mean_the_pseudo_values_are_the_values_themselves() -> None:
    values = np.random.default_rng(0).normal(size=(3, 12))
    found = influence([lambda w, v=v: float((w * v).sum() / w.sum()) for v in values], 12)
    assert np.allclose(found.pseudo, values)
    ours, plain = found.interval(), seeded_bootstrap(values)
    assert (ours.mean, ours.low, ours.high) == pytest.approx((plain.mean, plain.low, plain.high))


def test_the_interval_of_an_auc_covers_its_truth_about_as_often_as_stated() -> None:
    rng, covered, trials = np.random.default_rng(1), 0, 40
    for _ in range(trials):
        truth = np.repeat([0.0, 1.0], 20)
        scores = rng.normal(size=40) + truth  # the true area is Phi(1 / sqrt 2) = 0.7602
        found = influence([lambda w, s=scores, t=truth: auc(s, t, weights=w)], 40).interval(resamples=400)
        covered += found.low <= 0.7602 <= found.high
    assert covered / trials > 0.85


def test_differences_pair_patients_and_need_the_same_ones() -> None:
    rng = np.random.default_rng(2)
    easy = rng.normal(size=20)
    mean = lambda v: lambda w: float((w * v).sum() / w.sum())
    one, other = influence([mean(easy + 0.3)], 20), influence([mean(easy)], 20)
    gap = one.minus(other).interval()
    assert gap.mean == pytest.approx(0.3) and gap.high - gap.low < 1e-6 < one.interval().high - one.interval().low
    with pytest.raises(InputError, match="pairs seeds and patients"):
        one.minus(influence([mean(easy[:10])], 10))
    with pytest.raises(InputError, match="two patients"):
        influence([mean(easy)], 1)
