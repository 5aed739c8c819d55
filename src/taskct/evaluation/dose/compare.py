"""Strategies beside one another at one quality: what each of them spends, and how evenly it serves the patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.core.seeds import derive_seed
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
from taskct.evaluation.dose.saved import LevelCurve, dose_saved
from taskct.evaluation.dose.strategies import Strategy
from taskct.evaluation.dose.subject import Reconstruct, Subject
from taskct.evaluation.dose.target import Target
from taskct.evaluation.statistics import Interval, paired_difference
from taskct.physics.modulation import ScannerLimits

ORACLE_VIEWS = "oracle: by view and slice"
ORACLE_EACH, ORACLE_MEAN = "oracle: each reaches it", "oracle: least dose for the mean"
_ABOUT_ORACLE = (0.5, 0.7, 1.0, 1.4, 2.0)  # times its plan: how far its level moves in other patients
_WITHIN = 1.5  # a patient's own level is sought within this factor of what his curve says
_BISECTIONS, _CLOSE = 7, 0.005  # in the logarithm of the level


@dataclass(frozen=True, eq=False)
class Outcome:
    """One strategy at the level where the criterion holds: photons and quality of each patient, measured with fresh noise.

    `level` multiplies its courses; `forecast` is the quality that was predicted before the scan, where the strategy predicts.
    `curves` are those by which the level was found, under `quality`'s key; None where none was searched.
    """

    strategy: str
    level: float
    photons: np.ndarray
    values: np.ndarray
    forecast: np.ndarray | None = None
    curves: Curves | None = None

    @property
    def spread(self) -> float:
        """SD of the quality over patients."""
        return float(np.nanstd(self.values, ddof=1)) if len(self.values) > 1 else math.nan


@dataclass(frozen=True, eq=False)
class Comparison:
    """Strategies at one target and criterion. The first outcome is what others are compared with."""

    target: Target
    held_by: str | float
    patients: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    full: np.ndarray | None = None
    unreached: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def outcome(self, strategy: str) -> Outcome:
        """One strategy's outcome; InputError when it has none."""
        for one in self.outcomes:
            if one.strategy == strategy:
                return one
        raise InputError(f"no outcome of {strategy!r}: it is not among those compared, or did not reach {self.target}")

    def gaps(self, one: Outcome) -> np.ndarray:
        """Distance to the bound of each patient."""
        return contrast(self.target, one.values, self.full)

    def share(self, one: Outcome) -> float:
        """Share of patients that reach the bound."""
        gaps = self.gaps(one)
        return float((gaps[np.isfinite(gaps)] >= 0).mean())

    def saved(self, strategy: str, than: str) -> Interval:
        """Photons that `strategy` spends beyond `than`, in per cent of the latter's mean; negative: saved.

        Where both have a level that was searched, it is found anew in each resample of patients (`dose_saved`); a strategy
        at its own level, as deployed, has the paired interval of its photons.
        """
        return saved_over_seeds([self], strategy, than)

    def level_curve(self, one: Outcome) -> LevelCurve | None:
        """How a strategy's photons and gaps go with its level; None where no level was searched."""
        if one.curves is None:
            return None
        values = one.curves.values[self.target.key]
        gaps = contrast(self.target, values, None if self.full is None else self.full[:, None])
        return LevelCurve(one.curves.levels, one.curves.photons, gaps, float(one.photons.mean()))

    def spread_difference(self, strategy: str, than: str, *, resamples: int = 4000, seed: int = 0) -> Interval:
        """SD of the quality over patients, `strategy` minus `than`, with a percentile interval over resampled patients."""
        a, b = self.outcome(strategy).values, self.outcome(than).values
        keep = np.isfinite(a) & np.isfinite(b)
        a, b = a[keep], b[keep]
        rng = np.random.default_rng(derive_seed(seed, "spread", len(a)))
        draws = rng.integers(0, len(a), (resamples, len(a)))
        found = a[draws].std(1, ddof=1) - b[draws].std(1, ddof=1)
        low, high = np.quantile(found, [0.025, 0.975])
        centre = float(a.std(ddof=1) - b.std(ddof=1))
        return Interval(centre, float(low), float(high), len(a), len(a), method="percentile")

    def missed(self, one: Outcome) -> list[tuple[str, float]]:
        """Patients below the bound, the worst first."""
        found = [(p, float(g)) for p, g in zip(self.patients, self.gaps(one), strict=True) if g < 0]
        return sorted(found, key=lambda pair: pair[1])

    def rows(self) -> list[dict[str, Any]]:
        """A row per strategy: level, mean photons, mean quality, its spread, share that reach the bound."""
        return [
            {
                "strategy": o.strategy,
                "level": o.level,
                "photons": float(o.photons.mean()),
                "quality": float(np.nanmean(o.values)),
                "spread": o.spread,
                "share": self.share(o),
            }
            for o in self.outcomes
        ]

    def plain(self) -> dict[str, Any]:
        """Everything as plain values; `from_plain` reads it."""
        return {
            "target": {k: getattr(self.target, k) for k in ("name", "bound", "of_full", "convention", "region")},
            "held_by": self.held_by,
            "patients": list(self.patients),
            "full": None if self.full is None else self.full.tolist(),
            "unreached": list(self.unreached),
            "notes": dict(self.notes),
            "outcomes": [
                {"strategy": o.strategy, "level": o.level, "photons": o.photons.tolist(), "values": o.values.tolist(),
                 "forecast": None if o.forecast is None else o.forecast.tolist(),
                 "curves": None if o.curves is None else _plain_curves(o.curves, self.target.key)}
                for o in self.outcomes
            ],
        }  # fmt: skip

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Comparison:
        """What `plain` gave; numbers that were not defined come back as NaN."""
        number = lambda v: np.array([math.nan if x is None else x for x in v], dtype=np.float64)
        outcomes = tuple(
            Outcome(
                o["strategy"],
                float(o["level"]),
                number(o["photons"]),
                number(o["values"]),
                None if o.get("forecast") is None else number(o["forecast"]),
                None
                if o.get("curves") is None
                else _curves_from(o["curves"], values["patients"], Target(**values["target"]).key),
            )
            for o in values["outcomes"]
        )
        full = None if values.get("full") is None else number(values["full"])
        return cls(
            Target(**values["target"]),
            values["held_by"],
            tuple(values["patients"]),
            outcomes,
            full,
            tuple(values.get("unreached", ())),
            dict(values.get("notes", {})),
        )


def saved_over_seeds(comparisons: Sequence[Comparison], strategy: str, than: str) -> Interval:
    """`Comparison.saved` over comparisons of one thing that was trained from several seeds: patients and seeds drawn again."""
    first = comparisons[0]
    if any(c.patients != first.patients or c.target != first.target or c.held_by != first.held_by for c in comparisons):
        raise InputError("saved_over_seeds expects comparisons of the same patients, target and criterion")
    rival = first.outcome(than)
    theirs = first.level_curve(rival)
    ours = [c.level_curve(c.outcome(strategy)) for c in comparisons]
    known = [c for c in ours if c is not None]
    if theirs is not None and len(known) == len(ours):
        return dose_saved(known, theirs, first.patients, held_by=first.held_by)
    scale = 100 / float(rival.photons.mean())
    spent = np.mean([c.outcome(strategy).photons for c in comparisons], axis=0)
    return paired_difference(spent * scale, rival.photons * scale, first.patients)


def _plain_curves(curves: Curves, key: str) -> dict[str, Any]:
    return {"levels": curves.levels.tolist(), "photons": curves.photons.tolist(), "values": curves.values[key].tolist()}


def _curves_from(plain: Mapping[str, Any], patients: Sequence[str], key: str) -> Curves:
    table = lambda rows: np.array([[math.nan if x is None else x for x in row] for row in rows], dtype=np.float64)
    return Curves(np.array(plain["levels"]), table(plain["photons"]), {key: table(plain["values"])}, tuple(patients))


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
    """The least dose for the criterion by patients' own curves, each with the course over views and slices that suits him best.

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
