from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from taskct.core.errors import InputError
from taskct.evaluation.reading import accuracy, auc, calibration_error


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_share_of_pairs_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.integers(0, 6, 40) / 6, rng.integers(0, 2, 40).astype(float)
    pairs = [(a > b) + (a == b) / 2 for a in scores[truth == 1] for b in scores[truth == 0]]
    assert auc(scores, truth) == pytest.approx(np.mean(pairs))
    weights = rng.integers(0, 3, 40)
    assert auc(scores, truth, weights=weights) == pytest.approx(auc(np.repeat(scores, weights), np.repeat(truth, weights)))


def test_what_is_unknown_takes_no_part() -> None:
    scores, truth = np.array([0.9, 0.1, 0.5]), np.array([1.0, 0.0, np.nan])
    assert auc(scores, truth) == 1.0 and accuracy(scores, truth) == 1.0
    assert math.isnan(auc(scores[:1], truth[:1])) and math.isnan(accuracy(scores[2:], truth[2:]))


def test_calibration_error_of_honest_and_of_too_sure_probabilities() -> None:
    truth = np.array([1.0, 0, 0, 0] * 25)
    assert calibration_error(np.full(100, 0.25), truth) == pytest.approx(0.0)
    assert calibration_error(np.full(100, 0.95), truth) == pytest.approx(0.7)
    two = np.where(np.arange(100) % 4 == 0, 1.0, 0.0)
    assert calibration_error(two, truth) == 0.0
    with pytest.raises(InputError, match="not logits"):
        calibration_error(np.array([3.0]), np.array([1.0]))
    with pytest.raises(InputError, match="0, 1 or NaN"):
        auc(np.array([0.5]), np.array([2.0]))
    with pytest.raises(InputError, match=r"got 0\.5, 3$"):
        auc(np.arange(4.0), np.array([0.0, 3.0, 0.5, 1.0]))


@pytest.mark.parametrize("score", [auc, accuracy, calibration_error])
@pytest.mark.parametrize("bad", [math.nan, -1.0, math.inf])
def test_scores_and_weights_that_are_no_numbers_are_refused_where_they_count(score: Callable[..., float], bad: float) -> None:
    values, truth = np.array([0.2, 0.9, 0.4]), np.array([0.0, 1.0, np.nan])
    with pytest.raises(InputError, match="weights"):
        score(values, truth, weights=np.array([1.0, bad, 1.0]))
    assert score(values, truth) == score(np.array([0.2, 0.9, np.nan]), truth)  # of the third nothing is known
    if math.isnan(bad):
        with pytest.raises(InputError, match="NaN for 1 of 2"):
            score(np.array([bad, 0.9, 0.4]), truth)
