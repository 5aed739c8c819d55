"""The least dose that could be chosen if the result were known: bounds for every strategy."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from taskct.evaluation.dose.curves import contrast, value_at
from taskct.evaluation.dose.quality import Quality
from taskct.evaluation.dose.subject import Subject
from taskct.evaluation.dose.target import Target
from taskct.recon.reconstructor import Reconstructor


def oracle_photons(
    subject: Subject,
    model: Reconstructor,
    quality: Quality,
    target: Target,
    *,
    lowest: float,
    highest: float,
    full: float | None = None,
    electronic_std: float = 0.0,
    seed: int = 0,
    draws: int = 1,
    factor: float = 1.02,
) -> float:
    """Least photons at which this patient reaches the target, by bisection, exact Poisson counts; NaN if `highest` does not.

    Bisection in the logarithm to within `factor`; the noise is coupled over doses, so that quality rises with dose but for
    accidents of single rays. `lowest` where it is enough already. `full` is the quality at full dose for targets that are a
    share of it; scanned at `highest` when not given.
    """

    def gap(photons: float) -> float:
        values = []
        for k in range(draws):
            p = subject.scan(photons, seed=seed, electronic_std=electronic_std, draw=k)
            values.append(quality(subject, subject.reconstruct(model, p)))
        return float(contrast(target, np.array(np.mean(values)), full))

    if target.of_full and full is None:
        p = subject.scan(highest, seed=seed, electronic_std=electronic_std)
        full = quality(subject, subject.reconstruct(model, p))
    low, high = math.log(lowest), math.log(highest)
    if not gap(highest) >= 0:
        return math.nan
    if gap(lowest) >= 0:
        return lowest
    while high - low > math.log(factor):
        middle = (low + high) / 2
        low, high = (low, middle) if gap(math.exp(middle)) >= 0 else (middle, high)
    return math.exp(high)


def oracle_of_mean(levels: np.ndarray, gaps: np.ndarray, *, points: int = 400) -> np.ndarray:
    """Photons of each patient that spend least on average while the mean gap is 0: (N, L) curves -> (N,); NaN if unreachable.

    Patients exchange quality: whoever gains most per photon gets it. The upper concave hull of each curve over photons is
    filled from the steepest piece on, which is exact for the hulls.
    """
    photons = np.exp(np.linspace(np.log(levels[0]), np.log(levels[-1]), points))
    curves = np.stack([value_at(levels, gaps, p) for p in photons], axis=1)  # (N, points)
    pieces: list[tuple[float, float, int, float]] = []  # gain per photon, gain, patient, photons
    for i, row in enumerate(curves):
        corner = [0]
        for j in range(1, points):
            while len(corner) > 1 and _slope(photons, row, corner[-2], j) >= _slope(photons, row, corner[-2], corner[-1]):
                corner.pop()
            corner.append(j)
        for a, b in pairwise(corner):
            pieces.append((_slope(photons, row, a, b), row[b] - row[a], i, photons[b]))
    spent = np.full(len(gaps), levels[0])
    total = float(curves[:, 0].sum())
    for slope, gain, i, reached in sorted(pieces, key=lambda piece: -piece[0]):
        if total >= 0:
            return spent
        share = min(1.0, -total / gain) if gain > 0 else 0.0
        if slope <= 0:
            break
        spent[i] += share * (reached - spent[i])
        total += gain * share
    return spent if total >= -1e-9 else np.full(len(gaps), np.nan)


def _slope(photons: np.ndarray, row: np.ndarray, a: int, b: int) -> float:
    return float((row[b] - row[a]) / (photons[b] - photons[a]))
