"""Dose saved at equal quality: two strategies, each at the level that it needs, with an interval that finds the levels anew.

The levels come from the patients themselves. An interval of photons at given levels would hold the spread of body sizes, most
of which a common level takes up: it would be some three times too wide. So each resample of patients has levels of its own,
read off the measured curves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import InputError
from taskct.core.seeds import derive_seed
from taskct.evaluation.dose.quality_curves import EVERY_MEAN, held
from taskct.evaluation.statistics import Interval, p_of_zero

RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class LevelCurve:
    """One strategy over levels (L,), rising: photons `spent` (N, L) by each patient, `gaps` (N, L) of quality to the bound.

    `photons` is what it spends on average at its level, found more exactly than curves give it.
    """

    levels: np.ndarray
    spent: np.ndarray
    gaps: np.ndarray
    photons: float

    def needed(self, counts: np.ndarray, held_by: str | float) -> np.ndarray:
        """Mean photons at which the criterion holds, when patients count so often: (R, N) -> (R,).

        NaN where it never does, 0 where the lowest level is enough: what is needed then is not known.
        """
        weights = counts / counts.sum(1, keepdims=True)
        if held_by == EVERY_MEAN:
            defined = np.isfinite(self.gaps).all(1)
            those = counts[:, defined] / counts[:, defined].sum(1, keepdims=True)
            gaps = those @ self.gaps[defined]
        else:
            gaps = np.stack([held(np.repeat(self.gaps, row.astype(int), axis=0), held_by) for row in counts])
        gaps = np.maximum.accumulate(gaps, axis=1)
        x, spent = np.log(self.levels), np.log(weights @ self.spent)
        above = (gaps >= 0).argmax(1)
        rows = np.arange(len(gaps))
        below = np.maximum(above - 1, 0)
        rise = gaps[rows, above] - gaps[rows, below]
        share = np.where(rise > 0, -gaps[rows, below] / np.where(rise > 0, rise, 1.0), 1.0).clip(0, 1)
        level = x[below] + share * (x[above] - x[below])
        found = np.exp([np.interp(at, x, row) for at, row in zip(level, spent, strict=True)])
        return np.where((gaps >= 0).any(1), np.where(gaps[:, 0] >= 0, 0.0, found), math.nan)


def dose_saved(
    ours: Sequence[LevelCurve],
    theirs: LevelCurve | Sequence[LevelCurve],
    patients: Sequence[str],
    *,
    held_by: str | float = EVERY_MEAN,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Photons of `ours` beyond `theirs` at equal quality, per cent of the latter; negative: saved. 95 % percentile interval.

    Several curves of `ours` are trainings from several seeds: each resample draws patients, and as many seeds again, and the
    ends are stretched to what Student's t needs for so few seeds (as in `evaluation.seeded`). `theirs` is one curve for all of
    them, or one for each: where a reconstruction is learned along, each seed's rivals go through its own. `p` is that of equal
    doses, by Student's t with the SD of the resampled logarithms; NaN where an end is open.

    A resample in which ours never reach the bound within the levels, or in which theirs reach it at the lowest already, lies
    above every number, the other way round it lies below every number, and one in which neither side is known widens both
    ends. An end that falls on such resamples is open (NaN).
    Raises InputError for curves of other patients, and for as many of theirs as are neither one nor one for each of ours.
    """
    n = len(patients)
    rivals = [theirs] if isinstance(theirs, LevelCurve) else list(theirs)
    if not ours or any(len(c.gaps) != n for c in (*ours, *rivals)):
        raise InputError(f"dose_saved expects curves of the same {n} patients")
    if len(rivals) not in (1, len(ours)):
        raise InputError(f"dose_saved expects one rival for all {len(ours)} curves or one for each, got {len(rivals)}")
    names = list(dict.fromkeys(patients))
    member = np.array([names.index(p) for p in patients])
    rng = np.random.default_rng(derive_seed(seed, "dose saved", len(names)))
    draws = rng.integers(0, len(names), (resamples, len(names)))
    per_name = np.stack([np.bincount(d, minlength=len(names)) for d in draws])
    counts = np.concatenate([np.ones((1, n)), per_name[:, member]])  # the first row: everybody once
    each = rivals * len(ours) if len(rivals) == 1 else rivals
    points = np.array([math.log(c.photons / r.photons) for c, r in zip(ours, each, strict=True)])
    with np.errstate(invalid="ignore"):  # infinite where a bound is never reached, NaN where neither side reaches it
        needs = [_log_needed(r, counts, held_by) for r in rivals]
        needs = needs * len(ours) if len(rivals) == 1 else needs
        ratios = np.stack([_log_needed(c, counts, held_by) - r for c, r in zip(ours, needs, strict=True)])  # (seeds, 1 + R)
        apart = ratios[:, 1:] - ratios[:, :1] + points[:, None]  # curves tell how it varies, the scans where it is
        which = rng.integers(0, len(ours), (len(ours), apart.shape[1]))
        mean = np.take_along_axis(apart, which, axis=0).mean(0)
        centre, error = float(points.mean()), SeededError.of(mean, points, len(names))
        found = 100 * np.expm1(centre + error.stretch * (mean - centre))
        found = np.where(np.isneginf(mean), -math.inf, found)
        ends = [np.quantile(np.where(np.isnan(found), out, found), q) for out, q in ((-math.inf, 0.025), (math.inf, 0.975))]
    low, high = (float(end) if np.isfinite(end) and len(names) > 1 else math.nan for end in ends)
    p = p_of_zero(centre, error.size, error.freedom) if math.isfinite(low + high) else math.nan
    return Interval(
        100 * math.expm1(centre),
        low,
        high,
        len(names),
        n * len(ours),
        method="percentile, levels found anew",
        n_seeds=len(ours) if len(ours) > 1 else None,
        p=p,
    )


@dataclass(frozen=True)
class SeededError:
    """The standard error of a mean over seeds and patients, its degrees of freedom, and what resamples lack of it.

    Drawing S seeds again gives (S - 1) / S of their variance; Satterthwaite's degrees of freedom weigh seeds and patients.
    `stretch` is 1 for one seed, and for seeds that do not differ.
    """

    size: float
    freedom: float
    stretch: float

    @classmethod
    def of(cls, resampled: np.ndarray, points: np.ndarray, patients: int) -> SeededError:
        """From resampled logarithms and the seeds' own points."""
        from scipy.special import stdtrit

        spread = float(resampled[np.isfinite(resampled)].std()) if np.isfinite(resampled).any() else math.nan
        seeds = len(points)
        if seeds == 1 or not spread > 0:
            return cls(spread, max(patients - 1, 1), 1.0)
        of_seeds = float(points.var(ddof=1)) / seeds
        of_patients = max(spread**2 - of_seeds * (seeds - 1) / seeds, 0.0)
        size = math.sqrt(of_seeds + of_patients)
        freedom = size**4 / (of_seeds**2 / (seeds - 1) + of_patients**2 / max(patients - 1, 1))
        wide = float(stdtrit(freedom, 0.975)) * size / (float(stdtrit(max(patients - 1, 1), 0.975)) * spread)
        return cls(size, freedom, max(wide, 1.0))


def _log_needed(curve: LevelCurve, counts: np.ndarray, held_by: str | float) -> np.ndarray:
    """Logarithm of the photons that are needed, (R,); infinite where no level is enough, minus that where the lowest is."""
    found = curve.needed(counts, held_by)
    with np.errstate(divide="ignore"):
        return np.where(np.isnan(found), math.inf, np.log(found))
