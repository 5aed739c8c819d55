"""The least dose that could be chosen if the result were known: bounds for every strategy, by patient or by view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from taskct.evaluation.dose.quality import Quality
from taskct.evaluation.dose.quality_curves import Curves, contrast, held, reached_at, value_at
from taskct.evaluation.dose.target import Target
from taskct.evaluation.subject import Subject
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.alara.rivals.measuring import Measuring
from taskct.systems.alara.rivals.outcomes import Outcome

ORACLE_VIEWS = "oracle: by view and slice"
ORACLE_EACH, ORACLE_MEAN = "oracle: each reaches it", "oracle: least dose for the mean"
_ABOUT_ORACLE = (0.5, 0.7, 1.0, 1.4, 2.0)  # times its plan: how far its level moves in other patients
_WITHIN = 1.5  # a patient's own level is sought within this factor of what his curve says
_BISECTIONS = 7


def oracles_by_patient(
    job: Measuring, found: Curves, model: Reconstructor, full: np.ndarray | None, *, seed: int, fresh: int
) -> list[Outcome]:
    """Each patient's own least dose by bisection, and the least total for the mean; scanned again with fresh noise.

    A task's score has the second only: a patient's Dice jumps with every noise, and is not a bound that a dose could meet.
    An oracle is left out where too many patients do not reach the bound at any level.
    """
    levels, target = found.levels, job.target
    gaps = job.gaps(found.values[target.key], full)
    defined = np.isfinite(gaps).all(1)
    plans: dict[str, np.ndarray] = {}
    if not target.class_name:
        each = _each(job, levels, gaps, model, full, seed)
        share = 1.0 if isinstance(job.held_by, str) else job.held_by
        most = np.quantile(each[defined], share, method="inverted_cdf") if defined.any() else math.inf
        if math.isfinite(most):  # else too many cannot reach it at any dose
            plans[ORACLE_EACH] = np.where(defined & (each > most), levels[0], each)  # the dearest patients may miss it
    if (isinstance(job.held_by, str) or job.held_by == 1) and defined.any():
        shared = np.full(len(gaps), math.nan)
        shared[defined] = oracle_of_mean(levels, gaps[defined])
        if np.isfinite(shared[defined]).all():
            plans[ORACLE_MEAN] = shared
    outcomes = []
    for name, photons in plans.items():
        wanted = np.where(np.isnan(photons), float(np.nanmean(photons)), photons)  # without the class: as the others
        courses = [
            torch.full((len(s.p), s.p.shape[2]), n, dtype=torch.float64) for s, n in zip(job.subjects, wanted, strict=True)
        ]
        about = job.curves(model, courses, _ABOUT_ORACLE, seed)
        outcomes.append(replace(job.outcome(name, 1.0, model, courses, fresh), curves=about))
    return outcomes


def _each(  # noqa: PLR0917
    job: Measuring, levels: np.ndarray, gaps: np.ndarray, model: Reconstructor, full: np.ndarray | None, seed: int
) -> np.ndarray:
    """Photons that each patient needs, (N,): NaN where his quality is not defined, infinite where none are enough."""
    each = np.full(len(gaps), math.nan)
    for i, (subject, row) in enumerate(zip(job.subjects, gaps, strict=True)):
        if not np.isfinite(row).all():
            continue
        rough = reached_at(levels, row)
        if math.isnan(rough):
            each[i] = math.inf
            continue
        k = int(np.searchsorted(levels, rough * (1 - 1e-9)))
        exact = oracle_photons(
            subject,
            model,
            job.quality,
            job.target,
            lowest=float(levels[max(k - 1, 0)]),
            highest=float(levels[min(k + 1, len(levels) - 1)]),
            full=None if full is None else float(full[i]),
            electronic_std=job.electronic_std,
            seed=seed,
            draws=job.draws,
        )
        each[i] = rough if math.isnan(exact) else exact
    return each


def oracle_by_view(
    job: Measuring,
    found: Curves,
    shapes: Sequence[torch.Tensor],
    model: Reconstructor,
    full: np.ndarray | None,
    *,
    seed: int,
    fresh: int,
) -> list[Outcome]:
    """The least dose for the criterion by patients' own curves, each with the course over views and slices that suits him.

    For a share, whoever is dearest may miss it and gets the least. Without a course that reaches the criterion: none.
    """
    gaps = job.gaps(found.values[job.target.key], full)
    defined = np.isfinite(gaps).all(1)
    plan = np.full(len(gaps), math.nan)
    if isinstance(job.held_by, str):
        plan[defined] = oracle_of_mean(found.levels, gaps[defined])
    else:
        each = np.array([reached_at(found.levels, row) for row in gaps])
        each[np.isnan(each)] = found.levels[-1]
        low, high = np.log(each / _WITHIN), np.log(each * _WITHIN)
        for _ in range(_BISECTIONS):  # all patients at once, on the scans themselves
            middle = (low + high) / 2
            values = job.values(model, [c * n for c, n in zip(shapes, np.exp(middle), strict=True)], seed)
            ok = job.gaps(values[:, None], full)[:, 0] >= 0
            low, high = np.where(ok, low, middle), np.where(ok, middle, high)
        each = np.exp(high)
        most = np.quantile(each[defined], job.held_by, method="inverted_cdf")
        plan[defined] = np.where(each > most, found.levels[0], each)[defined]
    if not np.isfinite(plan[defined]).all():
        return []
    plan[~defined] = np.mean(plan[defined])
    courses = [c * n for c, n in zip(shapes, plan, strict=True)]
    about = job.curves(model, courses, _ABOUT_ORACLE, seed)
    level = reached_at(about.levels, held(job.gaps(about.values[job.target.key], full), job.held_by))
    if math.isnan(level):
        return []
    return [replace(job.outcome(ORACLE_VIEWS, level, model, courses, fresh), curves=about)]


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
