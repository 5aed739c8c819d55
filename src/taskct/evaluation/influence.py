"""Intervals over seeds and patients of numbers that are no means: an AUC, an average precision, a pooled Dice.

A statistic that can count patients with weights is turned into a table of seeds x patients by the jackknife: the pseudo-value
of a patient is P t - (P - 1) t without the patient (Efron and Stein, Ann. Stat. 9:586 (1981)), moved so that a training's
values have its t as their mean. What they miss t by is P - 1 times as large as the step of a statistic that moves in steps,
such as CPM, and would pass for a difference between trainings. The table goes through `seeded_bootstrap`, which draws seeds
and patients again. Differences are taken of tables of the same patients: they pair. The jackknife expects statistics that
change little with one patient; with few lesions the interval is a guide, no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from taskct.core.errors import InputError
from taskct.evaluation.seeded import seeded_bootstrap
from taskct.evaluation.statistics import UNBOUNDED, Interval

WeightedStatistic = Callable[[np.ndarray], float]
"""Weights of the patients (P,) -> a number; of one training."""


@dataclass(frozen=True, eq=False)
class Influence:
    """A statistic of S trainings on P patients: its values (S,) and pseudo-values (S, P)."""

    values: np.ndarray
    pseudo: np.ndarray

    def interval(self, *, level: float = 0.95, resamples: int = 2000, bounds: tuple[float, float] = UNBOUNDED) -> Interval:
        """Mean over the seeds with its interval over seeds and patients; NaN where a training has no value.

        `bounds` are those of the statistic, such as (0, 1) of an AUC: the interval ends there.
        """
        found = seeded_bootstrap(self.pseudo, level=level, resamples=resamples)
        return replace(found, p=math.nan).within(*bounds)

    def minus(self, other: Influence) -> Influence:
        """The difference, seed by seed and patient by patient; InputError for other numbers of either."""
        if self.pseudo.shape != other.pseudo.shape:
            raise InputError(
                f"a difference pairs seeds and patients, got {self.pseudo.shape} and {other.pseudo.shape} of them"
            )
        return Influence(self.values - other.values, self.pseudo - other.pseudo)


def influence(statistics: Sequence[WeightedStatistic], patients: int) -> Influence:
    """The jackknife of each training's statistic; patients without whom it is not defined have no influence."""
    if patients < 2 or not statistics:
        raise InputError(f"the jackknife expects two patients or more and a training, got {patients}, {len(statistics)}")
    every = np.ones(patients)
    values = np.array([statistic(every) for statistic in statistics])
    pseudo = np.empty((len(statistics), patients))
    for s, statistic in enumerate(statistics):
        for p in range(patients):
            weights = every.copy()
            weights[p] = 0
            left = statistic(weights)
            pseudo[s, p] = patients * values[s] - (patients - 1) * left if np.isfinite(left) else values[s]
        pseudo[s] += values[s] - pseudo[s].mean()
    return Influence(values, pseudo)
