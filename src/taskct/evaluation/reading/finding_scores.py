"""Scores of answers to "does the image show it?": area under the ROC curve, accuracy, calibration."""

from __future__ import annotations

import numpy as np

from taskct.core.errors import InputError


def auc(scores: np.ndarray, truth: np.ndarray, *, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half. NaN without both.

    Unknown truth (NaN) takes no part. `weights` count images several times or not at all.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
    0.875
    """
    scores, truth, weights = _known(scores, truth, weights)
    levels, place = np.unique(scores, return_inverse=True)
    positive = np.bincount(place, weights * (truth == 1), len(levels))
    negative = np.bincount(place, weights * (truth == 0), len(levels))
    pairs = positive.sum() * negative.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)


def accuracy(
    probabilities: np.ndarray, truth: np.ndarray, *, threshold: float = 0.5, weights: np.ndarray | None = None
) -> float:
    """Share of images whose probability lies on the right side of `threshold`; NaN without any known."""
    probabilities, truth, weights = _known(probabilities, truth, weights)
    total = weights.sum()
    return float((weights * ((probabilities >= threshold) == (truth == 1))).sum() / total) if total else float("nan")


def calibration_error(
    probabilities: np.ndarray, truth: np.ndarray, *, bins: int = 10, weights: np.ndarray | None = None
) -> float:
    """Expected calibration error: mean over images of |mean probability - share of positives| in bins of equal width.

    Guo et al., ICML 2017, for the probability of the finding. It depends on the number of bins, which must be stated.
    """
    probabilities, truth, weights = _known(probabilities, truth, weights)
    if bins < 1 or (len(probabilities) and not (probabilities.min() >= 0 and probabilities.max() <= 1)):
        raise InputError("calibration_error expects bins >= 1 and probabilities from 0 to 1, not logits")
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    gap = np.bincount(place, weights * (probabilities - (truth == 1)), bins)
    total = weights.sum()
    return float(np.abs(gap).sum() / total) if total else float("nan")


def _known(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, truth = np.asarray(scores, float), np.asarray(truth, float)
    counts = np.ones(len(scores)) if weights is None else np.asarray(weights, float)
    if not scores.shape == truth.shape == counts.shape or scores.ndim != 1:
        raise InputError(f"expected one truth and one weight per score, got {scores.shape}, {truth.shape}, {counts.shape}")
    known = ~np.isnan(truth)
    if other := set(truth[known].tolist()) - {0, 1}:
        raise InputError(
            f"truth expects 0, 1 or NaN for unknown, got {', '.join(f'{value:g}' for value in sorted(other)[:3])}"
        )
    if np.isnan(scores[known]).any():
        raise InputError(
            f"expected scores that are numbers, got NaN for {int(np.isnan(scores[known]).sum())} of {known.sum()}"
        )
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise InputError("expected weights that are finite and 0 or more")
    return scores[known], truth[known], counts[known]
