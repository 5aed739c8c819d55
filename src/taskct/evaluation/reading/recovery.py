"""The share of a recoverable gap: how much of what retraining a reader regains a method gives to that same reader, frozen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from taskct.core.errors import InputError
from taskct.evaluation.matrices import aligned, columns_of
from taskct.evaluation.rows import ALL, UNSEEN, DoseLevel
from taskct.evaluation.seeded import mean_of, ratio_of, seeded_bootstrap
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import Table

RETRAINED_OF = "retrained_of"
"""The note of a table that says of which reader a retrained one was made: {name of the retrained: name of the frozen}."""


def share_recovered(
    table: Table,
    metric: str,
    method: str,
    baseline: str,
    *,
    dose: DoseLevel | float,
    region: str = ALL,
    readers: Mapping[str, str] | None = None,
    bound_method: str | None = None,
    seed: int = 0,
) -> Interval:
    """(method - baseline) / (bound - baseline) under the same readers: what a frozen one gains of what retraining gains.

    `readers` {frozen reader: the same one retrained on the baseline's images}; by default those of `retrained_readers`. Of
    several, gains and gaps are averaged over the same readers. The bound is read on the images of `bound_method` (the
    baseline). Where the gap itself is not separated from 0, no share means anything: its ends are NaN.
    Raises InputError where no reader was retrained.
    """
    pairs = readers if readers is not None else retrained_readers(table)
    if not pairs:
        raise InputError("the share of a recoverable gap expects a reader and the same reader retrained; this table has none")
    asked = []
    for frozen, retrained in pairs.items():
        asked += [(method, frozen), (baseline, frozen), (bound_method or baseline, retrained)]
    parts = [table.matrix(metric, name, dose=dose, region=region, reader=who) for name, who in asked]
    both = aligned(parts)
    value = ratio_of if table.ratio(metric) else mean_of

    def three(m: np.ndarray) -> np.ndarray:
        """Method, baseline and bound, mean over the readers, (..., 3)."""
        scores = np.stack([value(part) for part in columns_of(parts, m)], axis=-1)
        return np.asarray(scores.reshape(*scores.shape[:-1], len(pairs), 3).mean(-2))

    def gap(m: np.ndarray) -> np.ndarray:
        found = three(m)
        return np.asarray(found[..., 2] - found[..., 1])

    def share(m: np.ndarray) -> np.ndarray:
        found, room = three(m), gap(m)
        return np.asarray((found[..., 0] - found[..., 1]) / np.where(room == 0, np.nan, room))

    room = seeded_bootstrap(both.columns, gap, seed=seed, trained=both.trained)
    found = seeded_bootstrap(both.columns, share, seed=seed, trained=both.trained)
    return found if room.low > 0 else replace(found, low=math.nan, high=math.nan, method="no gap", left_out=0)


def retrained_readers(table: Table) -> dict[str, str]:
    """{frozen reader: the same reader retrained}: unseen readers where any was retrained, else that of the training.

    A gain that a loss gave its own reader must not be measured with that reader alone, so the unseen ones go first.
    """
    noted = {name: frozen for name, frozen in table.notes.get(RETRAINED_OF, {}).items() if name in table.readers}
    pairs = {frozen: name for name, frozen in noted.items()}
    unseen = {frozen: name for frozen, name in pairs.items() if table.readers.get(frozen) == UNSEEN}
    return unseen or {frozen: name for frozen, name in pairs.items() if table.readers.get(frozen) == "training"}
