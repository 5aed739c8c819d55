"""Values of one quantity by training seed and patient, and how several are put side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import InputError
from taskct.evaluation.rows import Row

_UNTRAINED: tuple[int | None, ...] = (None,)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Values of one quantity: columns (J, S, P), seeds and patients of the last two axes; seeds (None,) without training."""

    columns: np.ndarray
    seeds: tuple[int | None, ...]
    patients: tuple[str, ...]

    @property
    def trained(self) -> bool:
        """Whether training seeds stand behind the values."""
        return self.seeds != _UNTRAINED


def matrix_of(rows: Sequence[Row]) -> Matrix:
    """One column: the mean over each patient's defined values, NaN where a patient has none."""
    seeds = tuple(sorted({r.seed for r in rows}, key=lambda s: -1 if s is None else s))
    if None in seeds and len(seeds) > 1:
        raise InputError(f"method {rows[0].method!r} stands in this table both with and without training seeds")
    patients = tuple(dict.fromkeys(r.patient for r in rows))
    gathered: dict[tuple[int | None, str], list[float]] = {}
    for r in rows:
        if not math.isnan(r.value):
            gathered.setdefault((r.seed, r.patient), []).append(r.value)
    table = [[float(np.mean(gathered.get((s, p), [math.nan]))) for p in patients] for s in seeds]
    return Matrix(np.array(table, dtype=np.float64)[None], seeds, patients)


def aligned(parts: Sequence[Matrix]) -> Matrix:
    """Columns of several matrices on the seeds and patients that all of them have; untrained ones stand beside any seed."""
    trained = [set(p.seeds) for p in parts if p.trained]
    seeds = tuple(sorted(s for s in set.intersection(*trained) if s is not None)) if trained else _UNTRAINED
    patients = [p for p in parts[0].patients if all(p in other.patients for other in parts[1:])]
    if not seeds or not patients:
        raise InputError("these values share no training seed or no patient, so they cannot be compared")
    columns = []
    for part in parts:
        rows = [part.seeds.index(s) for s in seeds] if part.trained else [0] * len(seeds)
        columns.append(part.columns[:, rows][:, :, [part.patients.index(p) for p in patients]])
    return Matrix(np.concatenate(columns), seeds, tuple(patients))


def columns_of(parts: Sequence[Matrix], means: np.ndarray) -> list[np.ndarray]:
    """Means (..., J) of the columns of `aligned(parts)`, part by part: one (..., J_k) for each."""
    ends = np.cumsum([len(part.columns) for part in parts])
    return np.split(means, ends[:-1], axis=-1)


def mean_of_readers(parts: Sequence[Matrix]) -> Matrix:
    """One column: the mean of several readers on what all of them read."""
    joined = aligned(parts)
    return Matrix(joined.columns.mean(0, keepdims=True), joined.seeds, joined.patients)
