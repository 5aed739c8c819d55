"""Curves and numbers of a detector over scans: FROC, the competition metric of LUNA16, average precision.

    linear   sensitivity interpolated linearly between the points of the curve, the last one beyond its end: LUNA16's script
    step     the highest sensitivity with at most that many false findings per scan: never above what was reached

Scans may be counted several times or not at all (`weights`, by patient): what resampling and the jackknife need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import InputError, unknown_name
from taskct.evaluation.reading.found_lesions import MISSED, ScanMatches
from taskct.evaluation.reading.lesions import FALSE_ALARM_RATES

INTERPOLATIONS = ("linear", "step")


@dataclass(frozen=True, eq=False)
class DetectorCurve:
    """At falling thresholds: false findings per scan and the share of lesions found, both from 0, and precision."""

    false_per_scan: np.ndarray
    sensitivity: np.ndarray
    precision: np.ndarray

    def at(self, rate: float, *, interpolation: str = "linear") -> float:
        """Sensitivity at `rate` false findings per scan; NaN without lesions."""
        if interpolation not in INTERPOLATIONS:
            raise unknown_name("interpolation", interpolation, INTERPOLATIONS)
        if interpolation == "linear":
            return float(np.interp(rate, self.false_per_scan, self.sensitivity))
        return float(self.sensitivity[self.false_per_scan <= rate].max())


def detector_curve(scans: Sequence[ScanMatches], *, weights: Mapping[str, float] | None = None) -> DetectorCurve:
    """The curve of all scans; findings of one score count together. InputError without scans that count."""
    counts = np.array([1.0 if weights is None else float(weights.get(s.patient, 0.0)) for s in scans])
    if not len(scans) or counts.sum() <= 0:
        raise InputError("a detector's curve expects at least one scan that counts")
    scores = np.concatenate([s.scores for s in scans])
    true = np.concatenate([s.found != MISSED for s in scans])
    times = np.repeat(counts, [len(s.scores) for s in scans])
    lesions = float((counts * [s.lesions for s in scans]).sum())
    order = np.argsort(-scores, kind="stable")
    hits, false = np.cumsum((times * true)[order]), np.cumsum((times * ~true)[order])
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf)) if len(scores) else np.zeros(0, int)
    hits, false = np.r_[0.0, hits[last]], np.r_[0.0, false[last]]
    sensitivity = hits / lesions if lesions else np.full(len(hits), np.nan)
    precision = np.divide(hits, hits + false, out=np.ones_like(hits), where=hits + false > 0)
    return DetectorCurve(false / counts.sum(), sensitivity, precision)


def competition_metric(
    scans: Sequence[ScanMatches],
    *,
    interpolation: str = "linear",
    rates: Sequence[float] = FALSE_ALARM_RATES,
    weights: Mapping[str, float] | None = None,
) -> float:
    """Mean sensitivity at 1/8, 1/4 ... 8 false findings per scan: LUNA16's CPM when scans are whole and points were matched.

    Of slices that were chosen for their lesions it is another number, which must not be called LUNA16's.
    """
    curve = detector_curve(scans, weights=weights)
    return float(np.mean([curve.at(rate, interpolation=interpolation) for rate in rates]))


def box_average_precision(scans: Sequence[ScanMatches], *, weights: Mapping[str, float] | None = None) -> float:
    """Area under precision over sensitivity, each precision the highest from there on; NaN without lesions.

    All points of the curve count (PASCAL VOC since 2010), not 11 or 101 of them.
    """
    curve = detector_curve(scans, weights=weights)
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    return (
        float((np.diff(curve.sensitivity) * envelope[1:]).sum()) if len(curve.sensitivity) > 1 else float(curve.sensitivity[0])
    )


def found_by(scans: Sequence[ScanMatches], *, false_per_scan: float) -> list[np.ndarray]:
    """Lesions of each scan that are found, bool (L,), at the lowest threshold with at most so many false findings a scan."""
    scores = np.concatenate([s.scores for s in scans]) if scans else np.zeros(0)
    allowed = false_per_scan * len(scans)
    threshold = np.inf
    for value in np.unique(scores)[::-1]:
        if sum(int(((s.scores >= value) & (s.found == MISSED)).sum()) for s in scans) > allowed:
            break
        threshold = value
    return [np.isin(np.arange(s.lesions), s.found[s.scores >= threshold]) for s in scans]
