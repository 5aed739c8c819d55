"""Scores and intervals in numpy and scipy: Dice of a patient, lesions at equal alarms, pooled Dice, paired intervals, Holm."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, stats

EIGHT = np.ones((3, 3), bool)


def dice_of_patients(marked: np.ndarray, true: np.ndarray, owner: np.ndarray) -> dict[str, float]:
    """Of each patient with a lesion: twice the common pixels over the pixels of both, all slices together."""
    found = {}
    for who in dict.fromkeys(owner):
        m, t = marked[owner == who], true[owner == who]
        if t.any():
            found[who] = 2.0 * (m & t).sum() / (m.sum() + t.sum())
    return found


def pooled_counts(marked: np.ndarray, true: np.ndarray, owner: np.ndarray) -> dict[str, tuple[int, int]]:
    """Twice the common pixels, and the pixels of both, of every patient."""
    return {
        who: (2 * int((marked & true)[owner == who].sum()), int(marked[owner == who].sum() + true[owner == who].sum()))
        for who in dict.fromkeys(owner)
    }


def lesions_at_one_alarm(score: np.ndarray, true: np.ndarray, owner: np.ndarray) -> dict[str, tuple[int, int]]:
    """Lesions found and lesions of every patient, at the threshold that finds most with one false mark per image or fewer.

    A lesion is a piece of 8-connected pixels of one slice. A mark finds it when they share a pixel and a tenth of the mark
    or more lies in lesions; a mark that finds none is a false one.
    """
    pieces = [ndimage.label(t, EIGHT) for t in true]
    levels = np.quantile(score[:, :, :], 1 - np.geomspace(2e-4, 0.2, 24))
    best: tuple[int, list[list[bool]]] = (-1, [])
    for level in levels:
        found, alarms = [], 0
        for one, (lesions, count) in zip(score, pieces, strict=True):
            marks, number = ndimage.label(one >= level, EIGHT)
            hit = [False] * count
            for k in range(1, number + 1):
                inside = lesions[marks == k]
                if (inside > 0).sum() >= max(1, 0.1 * len(inside)):
                    for lesion in np.unique(inside[inside > 0]):
                        hit[lesion - 1] = True
                else:
                    alarms += 1
            found.append(hit)
        total = sum(sum(h) for h in found)
        if alarms / len(score) <= 1 and total > best[0]:
            best = (total, found)
    hits = {who: [0, 0] for who in dict.fromkeys(owner)}
    for k, (_, count) in enumerate(pieces):
        hits[owner[k]][1] += count
        hits[owner[k]][0] += sum(best[1][k]) if best[1] else 0
    return {who: (a, b) for who, (a, b) in hits.items()}


def paired_mean(one: dict[str, float], other: dict[str, float]) -> tuple[float, float, float, float]:
    """Mean over patients of one - other, its 95 % interval and p-value by Student's t."""
    gaps = np.array([one[who] - other[who] for who in one if who in other])
    error = gaps.std(ddof=1) / np.sqrt(len(gaps))
    reach = stats.t.ppf(0.975, len(gaps) - 1) * error
    p = float(stats.ttest_1samp(gaps, 0.0).pvalue) if error > 0 else float(gaps.mean() == 0)
    return float(gaps.mean()), float(gaps.mean() - reach), float(gaps.mean() + reach), p


def paired_ratio(
    one: dict[str, tuple[int, int]], other: dict[str, tuple[int, int]], *, seed: int, resamples: int = 4000
) -> tuple[float, float, float, float]:
    """Difference of two ratios of sums over patients, its 95 % bootstrap interval, and p by its standard error."""
    names = list(one)
    a, b = (np.array([d[who] for who in names], float) for d in (one, other))
    difference = lambda w: (w @ a[:, 0]) / (w @ a[:, 1]) - (w @ b[:, 0]) / (w @ b[:, 1])
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), resamples).astype(float)
    found = np.array([difference(w) for w in draws])
    centre = difference(np.ones(len(names)))
    low, high = np.quantile(found, [0.025, 0.975])
    p = 2 * stats.t.sf(abs(centre) / found.std(ddof=1), len(names) - 1) if found.std() > 0 else 1.0
    return float(centre), float(low), float(high), float(p)


def holm_adjusted(p_values: list[float]) -> list[float]:
    """Step down: the k-th smallest of K times K - k + 1, never below one before it."""
    found, worst = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[k] * (len(p_values) - rank)))
        found[k] = worst
    return found
