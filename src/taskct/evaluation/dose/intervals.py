"""Intervals over patients of the dose that is enough, and of the gap to a bound that a share of patients reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from taskct.core.seeds import derive_seed
from taskct.evaluation.dose.quality_curves import held, of_patients, reached_at
from taskct.evaluation.statistics import Interval, bootstrap_mean

RESAMPLES = 2000


def dose_interval(
    levels: np.ndarray, gap: np.ndarray, patients: Sequence[str], held_by: str | float, seed: int
) -> tuple[float, float]:
    """95 % interval of the dose over resampled patients; NaN for an end that lies beyond the doses measured.

    Patients without a defined gap (without the class) take no part. Both ends are NaN for fewer than two patients.
    """
    gap = of_patients(gap, patients, held_by)
    gap = gap[np.isfinite(gap).any(1)]
    count = len(gap)
    if count < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(derive_seed(seed, "dose", count))
    found = []
    for draw in rng.integers(0, count, (RESAMPLES, count)):
        part = gap[draw]
        if np.isfinite(part).any(0).all():
            found.append(reached_at(levels, held(part, held_by)))
    ends = np.where(np.isfinite(found), found, math.inf)
    low, high = np.quantile(ends, [0.025, 0.975], method="nearest")
    return tuple(float(v) if math.isfinite(v) else math.nan for v in (low, high))  # type: ignore[return-value]


def share_interval(gap: np.ndarray, patients: Sequence[str], share: float) -> Interval:
    """Of the gap that a share of patients reaches: 95 % by order statistics, each patient by the worst value.

    The number of patients below a quantile is binomial, whatever the distribution (David and Nagaraja, Order Statistics,
    section 7.1). An end is NaN where there are too few patients: 90 % of them needs 36, all of them can be proven by none.
    """
    each = of_patients(gap[:, None], patients, share)
    worst = np.sort(each[np.isfinite(each)])
    n, values = len(worst), int(np.isfinite(gap).sum())
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0, 0, method="order statistics")
    below = np.cumsum([math.comb(n, k) * (1 - share) ** k * share ** (n - k) for k in range(n + 1)])
    low, high = int((below <= 0.025).sum()), int((below < 0.975).sum()) + 1  # ranks, from 1
    return Interval(
        float(held(each, share)[0]),
        float(worst[low - 1]) if low >= 1 else math.nan,
        float(worst[high - 1]) if high <= n else math.nan,
        n,
        values,
        method="order statistics",
    )


def confirmed_level(levels: np.ndarray, gap: np.ndarray, patients: Sequence[str], held_by: str | float) -> float:
    """Lowest measured dose from which the interval of what is asked stays on the good side; NaN if none.

    What is asked: the mean difference to the bound, or that which a share of patients reaches.
    """
    found = math.nan
    for j in reversed(range(len(levels))):
        column = gap[:, j]
        asked = bootstrap_mean(column, patients) if isinstance(held_by, str) else share_interval(column, patients, held_by)
        if not asked.low >= 0:
            break
        found = float(levels[j])
    return found
