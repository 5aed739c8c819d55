"""Oracles of a comparison: the least dose by patients' own curves, one current each, or the course that suits them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from taskct.evaluation.dose.curves import Curves, held, reached_at
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.alara.rivals.comparison import Outcome
from taskct.systems.alara.rivals.measuring import Job
from taskct.systems.alara.rivals.oracle import oracle_of_mean, oracle_photons

ORACLE_VIEWS = "oracle: by view and slice"
ORACLE_EACH, ORACLE_MEAN = "oracle: each reaches it", "oracle: least dose for the mean"
_ABOUT_ORACLE = (0.5, 0.7, 1.0, 1.4, 2.0)  # times its plan: how far its level moves in other patients
_WITHIN = 1.5  # a patient's own level is sought within this factor of what his curve says
_BISECTIONS = 7


def oracles_by_patient(
    job: Job, found: Curves, model: Reconstructor, full: np.ndarray | None, *, seed: int, fresh: int
) -> list[Outcome]:
    """Each patient's own least dose by bisection, and the least total for the mean; scanned again with fresh noise.

    A task's score has the second only: a patient's Dice jumps with every noise, and is no bound that a dose could meet.
    """
    levels, target = found.levels, job.target
    gaps = job.gaps(found.values[target.key], full)
    defined = np.isfinite(gaps).all(1)
    plans: dict[str, np.ndarray] = {}
    if not target.class_name:
        each = _each(job, levels, gaps, model, full, seed)
        plans[ORACLE_EACH] = np.where(np.isinf(each), levels[-1], each)  # who cannot reach it gets the most
        if not isinstance(job.held_by, str) and job.held_by < 1 and defined.any():  # the dearest patients may miss it
            most = np.quantile(each[defined], job.held_by, method="inverted_cdf")
            plans[ORACLE_EACH] = np.where(defined & (each > most), levels[0], plans[ORACLE_EACH])
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
    job: Job, levels: np.ndarray, gaps: np.ndarray, model: Reconstructor, full: np.ndarray | None, seed: int
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
    job: Job,
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
