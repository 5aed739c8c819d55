from __future__ import annotations

from collections.abc import Callable

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


def test_a_statistic_that_moves_in_steps_has_the_interval_of_a_bootstrap_and_no_spread_of_trainings_that_agree() -> None:
    rng, patients = np.random.default_rng(3), 40
    lesions, marks = rng.integers(1, 5, patients), rng.integers(20, 60, patients)
    owner = np.repeat(np.arange(patients), marks)

    def sensitivity(scores: np.ndarray, surest: np.ndarray) -> Callable[[np.ndarray], float]:
        """Share of lesions found at as many false marks a patient as leave a whole number of them: it moves in steps."""

        def statistic(weights: np.ndarray) -> float:
            order = np.argsort(-scores)
            allowed = np.cumsum(weights[owner[order]]) <= 0.5 * weights.sum()
            least = scores[order][allowed].min(initial=np.inf)
            return float(np.dot(weights, [(s > least).sum() for s in surest])) / float(np.dot(weights, lesions))

        return statistic

    base = rng.normal(size=len(owner))
    found = rng.normal(1.5, 1, lesions.sum())
    trainings = []
    for _ in range(3):
        near = found + 0.05 * rng.normal(size=len(found))
        surest = np.empty(patients, object)
        surest[:] = np.split(near, np.cumsum(lesions)[:-1])
        trainings.append(sensitivity(base + 0.05 * rng.normal(size=len(base)), surest))
    made = influence(trainings, patients)
    ours = made.interval()
    draws = [np.bincount(rng.integers(0, patients, patients), minlength=patients).astype(float) for _ in range(300)]
    direct = np.quantile([trainings[0](w) for w in draws], [0.025, 0.975])
    assert ours.mean == pytest.approx(made.values.mean()) and np.allclose(made.pseudo.mean(1), made.values)
    assert 0.6 < (ours.high - ours.low) / (direct[1] - direct[0]) < 1.7
