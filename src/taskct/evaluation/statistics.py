"""Intervals over patients: bootstrap means and paired differences, honest about how few patients there are.

The patient is the unit. Slices of one patient are not independent: they are averaged first, and patients, not slices, are
drawn again. Three intervals are offered:

    percentile   quantiles of the resampled means: too narrow for few patients (about 85 % at n = 5 for a stated 95 %)
    expanded     percentile with levels widened to what Student's t needs at this n (Hesterberg, Am. Stat. 69:371 (2015))
    bca          bias-corrected and accelerated (Efron, J. Am. Stat. Assoc. 82:171 (1987)): for skewed values, many patients

No resampling can reach beyond the patients that were seen: for n patients it covers at most 1 - 2^(1 - n) of cases (for a
median), which is below 95 % for n < 6. Below FEW_PATIENTS the interval's `note` says so and `separated` is never True.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from taskct.core.errors import InputError, unknown_name
from taskct.core.seeds import derive_seed

UNBOUNDED = (-math.inf, math.inf)  # of a statistic that may take any value
FEW_PATIENTS = 5
FEW_SEEDS = 3
INTERVALS = ("expanded", "percentile", "bca")


@dataclass(frozen=True)
class Interval:
    """A mean over patients with its interval; `low` and `high` are NaN for a single patient.

    `left_out` counts values that were NaN (not defined) and took no part; over training seeds it counts patients. `n_values`
    are the slices, volumes or patients behind the mean. `n_seeds` is the number of trainings, None where nothing was trained.
    `p` is the two-sided p-value of a mean of 0, by Student's t with the interval's standard error and degrees of freedom; NaN
    where none was computed.
    """

    mean: float
    low: float
    high: float
    n_patients: int
    n_values: int
    level: float = 0.95
    method: str = "expanded"
    left_out: int = 0
    n_seeds: int | None = None
    p: float = math.nan

    @property
    def separated(self) -> bool:
        """True when zero lies outside the interval and there are enough patients to say so."""
        return self.n_patients >= FEW_PATIENTS and (self.low > 0 or self.high < 0)

    @property
    def note(self) -> str:
        """What a reader must know of this interval, '' when there is nothing to warn of."""
        return "; ".join(part for part in (self._few_patients, self._few_seeds) if part)

    def within(self, least: float, most: float) -> Interval:
        """The same mean, its ends moved to the bounds of the statistic that they pass, such as 0 and 1 of an AUC."""
        low, high = (min(max(end, least), most) if math.isfinite(end) else end for end in (self.low, self.high))
        return replace(self, low=low, high=high)

    @property
    def _few_patients(self) -> str:
        if self.n_patients >= FEW_PATIENTS:
            return ""
        if self.n_patients == 1:
            return "n=1 patient: no interval; slices of one patient are not independent"
        if self.n_patients == 0:
            return "n=0: no value"
        most = 100 * (1 - 2.0 ** (1 - self.n_patients))
        return f"n={self.n_patients} patients: too few; resampling them covers at most about {most:.0f} %"

    @property
    def _few_seeds(self) -> str:
        if self.n_seeds is None or self.n_seeds >= FEW_SEEDS:
            return ""
        if self.n_seeds == 1:
            return "n=1 training seed: says nothing about training again"
        return f"n={self.n_seeds} training seeds"

    def __str__(self) -> str:
        if self.n_patients < 2:
            return f"{self.mean:.4g} (n={self.n_patients})"
        few = f"; n={self.n_patients}" if self.n_patients < FEW_PATIENTS else ""
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}{few}]"


def over_patients(count: int) -> str:
    """What a mean is taken over, in words.

    >>> over_patients(1), over_patients(3)
    ('one patient, so no interval', 'mean over 3 patients with interval')
    """
    return "one patient, so no interval" if count == 1 else f"mean over {count} patients with interval"


def bootstrap_mean(
    values: Sequence[float] | np.ndarray,
    patients: Sequence[Hashable],
    *,
    level: float = 0.95,
    method: str = "expanded",
    resamples: int = 4000,
    seed: int = 0,
) -> Interval:
    """Mean over patients of each patient's mean value, with a bootstrap interval; the same seed gives the same interval.

    NaN values are left out and counted. Raises InputError when values and patients differ in number.

    >>> bootstrap_mean([1.0, 3.0, 5.0], ["anna", "anna", "bert"]).mean
    3.5
    """
    if method not in INTERVALS:
        raise unknown_name("interval", method, INTERVALS)
    if not 0 < level < 1 or resamples < 1:
        raise InputError(f"bootstrap expects 0 < level < 1 and resamples >= 1, got {level!r} and {resamples!r}")
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) != len(patients):
        raise InputError(f"bootstrap expects one patient per value, got {numbers.shape} values, {len(patients)} patients")
    means = patient_means(numbers, patients)
    left_out = int(np.isnan(numbers).sum())
    n, kept = len(means), len(numbers) - left_out
    centre = float(means.mean()) if n else math.nan
    low = high = p = math.nan
    if n > 1 and np.isfinite(means).all():
        resampled = means[_draws(n, resamples, seed)].mean(axis=1)
        low, high = np.quantile(resampled, _levels(means, resampled, level, method))
        p = p_of_zero(centre, float(means.std(ddof=1)) / math.sqrt(n), n - 1)
    return Interval(centre, float(low), float(high), n, kept, level, method, left_out, p=p)


def p_of_zero(mean: float, error: float, freedom: float) -> float:
    """Two-sided p-value of a true mean of 0 by Student's t: 1 for a mean of exactly 0, 0 for one without any error."""
    from scipy.special import stdtr

    if error <= 0:
        return 1.0 if mean == 0 else 0.0
    return min(2 * float(stdtr(freedom, -abs(mean) / error)), 1.0)  # NaN stays NaN


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values adjusted for how many they are, (K,): below 0.05 of them, no more than 5 % of such families hold an error.

    The k-th smallest of K is multiplied by K - k + 1, and none is smaller than one before it (Holm, Scand. J. Stat. 6:65
    (1979)); no independence is assumed. NaN values are not comparisons: they stay NaN and are not counted.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    there = np.flatnonzero(~np.isnan(values))
    if values.ndim != 1 or (values[there] < 0).any() or (values[there] > 1).any():
        raise InputError(f"holm expects a list of p-values from 0 to 1, got {p_values!r}")
    order = there[np.argsort(values[there], kind="stable")]
    found = np.full(len(values), math.nan)
    found[order] = np.maximum.accumulate(np.minimum(1.0, values[order] * np.arange(len(order), 0, -1)))
    return found


def paired_difference(
    values: Sequence[float] | np.ndarray,
    baseline: Sequence[float] | np.ndarray,
    patients: Sequence[Hashable],
    *,
    level: float = 0.95,
    method: str = "expanded",
    resamples: int = 4000,
    seed: int = 0,
) -> Interval:
    """`bootstrap_mean` of values - baseline, which belong together pair by pair (the same slice, the same dose)."""
    difference = np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    return bootstrap_mean(difference, patients, level=level, method=method, resamples=resamples, seed=seed)


def patient_means(values: np.ndarray, patients: Sequence[Hashable]) -> np.ndarray:
    """Mean of each patient's values, in the order in which patients first occur; NaN values take no part."""
    gathered: dict[Hashable, list[float]] = {}
    for value, patient in zip(values, patients, strict=True):
        if not math.isnan(value):
            gathered.setdefault(patient, []).append(float(value))
    return np.array([np.mean(v) for v in gathered.values()], dtype=np.float64)


@lru_cache(maxsize=64)
def _draws(n: int, resamples: int, seed: int) -> np.ndarray:
    """Which patients each resample holds, (resamples, n): the same for every metric, so that differences stay paired."""
    return np.random.default_rng(derive_seed(seed, "bootstrap", n)).integers(0, n, size=(resamples, n))


def _levels(means: np.ndarray, resampled: np.ndarray, level: float, method: str) -> tuple[float, float]:
    from scipy.special import ndtr, ndtri, stdtrit

    n, tail = len(means), (1 - level) / 2
    if method == "percentile":
        return tail, 1 - tail
    if method == "expanded":
        wide = float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, tail)))
        return wide, 1 - wide
    below = (np.sum(resampled < means.mean()) + 0.5 * np.sum(resampled == means.mean())) / len(resampled)
    if not 0 < below < 1:  # all patients equal
        return tail, 1 - tail
    without = (means.sum() - means) / (n - 1)  # jackknife
    spread = without.mean() - without
    scale = 6 * np.sum(spread**2) ** 1.5
    acceleration = np.sum(spread**3) / scale if scale > 0 else 0.0
    shift = ndtri(below)
    ends = [shift + ndtri(q) for q in (tail, 1 - tail)]
    low, high = (float(ndtr(shift + e / (1 - acceleration * e))) for e in ends)
    return low, high
