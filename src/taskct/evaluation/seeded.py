"""Intervals over training seeds and patients together: what would change if one trained again, and saw other patients.

Values form a table of S seeds x P patients. Both are drawn again, seeds and patients apart (Owen, Ann. Appl. Stat. 1:386
(2007)), which gives the shape of the distribution. Its width is too small for few seeds and too large for what is left
between the two, so the quantiles are stretched about the estimate until a normal distribution would have the width of

    t(df) * se        se^2 = [max(MSs, MSe) + max(MSp, MSe) - MSe] / (S P)

with the mean squares of seeds, patients and the rest of a two-way table without replicates, and Satterthwaite's degrees of
freedom df (the reasoning of multi-reader studies: Hillis, Stat. Med. 26:596 (2007)). Quantities that are no means (a pooled
Dice, a share) go through their linear influence values. One seed leaves the interval over patients alone, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from taskct.core.errors import InputError
from taskct.core.seeds import derive_seed
from taskct.evaluation.statistics import Interval, p_of_zero

Statistic = Callable[[np.ndarray], np.ndarray]


def mean_of(means: np.ndarray) -> np.ndarray:
    """The statistic of one column: its mean."""
    return np.asarray(means[..., 0])


def ratio_of(means: np.ndarray) -> np.ndarray:
    """The statistic of two columns: the ratio of their sums, NaN over 0; of several such pairs, the mean of their ratios."""
    return np.asarray(_divide(means[..., ::2], means[..., 1::2]).mean(-1))


def seeded_bootstrap(
    columns: np.ndarray,
    statistic: Statistic = mean_of,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    trained: bool = True,
) -> Interval:
    """Estimate and interval of `statistic(means of the columns)`: columns (J, S, P), or (S, P) for a single one.

    `statistic` maps means (..., J) to values (...), smoothly. Patients (last axis) with a NaN in any column are left out.
    `trained=False` says that no training stands behind the one "seed".
    The same seed gives the same interval; draws are shared by all quantities of the same S and P, so that they pair.

    >>> values = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    >>> round(seeded_bootstrap(values).mean, 3)
    0.2
    """
    values, left_out = _checked(columns, level, resamples)
    _, seeds, patients = values.shape
    about = (patients, seeds * patients, level, "seeds x patients", left_out, seeds if trained else None)
    if patients == 0:
        return Interval(math.nan, math.nan, math.nan, *about)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        centre = float(statistic(values.mean((1, 2))))
    if patients == 1 or not math.isfinite(centre):
        return Interval(centre, math.nan, math.nan, *about)
    over_seeds, over_patients = _draws(seeds, patients, resamples, seed)
    influence = _influence(values, statistic)
    drawn = statistic(np.einsum("rs,jsp,rp->rj", over_seeds, values, over_patients, optimize=True))
    spread = float(np.einsum("rs,sp,rp->r", over_seeds, influence, over_patients, optimize=True).std())
    low, high = _stretched(centre, drawn[np.isfinite(drawn)], spread, influence, level)
    return Interval(centre, low, high, *about, p=p_of_zero(centre, *standard_error(influence)))


def resampled(columns: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """Means of every column in every resample: (J, S, P) -> (resamples, J); the draws of `seeded_bootstrap`."""
    values, _ = _checked(columns, 0.95, resamples)
    over_seeds, over_patients = _draws(values.shape[1], values.shape[2], resamples, seed)
    return np.einsum("rs,jsp,rp->rj", over_seeds, values, over_patients, optimize=True)


def _checked(columns: np.ndarray, level: float, resamples: int) -> tuple[np.ndarray, int]:
    values = np.asarray(columns, dtype=np.float64)
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or 0 in values.shape[:2]:
        raise InputError(f"expected columns (J, seeds, patients), got {np.shape(columns)}")
    if not 0 < level < 1 or resamples < 1:
        raise InputError(f"bootstrap expects 0 < level < 1 and resamples >= 1, got {level!r} and {resamples!r}")
    defined = ~np.isnan(values).any(
        (0, 1)
    )  # an infinite score, the PSNR of a perfect image, is one: it makes the mean infinite
    return values[:, :, defined], int((~defined).sum())


@lru_cache(maxsize=3)  # a table asks for the same ones for each of its quantities
def _draws(seeds: int, patients: int, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of each seed (R, S) and patient (R, P) in every resample, to be read only."""
    rng = np.random.default_rng(derive_seed(seed, "seeds x patients", seeds, patients))
    parts = [rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n for n in (seeds, patients)]
    for part in parts:
        part.flags.writeable = False
    return parts[0], parts[1]


def _influence(values: np.ndarray, statistic: Statistic) -> np.ndarray:
    """First-order effect of each seed and patient on the statistic, (S, P), mean 0; slopes by central differences."""
    means = values.mean((1, 2))
    total = np.zeros(values.shape[1:])
    for j, column in enumerate(values):
        step = np.zeros_like(means)
        step[j] = 1e-5 * max(abs(float(means[j])), float(column.std()), 1e-12)
        slope = float(statistic(means + step) - statistic(means - step)) / (2 * step[j])
        total += slope * (column - means[j])
    return total


def _stretched(centre: float, drawn: np.ndarray, spread: float, influence: np.ndarray, level: float) -> tuple[float, float]:
    from scipy.special import ndtri, stdtrit

    error, freedom = standard_error(influence)
    if spread <= 1e-12 or len(drawn) == 0:
        return (centre, centre) if error <= 1e-12 else (math.nan, math.nan)
    tail = (1 - level) / 2
    factor = float(stdtrit(freedom, tail)) * error / (float(ndtri(tail)) * spread)
    low, high = (centre + factor * (float(q) - centre) for q in np.quantile(drawn, [tail, 1 - tail]))
    return low, high


def standard_error(values: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of a table (S, P) of seeds and patients, and its degrees of freedom."""
    seeds, patients = values.shape
    if seeds == 1:
        return float(values.std(ddof=1)) / math.sqrt(patients), patients - 1
    centre = values.mean()
    of_seed, of_patient = values.mean(1), values.mean(0)
    square_s = patients * float(((of_seed - centre) ** 2).sum()) / (seeds - 1)
    square_p = seeds * float(((of_patient - centre) ** 2).sum()) / (patients - 1)
    rest = values - of_seed[:, None] - of_patient[None] + centre
    square_e = float((rest**2).sum()) / ((seeds - 1) * (patients - 1))
    a, b = max(square_s, square_e), max(square_p, square_e)
    total = a + b - square_e
    if total <= 1e-30:
        return 0.0, float(patients - 1)
    blur = b**2 / (patients - 1) + (a**2 / (seeds - 1) if square_s > square_e else 0.0)
    return math.sqrt(total / (seeds * patients)), max(1.0, total**2 / blur)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below != 0, above / np.where(below != 0, below, 1), np.nan))
