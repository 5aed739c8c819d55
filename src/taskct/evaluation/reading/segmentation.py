"""Scores of a segmentation: Dice by counts, with one bias re-tuned, without a threshold, and what is marked where nothing is.

Logits are (N, K, Y, X) or (N, K, Z, Y, X), labels (N, Y, X) or (N, Z, Y, X) in 0..K-1; N images of any number of patients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.tensors import refuse_nan


@dataclass(frozen=True)
class Counts:
    """Pixels of one class per image, int64 (N,): marked and true, marked only, missed."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray

    @property
    def dice(self) -> np.ndarray:
        """Dice per image, (N,); NaN where the truth is empty: there is nothing to find, false marks are counted apart."""
        return _dice(self.tp, self.fp, self.fn)

    @property
    def pooled_dice(self) -> float:
        """Dice of all pixels of all images together."""
        return float(_dice(self.tp.sum(), self.fp.sum(), self.fn.sum()))

    @property
    def empty(self) -> np.ndarray:
        """Images in which the class does not occur, bool (N,)."""
        return self.tp + self.fn == 0

    @property
    def false_pixels_on_empty(self) -> float:
        """Mean number of marked pixels on images without the class; NaN when there is no such image."""
        return float(self.fp[self.empty].mean()) if self.empty.any() else math.nan


def count(prediction: Tensor, labels: Tensor, class_index: int) -> Counts:
    """Counts of one class: predicted and true class numbers (N, ...) -> per image.

    >>> count(torch.tensor([[1, 1, 0]]), torch.tensor([[1, 0, 1]]), 1).dice
    array([0.5])
    """
    if prediction.shape != labels.shape:
        raise GeometryError(f"prediction and labels differ in shape: {tuple(prediction.shape)} and {tuple(labels.shape)}")
    marked, true = (x.flatten(1) == class_index for x in (prediction, labels))
    tp, fp, fn = (x.sum(1).cpu().numpy() for x in (marked & true, marked & ~true, ~marked & true))
    return Counts(tp, fp, fn)


def margin(logits: Tensor, class_index: int) -> Tensor:
    """How far the logit of a class is above the highest other one: (N, K, ...) -> (N, ...); positive where it wins."""
    others = _others(logits, class_index)
    return logits[:, class_index] - others.amax(1)


def log_odds(logits: Tensor, class_index: int) -> Tensor:
    """ln p - ln(1 - p) of the class's softmax probability: (N, K, ...) -> (N, ...). It never saturates, so ranks stay."""
    others = _others(logits, class_index)
    return logits[:, class_index] - others.logsumexp(1)


def predict_with_bias(logits: Tensor, class_index: int, bias: float = 0.0) -> Tensor:
    """The winning class after `bias` is added to the logit of one class: (N, K, ...) -> (N, ...)."""
    shift = torch.zeros(logits.shape[1], dtype=logits.dtype, device=logits.device)
    shift[class_index] = bias
    return winner(logits + shift.view(-1, *[1] * (logits.ndim - 2)))


def winner(logits: Tensor) -> Tensor:
    """`logits.argmax(1)`, (N, K, ...) -> (N, ...) int64, class by class, which is many times faster for few classes."""
    best, found = logits[:, 0], torch.zeros_like(logits[:, 0], dtype=torch.int64)
    for k in range(1, logits.shape[1]):
        found = torch.where(logits[:, k] > best, k, found)
        best = torch.maximum(best, logits[:, k])
    return found


def best_bias(logits: Tensor, labels: Tensor, class_index: int) -> float:
    """The bias on one class's logit that gives the highest pooled Dice of it, exactly. For validation images only.

    What a threshold shift can gain, this gains: a method that is better after it, is better for another reason. 0 is kept
    when nothing is gained by moving. Raises InputError when the class does not occur.
    """
    score = margin(logits, class_index).flatten().double().cpu().numpy()
    true = (labels.flatten() == class_index).cpu().numpy()
    if not true.any():
        raise InputError(f"class {class_index} does not occur in these images, so its bias cannot be tuned")
    order = np.argsort(-score)
    ranked, found = score[order], np.cumsum(true[order])
    last = np.append(np.diff(ranked) != 0, True)  # ties stand or fall together
    dice = 2 * found / (np.arange(1, len(ranked) + 1) + true.sum())
    best = int(np.argmax(np.where(last, dice, -1)))
    now = score > 0
    unmoved = 2 * (now & true).sum() / max(now.sum() + true.sum(), 1)
    if unmoved >= dice[best] - 1e-12:
        return 0.0
    below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best] - 1.0
    return float(-(ranked[best] + below) / 2)


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under precision over recall, exactly: AP = sum over distinct scores of (R_n - R_{n-1}) P_n; NaN without positives.

    No interpolation, equal scores enter together: the definition of scikit-learn's `average_precision_score`. Any rising
    transform of the scores leaves it as it is.

    >>> round(average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])), 4)
    0.8333
    """
    flags = np.asarray(positive, dtype=bool).ravel()
    values = np.asarray(scores).ravel()
    if flags.shape != values.shape:
        raise GeometryError(f"one score per pixel is expected, got {values.size} scores and {flags.size} labels")
    refuse_nan(values, who="average_precision: the reader")
    total = int(flags.sum())
    if total == 0:
        return math.nan
    kept = values >= values[flags].min()  # the rest comes after full recall and adds nothing
    values, flags = values[kept], flags[kept]
    order = np.argsort(-values)  # ties stand together, in any order
    ranked = values[order]
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    found = np.cumsum(flags[order])[ends]
    return float((np.diff(found, prepend=0) / total * (found / (ends + 1))).sum())


def _others(logits: Tensor, class_index: int) -> Tensor:
    if logits.shape[1] < 2 or not 0 <= class_index < logits.shape[1]:
        raise InputError(f"class {class_index} of {logits.shape[1]} logits: expected one of two classes or more")
    keep = [k for k in range(logits.shape[1]) if k != class_index]
    return logits[:, keep]


def _dice(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    total = 2 * tp + fp + fn
    return np.where(tp + fn > 0, 2 * tp / np.maximum(total, 1), np.nan)
