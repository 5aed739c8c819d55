"""The share of a recoverable gap: how much of what a retrained reader regains a method gives to a frozen one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from taskct.evaluation.matrices import aligned
from taskct.evaluation.rows import ALL, DoseLevel
from taskct.evaluation.seeded import mean_of, ratio_of, seeded_bootstrap
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import Table

Readers = str | Sequence[str] | None


def share_recovered(
    table: Table,
    metric: str,
    method: str,
    baseline: str,
    *,
    dose: DoseLevel | float,
    region: str = ALL,
    reader: Readers = None,
    bound_reader: str = "retrained",
    bound_method: str | None = None,
    gap_reader: Readers = None,
    seed: int = 0,
) -> Interval:
    """(method - baseline) / (bound - baseline): the share of what a reader retrained on the baseline's images regains.

    The bound is `bound_reader` on the images of `bound_method` (the baseline). `gap_reader` is the reader that was
    retrained, before that, on the baseline's images: readers of other architectures start from other scores, so the gap
    is that of the one that was retrained (`reader` without). Where the gap itself is not separated from 0, no share
    means anything: its ends are NaN.
    """
    asked = [(method, reader), (baseline, reader), (bound_method or baseline, bound_reader), (baseline, gap_reader or reader)]
    parts = [table.matrix(metric, name, dose=dose, region=region, reader=who) for name, who in asked]
    both = aligned(parts)
    width = len(parts[0].columns)
    value = ratio_of if table.ratio(metric) else mean_of

    def four(m: np.ndarray) -> list[np.ndarray]:
        return [value(m[..., k * width : (k + 1) * width]) for k in range(4)]

    def gap(m: np.ndarray) -> np.ndarray:
        *_, bound, start = four(m)
        return np.asarray(bound - start)

    def share(m: np.ndarray) -> np.ndarray:
        ours, low, bound, start = four(m)
        return np.asarray((ours - low) / np.where(bound == start, np.nan, bound - start))

    room = seeded_bootstrap(both.columns, gap, seed=seed, trained=both.trained)
    found = seeded_bootstrap(both.columns, share, seed=seed, trained=both.trained)
    return found if room.low > 0 else replace(found, low=math.nan, high=math.nan, method="no gap", left_out=0)
