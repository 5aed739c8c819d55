"""Task score over dose for each method, and the dose at which it is no worse than full dose by more than a margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import InputError
from taskct.core.names import known_digits, photon_count
from taskct.evaluation.matrices import Matrix, aligned, columns_of
from taskct.evaluation.reading.ratios import better_side
from taskct.evaluation.rows import UNSEEN, DoseLevel
from taskct.evaluation.seeded import mean_of, ratio_of, resampled
from taskct.evaluation.statistics import FEW_PATIENTS, Interval
from taskct.evaluation.table import Table


@dataclass(frozen=True)
class DoseCurve:
    """A method's score at each dose, rising, with intervals over seeds and patients; `full` is that of full dose."""

    method: str
    metric: str
    doses: tuple[DoseLevel, ...]
    points: tuple[Interval, ...]
    full: Interval


@dataclass(frozen=True)
class NeededDose:
    """The photons per pixel at which a method meets a margin of full dose; NaN where it does not within the doses measured.

    `estimate` is where the mean does, `low` and `high` its interval, `confirmed` the lowest dose at which the interval of the
    difference stays within the margin (non-inferiority). `text` says it in words.
    """

    method: str
    margin: float
    estimate: float
    low: float
    high: float
    confirmed: float
    text: str


def dose_curve(
    table: Table,
    method: str,
    *,
    metric: str = "dice_pooled",
    region: str = "tumour",
    reader: str | Sequence[str] = UNSEEN,
    full: str = "full dose",
    full_dose: DoseLevel | None = None,
    seed: int = 0,
) -> DoseCurve:
    """The curve of one method over all doses of the table at which it was read; `full` names the method of full dose."""
    top = full_dose or _dose_of(table, full)
    doses = tuple(sorted(_doses(table, method), key=lambda d: d.used_photons))
    seen = {"region": region, "reader": reader, "seed": seed}
    points = tuple(table.mean(metric, method, dose=d, **seen) for d in doses)  # type: ignore[arg-type]
    return DoseCurve(method, metric, doses, points, table.mean(metric, full, dose=top, **seen))  # type: ignore[arg-type]


def needed_dose(
    table: Table,
    method: str,
    *,
    margin: float,
    metric: str = "dice_pooled",
    region: str = "tumour",
    reader: str | Sequence[str] = UNSEEN,
    full: str = "full dose",
    full_dose: DoseLevel | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> NeededDose:
    """The dose at which `method` is within `margin` of full dose: its differences, made monotone, read off in log dose.

    More dose never hurts: the differences are replaced by the nearest rising sequence (pool adjacent violators) and joined
    by straight lines over the logarithm of photons. Every resample of seeds and patients has its own curve and its own dose.
    Nothing is extrapolated: a margin that is met at the lowest dose already gives "at most", one never met "not reached".
    """
    if not margin > 0:
        raise InputError(f"needed_dose expects a margin above 0 in the unit of {metric}, got {margin!r}")
    sign = 1.0 if better_side(metric) == "higher" else -1.0
    top = full_dose or _dose_of(table, full)
    doses = sorted(_doses(table, method), key=lambda d: d.used_photons)
    if not doses:
        raise InputError(f"method {method!r} was read at no dose")
    parts = [table.matrix(metric, full, dose=top, region=region, reader=reader)]
    parts += [table.matrix(metric, method, dose=d, region=region, reader=reader) for d in doses]
    joined = _defined(aligned(parts))
    photons = np.array([d.used_photons for d in doses])
    value = ratio_of if table.ratio(metric) else mean_of
    split = lambda means: np.stack([value(part) for part in columns_of(parts, means)], axis=-1)
    worse = lambda means: sign * (split(means)[..., 1:] - split(means)[..., :1])  # (..., D), below 0 is worse than full
    now = worse(joined.columns.mean((1, 2)))
    draws = worse(resampled(joined.columns, resamples=resamples, seed=seed))
    draws = draws[np.isfinite(draws).all(1)]
    estimate = crossing(photons, now, -margin)
    reached = np.array([crossing(photons, d, -margin) for d in draws])
    tail = (1 - level) / 2
    filled = np.where(np.isfinite(reached), reached, math.inf)  # not reached: beyond the highest dose
    low, high = (float(q) if math.isfinite(q) else math.nan for q in np.quantile(filled, [tail, 1 - tail], method="nearest"))
    confirmed = _confirmed(table, method, doses, margin, sign, metric=metric, region=region, reader=reader, full=full, top=top)
    words = _words(method, margin, photons, (estimate, low, high, confirmed))
    return NeededDose(method, margin, estimate, low, high, confirmed, words)


def crossing(photons: np.ndarray, values: np.ndarray, level: float) -> float:
    """Photons at which values, made rising, pass `level`, linear in log photons: the lowest if at once.

    NaN where they never do, and where the value at the highest dose or just below the crossing is NaN.

    >>> round(crossing(np.array([1e3, 1e5]), np.array([-0.2, 0.0]), -0.1))
    10000
    """
    rising = monotone(values)
    if not rising[-1] >= level:  # never, or not defined
        return math.nan
    first = int(np.argmax(rising >= level))
    if first == 0:
        return float(photons[0])
    share = (level - rising[first - 1]) / (rising[first] - rising[first - 1])
    x = np.log(photons)
    return float(np.exp(x[first - 1] + share * (x[first] - x[first - 1])))


def monotone(values: np.ndarray) -> np.ndarray:
    """The nearest rising sequence in least squares, by pooling adjacent violators.

    >>> monotone(np.array([1.0, 3.0, 2.0]))
    array([1. , 2.5, 2.5])
    """
    blocks: list[list[float]] = []  # mean, length
    for v in values:
        blocks.append([float(v), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, n = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * n) / (before[1] + n)
            before[1] += n
    return np.concatenate([np.full(int(n), mean) for mean, n in blocks])


def _confirmed(
    table: Table,
    method: str,
    doses: Sequence[DoseLevel],
    margin: float,
    sign: float,
    *,
    metric: str,
    region: str,
    reader: str | Sequence[str],
    full: str,
    top: DoseLevel,
) -> float:
    """The lowest measured dose from which every interval of the difference stays within the margin; NaN if none.

    NaN for so few patients that their interval confirms nothing.
    """
    found = math.nan
    for dose in reversed(doses):
        gap = table.paired(metric, method, full, dose=dose, baseline_dose=top, region=region, reader=reader)
        worst = gap.low if sign > 0 else -gap.high
        if not worst > -margin or gap.n_patients < FEW_PATIENTS:
            break
        found = dose.used_photons
    return found


def _words(method: str, margin: float, photons: np.ndarray, numbers: tuple[float, ...]) -> str:
    estimate, low, high, confirmed = numbers
    lowest, highest = float(photons[0]), float(photons[-1])
    limit = f"within {margin:g} of full dose"
    if math.isnan(estimate):
        some = "" if math.isnan(low) else f" (the interval of the dose begins at {photon_count(low, digits=2)})"
        return f"{method}: {limit} is not reached at up to {photon_count(highest)} photons{some}"
    at_once = estimate <= lowest * (1 + 1e-9)
    width = (highest if math.isnan(high) else high) - (0.0 if math.isnan(low) else low)
    about = photon_count(estimate, digits=known_digits(estimate, width))
    where = f"{photon_count(lowest)} photons, the lowest dose that was measured" if at_once else f"about {about} photons"
    end = "not reached" if math.isnan(high) else photon_count(high, digits=2)
    sure = "not confirmed at any dose" if math.isnan(confirmed) else f"confirmed from {photon_count(confirmed)} on"
    return f"{method}: {limit} at {where} [{photon_count(low, digits=2)}, {end}]; {sure}"


def _defined(part: Matrix) -> Matrix:
    keep = np.isfinite(part.columns).all((0, 1))
    return Matrix(part.columns[:, :, keep], part.seeds, tuple(p for p, k in zip(part.patients, keep, strict=True) if k))


def _doses(table: Table, method: str) -> set[DoseLevel]:
    return {r.dose for r in table.rows if r.method == method}


def _dose_of(table: Table, method: str) -> DoseLevel:
    found = _doses(table, method)
    if len(found) != 1:
        raise InputError(f"method {method!r} was read at {len(found)} doses, expected one as full dose; give full_dose=")
    return found.pop()
