"""What a comparison of strategies found: outcomes at one quality, savings with their intervals, spread, misses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from taskct.core.errors import InputError
from taskct.core.seeds import derive_seed
from taskct.evaluation.dose.quality_curves import Curves, contrast, held
from taskct.evaluation.dose.target import Target
from taskct.evaluation.statistics import Interval, paired_difference
from taskct.systems.alara.rivals.savings import LevelCurve, SeededError, dose_saved

SCOUT = "scout_photons_per_view"
"""The note of what a scout adds to the photons of every strategy."""


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


@dataclass(frozen=True, eq=False)
class Comparison:
    """Strategies at one target and criterion. The first outcome is what others are compared with.

    `repeats` are the same comparison after trainings from other seeds (`over_seeds`): savings, spreads and rows are then those
    of all trainings together, and `outcomes` of the first.
    """

    target: Target
    held_by: str | float
    patients: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    full: np.ndarray | None = None
    unreached: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    repeats: tuple[Comparison, ...] = ()

    @property
    def trainings(self) -> tuple[Comparison, ...]:
        """This one and its repeats."""
        return (self, *self.repeats)

    def outcome(self, strategy: str) -> Outcome:
        """One strategy's outcome; InputError when it has none."""
        for one in self.outcomes:
            if one.strategy == strategy:
                return one
        raise InputError(f"no outcome of {strategy!r}: it is not among those compared, or did not reach {self.target}")

    def gaps(self, one: Outcome) -> np.ndarray:
        """Distance to the bound of each patient."""
        return contrast(self.target, one.values, self.full)

    def spread(self, one: Outcome) -> float:
        """SD of the gaps over patients: of the quality itself, or of what it falls short of a share of full dose's."""
        gaps = self.gaps(one)
        return float(np.nanstd(gaps, ddof=1)) if np.isfinite(gaps).sum() > 1 else math.nan

    def share(self, one: Outcome) -> float:
        """Share of patients that reach the bound."""
        gaps = self.gaps(one)
        return float((gaps[np.isfinite(gaps)] >= 0).mean())

    def saved(self, strategy: str, than: str) -> Interval:
        """Photons that `strategy` spends beyond `than`, in per cent of the latter's mean; negative: saved.

        Where both have a level that was searched, it is found anew in each resample of patients (`dose_saved`); a strategy
        at its own level, as deployed, has the paired interval of its photons.
        """
        return _saved(self.trainings, strategy, than)

    def saved_without_scout(self, strategy: str, than: str) -> Interval:
        """`saved` against a rival that needs no scout and spends none on it: `than` less the scout's photons."""
        return _saved(tuple(one._without_scout(than) for one in self.trainings), strategy, than)

    def _without_scout(self, name: str) -> Comparison:
        scout = float(self.notes.get(SCOUT, 0.0))
        free = lambda curves: None if curves is None else replace(curves, photons=curves.photons - scout)
        less = lambda o: replace(o, photons=o.photons - scout, curves=free(o.curves)) if o.strategy == name else o
        return replace(self, outcomes=tuple(map(less, self.outcomes)), repeats=())

    def level_curve(self, one: Outcome) -> LevelCurve | None:
        """How a strategy's photons and gaps go with its level; None where no level was searched."""
        if one.curves is None:
            return None
        values = one.curves.values[self.target.key]
        gaps = contrast(self.target, values, None if self.full is None else self.full[:, None])
        return LevelCurve(one.curves.levels, one.curves.photons, gaps, float(one.photons.mean()))

    def spread_difference(self, strategy: str, than: str, *, resamples: int = 4000, seed: int = 0) -> Interval:
        """`spread` of `strategy` minus that of `than`, with a percentile interval over resampled patients."""
        return spread_over_seeds(self.trainings, strategy, than, resamples=resamples, seed=seed)

    @property
    def kept_at_lowest(self) -> dict[str, float]:
        """Strategies that meet the criterion at the lowest level already, {name: photons there}: they need at most those."""
        found: dict[str, float] = {}
        for one in (o for c in self.trainings for o in c.outcomes):
            known = self.level_curve(one)
            if known is not None and held(known.gaps[:, :1], self.held_by)[0] >= 0:
                found.setdefault(one.strategy, float(known.spent[:, 0].mean()))
        return found

    def missed(self, one: Outcome) -> list[tuple[str, float]]:
        """Patients below the bound, the worst first."""
        found = [(p, float(g)) for p, g in zip(self.patients, self.gaps(one), strict=True) if g < 0]
        return sorted(found, key=lambda pair: pair[1])

    def rows(self) -> list[dict[str, Any]]:
        """A row per strategy: level, mean photons and quality, its spread, share that reach the bound, relative SD of dose.

        Over several trainings each of these is their mean.
        """
        rows: list[dict[str, Any]] = []
        for name in [o.strategy for o in self.outcomes]:
            each = [one._row(one.outcome(name)) for one in self.trainings]
            rows.append({"strategy": name} | {key: float(np.mean([row[key] for row in each])) for key in each[0]})
        return rows

    def _row(self, o: Outcome) -> dict[str, float]:
        return {
            "level": o.level,
            "photons": float(o.photons.mean()),
            "quality": float(np.nanmean(o.values)),
            "spread": self.spread(o),
            "share": self.share(o),
            "dose_spread": float(o.photons.std(ddof=1) / o.photons.mean()) if len(o.photons) > 1 else math.nan,
        }

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


def over_seeds(comparisons: Sequence[Comparison]) -> Comparison:
    """Comparisons of one thing that was trained from several seeds as one.

    A strategy that does not reach the bound in each of them is unreached.
    """
    first, *rest = _same_patients(comparisons, "over_seeds"), *comparisons[1:]
    names = [{o.strategy for o in c.outcomes} for c in comparisons]
    common = tuple(o for o in first.outcomes if all(o.strategy in one for one in names))
    everywhere = {o.strategy for o in common}
    seen = dict.fromkeys(name for c in comparisons for name in (*(o.strategy for o in c.outcomes), *c.unreached))
    return replace(first, outcomes=common, unreached=tuple(n for n in seen if n not in everywhere), repeats=tuple(rest))


@lru_cache(maxsize=512)  # a page asks for each several times, and finding levels anew in every resample takes its time
def _saved(comparisons: tuple[Comparison, ...], strategy: str, than: str) -> Interval:
    return saved_over_seeds(comparisons, strategy, than)


def saved_over_seeds(comparisons: Sequence[Comparison], strategy: str, than: str) -> Interval:
    """`Comparison.saved` over comparisons of one thing that was trained from several seeds: patients and seeds drawn again.

    Each seed is compared with the rival of its own comparison: that one went through the same reconstruction.
    """
    first = _same_patients(comparisons, "saved_over_seeds")
    ours = [c.level_curve(c.outcome(strategy)) for c in comparisons]
    theirs = [c.level_curve(c.outcome(than)) for c in comparisons]
    known, rivals = [c for c in ours if c is not None], [c for c in theirs if c is not None]
    if len(known) == len(rivals) == len(comparisons):
        return dose_saved(known, rivals, first.patients, held_by=first.held_by)
    scales = [100 / float(c.outcome(than).photons.mean()) for c in comparisons]
    spent, rival = (
        np.mean([c.outcome(name).photons * scale for c, scale in zip(comparisons, scales, strict=True)], axis=0)
        for name in (strategy, than)
    )
    return paired_difference(spent, rival, first.patients)


def spread_over_seeds(
    comparisons: Sequence[Comparison], strategy: str, than: str, *, resamples: int = 4000, seed: int = 0
) -> Interval:
    """`Comparison.spread_difference` over comparisons of one thing that was trained from several seeds: their mean.

    Patients are drawn again, and as many seeds, with ends stretched for so few (`SeededError`); each seed has the rival of its
    own comparison.
    """
    first = _same_patients(comparisons, "spread_over_seeds")
    ours, rivals = (np.stack([c.gaps(c.outcome(name)) for c in comparisons]) for name in (strategy, than))
    keep = np.isfinite(rivals).all(0) & np.isfinite(ours).all(0)
    ours, rivals = ours[:, keep], rivals[:, keep]
    names = [name for name, kept in zip(first.patients, keep, strict=True) if kept]
    patients = list(dict.fromkeys(names))
    member = np.array([patients.index(name) for name in names])
    count = len(patients)
    rng = np.random.default_rng(derive_seed(seed, "spread", count))
    draws = rng.integers(0, count, (resamples, count))
    if count == len(names):
        spread = lambda one: one[draws].std(1, ddof=1)
    else:  # several images of a patient: they are drawn together
        times = np.stack([np.bincount(draw, minlength=count) for draw in draws])[:, member]
        spread = lambda one: _spread_of_repeated(one, times)
    apart = np.stack([spread(one) - spread(rival) for one, rival in zip(ours, rivals, strict=True)])  # (seeds, resamples)
    which = rng.integers(0, len(ours), apart.shape)
    found = np.take_along_axis(apart, which, axis=0).mean(0)
    points = ours.std(1, ddof=1) - rivals.std(1, ddof=1)
    centre = float(points.mean())
    wider = centre + SeededError.of(found, points, count).stretch * (found - centre)
    low, high = np.quantile(wider, [0.025, 0.975])
    return Interval(centre, float(low), float(high), count, len(names) * len(ours), method="percentile")


def _spread_of_repeated(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """SD of values (N,) that occur so many times (R, N) -> (R,)."""
    n = times.sum(1)
    mean = times @ values / n
    return np.asarray(np.sqrt((times * (values - mean[:, None]) ** 2).sum(1) / (n - 1)))


def _same_patients(comparisons: Sequence[Comparison], who: str) -> Comparison:
    first = comparisons[0]
    if any(c.patients != first.patients or c.target != first.target or c.held_by != first.held_by for c in comparisons):
        raise InputError(f"{who} expects comparisons of the same patients, target and criterion")
    return first


def _plain_curves(curves: Curves, key: str) -> dict[str, Any]:
    return {"levels": curves.levels.tolist(), "photons": curves.photons.tolist(), "values": curves.values[key].tolist()}


def _curves_from(plain: Mapping[str, Any], patients: Sequence[str], key: str) -> Curves:
    table = lambda rows: np.array([[math.nan if x is None else x for x in row] for row in rows], dtype=np.float64)
    return Curves(np.array(plain["levels"]), table(plain["photons"]), {key: table(plain["values"])}, tuple(patients))
