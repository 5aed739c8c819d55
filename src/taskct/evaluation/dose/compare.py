"""Strategies beside one another at one quality: what each of them spends, and how evenly it serves the patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.core.seeds import derive_seed
from taskct.evaluation.dose.comparison import Comparison, Outcome
from taskct.evaluation.dose.curves import (
    EVERY_MEAN,
    Curves,
    contrast,
    held,
    measure_curves,
    reached_at,
)
from taskct.evaluation.dose.oracle import oracle_of_mean, oracle_photons
from taskct.evaluation.dose.quality import Quality
from taskct.evaluation.dose.strategies import Strategy
from taskct.evaluation.dose.subject import Reconstruct, Subject
from taskct.evaluation.dose.target import Target
from taskct.physics.modulation import ScannerLimits

ORACLE_VIEWS = "oracle: by view and slice"
ORACLE_EACH, ORACLE_MEAN = "oracle: each reaches it", "oracle: least dose for the mean"
_ABOUT_ORACLE = (0.5, 0.7, 1.0, 1.4, 2.0)  # times its plan: how far its level moves in other patients
_WITHIN = 1.5  # a patient's own level is sought within this factor of what his curve says
_BISECTIONS, _CLOSE = 7, 0.005  # in the logarithm of the level


def compare_strategies(  # noqa: PLR0917  (the nouns of a comparison)
    strategies: Mapping[str, Strategy],
    subjects: Sequence[Subject],
    model: Reconstruct | Mapping[str, Reconstruct],
    quality: Quality,
    target: Target,
    levels: Sequence[float],
    *,
    held_by: str | float = EVERY_MEAN,
    full_photons: float | None = None,
    limits: ScannerLimits | None = None,
    electronic_std: float = 0.0,
    seed: int = 0,
    draws: int = 1,
    oracles: bool = True,
    known_shape: Strategy | None = None,
    as_deployed: Sequence[str] = (),
    curves: dict[str, Curves] | None = None,
    show: bool | None = None,
) -> Comparison:
    """Scale every strategy by one number until the criterion holds on these patients, then scan again with fresh noise.

    levels       mean photons over which curves are measured, exact Poisson throughout; each strategy's courses are scaled to a
                 mean of 1 over all patients first. The level is found between them, then bisected on the scans themselves
    held_by      "mean" over patients, or the share of patients that must reach the bound
    model        one reconstructor for all, or one for each strategy by name; the oracles take the first strategy's
    known_shape  course within each patient that sees the truth (`RegionRays`), for an oracle that also modulates
    as_deployed  strategies that are also shown at their own level, as they would be used
    curves       filled with the curves by strategy, and used where it holds them: other targets need no second measuring
    """
    if not strategies:
        raise InputError("compare_strategies expects at least one strategy")
    known = curves if curves is not None else {}
    job = _Job(tuple(subjects), quality, target, held_by, limits, electronic_std, draws)
    own_model = lambda name: model[name] if isinstance(model, Mapping) else model
    full = None
    if target.of_full:
        if full_photons is None:
            raise InputError(f"{target}: a share of full dose needs full_photons")
        level = [torch.tensor(full_photons, dtype=torch.float64)] * len(subjects)
        full = job.values(own_model(next(iter(strategies))), level, seed)
    outcomes: list[Outcome] = []
    unreached: list[str] = []
    fresh = derive_seed(seed, "fresh noise")
    for name, strategy in track(list(strategies.items()), "strategies", show=show):
        courses = [strategy(s).double() for s in subjects]
        mean = float(np.mean([float(c.mean()) for c in courses]))
        unit = [c / mean for c in courses]
        own = own_model(name)
        if name not in known or target.key not in known[name].values:
            known[name] = job.curves(own, unit, levels, seed)
        level_found = reached_at(known[name].levels, held(job.gaps(known[name].values[target.key], full), held_by))
        forecast = getattr(strategy, "forecast", None)
        said = None if forecast is None else np.array([forecast(s) for s in subjects])
        if name in as_deployed:
            outcomes.append(job.outcome(f"{name}, as deployed", mean, own, unit, fresh, said))
        if math.isnan(level_found):
            unreached.append(name)
            continue
        level_found = job.bisected(level_found, known[name].levels, own, unit, full, seed)
        outcomes.append(replace(job.outcome(name, level_found, own, unit, fresh, said), curves=known[name]))
    if oracles and "fixed" in known:
        outcomes += _oracles(job, known["fixed"], own_model("fixed"), full, seed=seed, fresh=fresh)
    if oracles and known_shape is not None:
        shapes = [c / c.mean() for c in (known_shape(s).double() for s in subjects)]
        if ORACLE_VIEWS not in known or target.key not in known[ORACLE_VIEWS].values:
            known[ORACLE_VIEWS] = job.curves(own_model("fixed"), shapes, levels, seed)
        outcomes += _oracle_by_view(job, known[ORACLE_VIEWS], shapes, own_model("fixed"), full, seed=seed, fresh=fresh)
    return Comparison(target, held_by, tuple(s.patient_id for s in subjects), tuple(outcomes), full, tuple(unreached))


@dataclass(frozen=True)
class _Job:
    """What all measurements of a comparison share."""

    subjects: tuple[Subject, ...]
    quality: Quality
    target: Target
    held_by: str | float
    limits: ScannerLimits | None
    electronic_std: float
    draws: int

    def curves(self, model: Reconstruct, courses: Sequence[torch.Tensor], levels: Sequence[float], seed: int) -> Curves:
        return measure_curves(
            self.subjects,
            model,
            {self.target.key: self.quality},
            levels,
            courses=courses,
            limits=self.limits,
            electronic_std=self.electronic_std,
            seed=seed,
            draws=self.draws,
            show=False,
        )

    def values(self, model: Reconstruct, courses: Sequence[torch.Tensor], seed: int) -> np.ndarray:
        return self.curves(model, courses, [1.0], seed).values[self.target.key][:, 0]

    def gaps(self, values: np.ndarray, full: np.ndarray | None) -> np.ndarray:
        """Of (N, L) or (N, 1) values."""
        return contrast(self.target, values, None if full is None else full[:, None])

    def outcome(  # noqa: PLR0917
        self,
        name: str,
        level: float,
        model: Reconstruct,
        courses: Sequence[torch.Tensor],
        seed: int,
        forecast: np.ndarray | None = None,
    ) -> Outcome:
        wanted = [c * level for c in courses]
        photons = [float(s.driven(c, self.limits).mean()) for s, c in zip(self.subjects, wanted, strict=True)]
        return Outcome(name, level, np.array(photons), self.values(model, wanted, seed), forecast)

    def bisected(  # noqa: PLR0917
        self,
        level: float,
        levels: np.ndarray,
        model: Reconstruct,
        courses: Sequence[torch.Tensor],
        full: np.ndarray | None,
        seed: int,
    ) -> float:
        """The level between the two measured ones about it, on the scans themselves and not on interpolated curves."""
        above = int(np.searchsorted(levels, level * (1 - 1e-9)))
        if above == 0:
            return level
        low, high = math.log(levels[above - 1]), math.log(levels[min(above, len(levels) - 1)])
        middle = math.log(level)
        for _ in range(_BISECTIONS):
            values = self.values(model, [c * math.exp(middle) for c in courses], seed)
            ok = held(self.gaps(values[:, None], full), self.held_by)[0] >= 0
            low, high = (low, middle) if ok else (middle, high)
            if high - low < _CLOSE:
                break
            middle = (low + high) / 2
        return math.exp(high)


def _oracles(job: _Job, found: Curves, model: Reconstruct, full: np.ndarray | None, *, seed: int, fresh: int) -> list[Outcome]:
    """Each patient's own least dose by bisection, and the least total for the mean; scanned again with fresh noise."""
    levels, target = found.levels, job.target
    gaps = job.gaps(found.values[target.key], full)
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
            target,
            lowest=float(levels[max(k - 1, 0)]),
            highest=float(levels[min(k + 1, len(levels) - 1)]),
            full=None if full is None else float(full[i]),
            electronic_std=job.electronic_std,
            seed=seed,
            draws=job.draws,
        )
        each[i] = rough if math.isnan(exact) else exact
    defined = np.isfinite(gaps).all(1)
    plans = {ORACLE_EACH: np.where(np.isinf(each), levels[-1], each)}  # who cannot reach it gets the most
    if not isinstance(job.held_by, str) and job.held_by < 1 and defined.any():  # the dearest patients may miss it
        most = np.quantile(each[defined], job.held_by, method="inverted_cdf")
        plans = {ORACLE_EACH: np.where(defined & (each > most), levels[0], plans[ORACLE_EACH])}
    elif defined.any():
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


def _oracle_by_view(
    job: _Job,
    found: Curves,
    shapes: Sequence[torch.Tensor],
    model: Reconstruct,
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
