"""Strategies beside one another at one quality: what each of them spends, and how evenly it serves the patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.core.seeds import derive_seed
from taskct.evaluation.dose.quality_curves import Curves, held, reached_at
from taskct.evaluation.dose.refine import joined
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.alara.rivals.measuring import Measuring
from taskct.systems.alara.rivals.oracle import ORACLE_EACH, ORACLE_VIEWS, oracle_by_view, oracles_by_patient
from taskct.systems.alara.rivals.outcomes import SCOUT, Comparison, Outcome
from taskct.systems.alara.rivals.strategies import Strategy

_MOST_OCTAVES = 10


def compare_strategies(
    strategies: Mapping[str, Strategy],
    model: Reconstructor | Mapping[str, Reconstructor],
    levels: Sequence[float],
    measuring: Measuring,
    *,
    full_photons: float | None = None,
    seed: int = 0,
    oracles: bool = True,
    known_shape: Strategy | None = None,
    as_deployed: Sequence[str] = (),
    curves: dict[str, Curves] | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Scale every strategy by one number until the criterion holds on these patients, then scan again with fresh noise.

    levels       mean photons over which curves are measured, exact Poisson throughout; each strategy's courses are scaled to a
                 mean of 1 over all patients first. The level is found between them, then on the scans themselves. Where the
                 lowest is enough already, lower ones are measured until one is enough for no patient
    measuring    the patients, the quality, its bound and the criterion
    model        one reconstructor for all, or one for each strategy by name; the oracles take the first strategy's
    known_shape  course within each patient that sees the truth (`RegionRays`), for an oracle that also modulates
    as_deployed  strategies that are also shown at their own level, as they would be used
    curves       filled with the curves by strategy, and used where it holds them: other targets need no second measuring
    """
    if not strategies:
        raise InputError("compare_strategies expects at least one strategy")
    known = curves if curves is not None else {}
    job, subjects, target, held_by = measuring, measuring.subjects, measuring.target, measuring.held_by
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
    for name, strategy in track(list(strategies.items()), "strategies", progress=progress):
        courses = [strategy(s).double() for s in subjects]
        mean = float(np.mean([float(c.mean()) for c in courses]))
        unit = [c / mean for c in courses]
        own = own_model(name)
        if name not in known or target.key not in known[name].values:
            known[name] = job.curves(own, unit, levels, seed)
        known[name] = _reaching_down(job, known[name], own, unit, full, seed)
        level_found = reached_at(known[name].levels, held(job.gaps(known[name].values[target.key], full), held_by))
        forecast = getattr(strategy, "forecast", None)
        said = None if forecast is None else np.array([forecast(s) for s in subjects])
        if name in as_deployed:
            outcomes.append(job.outcome(f"{name}, as deployed", mean, own, unit, fresh, said))
        if math.isnan(level_found):
            unreached.append(name)
            continue
        level_found = job.found(level_found, known[name], own, unit, full, seed)
        outcomes.append(replace(job.outcome(name, level_found, own, unit, fresh, said), curves=known[name]))
    if oracles and "fixed" in known:
        by_patient = oracles_by_patient(job, known["fixed"], own_model("fixed"), full, seed=seed, fresh=fresh)
        outcomes += by_patient
        if not target.class_name and ORACLE_EACH not in {o.strategy for o in by_patient}:
            unreached.append(ORACLE_EACH)
    if oracles and known_shape is not None:
        shapes = [c / c.mean() for c in (known_shape(s).double() for s in subjects)]
        if ORACLE_VIEWS not in known or target.key not in known[ORACLE_VIEWS].values:
            known[ORACLE_VIEWS] = job.curves(own_model("fixed"), shapes, levels, seed)
        outcomes += oracle_by_view(job, known[ORACLE_VIEWS], shapes, own_model("fixed"), full, seed=seed, fresh=fresh)
    notes = {SCOUT: job.scout} if job.scout else {}
    return Comparison(target, held_by, tuple(s.patient_id for s in subjects), tuple(outcomes), full, tuple(unreached), notes)


def _reaching_down(  # noqa: PLR0917
    job: Measuring,
    curves: Curves,
    model: Reconstructor,
    courses: Sequence[torch.Tensor],
    full: np.ndarray | None,
    seed: int,
) -> Curves:
    """Curves whose lowest level is enough with lower octaves until it is enough for no patient: "at most" compares nothing.

    Down to a thousandth of the lowest level; what is kept there still is named by `Comparison.kept_at_lowest`.
    """
    key = job.target.key
    at_lowest = lambda: job.gaps(curves.values[key][:, :1], full)
    if not held(at_lowest(), job.held_by)[0] >= 0:
        return curves
    for _ in range(_MOST_OCTAVES):
        more = job.curves(model, courses, [float(curves.levels[0]) / 2], seed)
        curves = joined(curves, replace(more, values={key: more.values[key]}))
        if not (at_lowest() >= 0).any():
            break
    return curves
