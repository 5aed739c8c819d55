from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import GeometryError, InputError
from taskct.evaluation.reading.lesions import find_lesions, froc
from taskct.evaluation.reading.panel import read_images
from taskct.evaluation.reading.segmentation import (
    average_precision,
    best_bias,
    count,
    log_odds,
    margin,
    predict_with_bias,
    winner,
)
from taskct.task import DiceCE, FrozenTask, find_peaks


def logits_and_labels(seed: int = 0, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes of 4 images, of which the last has no class 2; the logit of class 2 is off by `shift`."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(4, 24, 24, dtype=torch.int64)
    labels[:, 4:20, 4:20] = 1
    labels[:3, 8:13, 9:15] = 2
    logits = 2.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1) + torch.randn(4, 3, 24, 24, generator=generator)
    logits[:, 2] += shift
    return logits, labels


def test_a_perfect_answer_scores_one_and_empty_images_are_counted_apart():
    _, labels = logits_and_labels()
    perfect = count(labels, labels, 2)
    assert perfect.pooled_dice == 1 and perfect.dice[:3].tolist() == [1, 1, 1]
    assert np.isnan(perfect.dice[3]) and perfect.empty.tolist() == [False] * 3 + [True]
    assert perfect.false_pixels_on_empty == 0
    marked = labels.clone()
    marked[3, :2, :5] = 2
    wrong = count(marked, labels, 2)
    assert np.isnan(wrong.dice[3]) and wrong.false_pixels_on_empty == 10  # the false marks are not lost with the Dice
    assert wrong.pooled_dice == pytest.approx(2 * 90 / (2 * 90 + 10))
    assert np.isnan(count(labels[:3], labels[:3], 2).false_pixels_on_empty)


def test_retuning_takes_a_threshold_shift_away():
    straight, labels = logits_and_labels()
    shifted, _ = logits_and_labels(shift=-3.0)
    dice = lambda logits, bias: count(predict_with_bias(logits, 2, bias), labels, 2).pooled_dice
    assert dice(shifted, 0) < dice(straight, 0) - 0.05
    biases = [best_bias(x, labels, 2) for x in (straight, shifted)]
    assert biases[1] - biases[0] == pytest.approx(3.0, abs=1e-4)  # exactly the shift, in float32
    assert dice(shifted, biases[1]) == dice(straight, biases[0])
    ap = [average_precision(log_odds(x, 2).numpy(), (labels == 2).numpy()) for x in (straight, shifted)]
    assert ap[0] == pytest.approx(ap[1], abs=1e-6)  # and AP never saw it (ties of rounding)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(-3, 3), st.booleans())
def test_no_bias_on_a_grid_beats_the_best_bias(seed, shift, tied):
    logits, labels = logits_and_labels(seed, shift)
    logits = logits.round() + 0.25 * torch.tensor([0.0, 0.0, 1.0])[:, None, None] if tied else logits
    dice = lambda bias: count(predict_with_bias(logits, 2, bias), labels, 2).pooled_dice
    best = dice(best_bias(logits, labels, 2))
    assert best >= max(dice(float(b)) for b in np.linspace(-6, 6, 61)) - 1e-9


def test_a_perfect_answer_keeps_its_bias_of_zero():
    _, labels = logits_and_labels()
    assert best_bias(5.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1), labels, 2) == 0.0
    with pytest.raises(InputError, match="class 2 does not occur"):
        best_bias(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64), 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_average_precision_is_the_sum_over_thresholds(pairs):
    # scikit-learn: AP = sum_n (R_n - R_{n-1}) P_n over the distinct scores, highest first, computed here one by one.
    scores, positive = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs])
    found = average_precision(scores, positive)
    if not positive.any():
        assert np.isnan(found)
        return
    expected = recall = 0.0
    for threshold in sorted(set(scores), reverse=True):
        kept = scores >= threshold
        new = (kept & positive).sum() / positive.sum()
        expected += (new - recall) * (kept & positive).sum() / kept.sum()
        recall = new
    assert found == pytest.approx(expected, abs=1e-12)


def test_average_precision_sees_ranks_only():
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=500), rng.random(500) < 0.2
    assert average_precision(np.tanh(scores / 4), positive) == average_precision(scores, positive)
    assert average_precision(positive.astype(float), positive) == 1
    assert average_precision(np.zeros(500), positive) == pytest.approx(positive.mean())  # nothing known: the prevalence


def test_the_winner_is_the_first_highest_class():
    logits = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0)).round()  # with ties
    assert torch.equal(winner(logits), logits.argmax(1))


def test_log_odds_rank_where_probabilities_have_saturated():
    logits = torch.tensor([[0.0, 40.0], [0.0, 50.0]])[:, :, None]  # (2, 2, 1)
    assert logits.softmax(1)[0, 1] == logits.softmax(1)[1, 1] == 1
    assert log_odds(logits, 1)[1] > log_odds(logits, 1)[0]
    assert torch.equal(margin(logits, 1)[:, 0], torch.tensor([40.0, 50.0]))


def test_other_grids_are_refused():
    with pytest.raises(GeometryError, match="prediction and labels differ"):
        count(torch.zeros(1, 4, 4), torch.zeros(1, 5, 5), 1)
    with pytest.raises(InputError, match="class 3 of 3 logits"):
        margin(torch.zeros(1, 3, 4, 4), 3)


def test_a_bias_that_gains_nothing_is_0():
    labels = torch.tensor([[[0, 0, 1, 1]]])
    logits = torch.stack([torch.zeros(1, 1, 4), torch.tensor([[[-2.0, -0.2, 1.0, 2.0]]])], 1)
    assert best_bias(logits, labels, 1) == 0.0  # all right as it is: nothing is better
    assert best_bias(logits - torch.tensor([0.0, 1.5]).view(1, 2, 1, 1), labels, 1) != 0.0


def test_a_reader_that_answers_nan_is_refused_and_not_one_that_sees_nothing() -> None:
    class Overflows(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x * torch.where(x.amax((1, 2, 3), keepdim=True) > 0.5, torch.nan, 1.0)], 1)

    reader = FrozenTask(Overflows().eval(), torch.nn.Identity(), DiceCE(), "half")
    images = torch.zeros(3, 1, 4, 4)
    assert read_images(reader, images).shape == (3, 2, 4, 4)
    images[1] = 1.0
    with pytest.raises(InputError, match="reader 'half' answers NaN, 16 of 96 numbers"):
        read_images(reader, images)
    scores = np.where(np.arange(16).reshape(1, 4, 4) > 9, np.nan, 1.0)
    truth = find_lesions(np.ones((1, 4, 4), int), 1, spacing_mm=(1.0, 1.0))
    for score in (lambda: average_precision(scores, scores > 0), lambda: froc(scores, truth)):
        with pytest.raises(InputError, match="answers NaN, 6 of 16 numbers"):
            score()
    with pytest.raises(InputError, match="find_peaks: the network answers NaN"):
        find_peaks(torch.full((1, 1, 4, 4), torch.nan))
