"""Values of one quantity by training seed and patient, and how several are put side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import InputError
from taskct.evaluation.reading.readings import UNTRAINED


@dataclass(frozen=True, eq=False)
class Matrix:
    """Values of one quantity: columns (J, S, P), seeds and patients of the last two axes."""

    columns: np.ndarray
    seeds: tuple[int, ...]
    patients: tuple[str, ...]


def aligned(parts: Sequence[Matrix]) -> Matrix:
    """Columns of several matrices on the seeds and patients that all of them have; untrained ones stand beside any seed."""
    trained = [set(p.seeds) for p in parts if p.seeds != (UNTRAINED,)]
    seeds = sorted(set.intersection(*trained)) if trained else [UNTRAINED]
    patients = [p for p in parts[0].patients if all(p in other.patients for other in parts[1:])]
    if not seeds or not patients:
        raise InputError("these values share no training seed or no patient, so they cannot be compared")
    columns = []
    for part in parts:
        rows = [0] * len(seeds) if part.seeds == (UNTRAINED,) else [part.seeds.index(s) for s in seeds]
        columns.append(part.columns[:, rows][:, :, [part.patients.index(p) for p in patients]])
    return Matrix(np.concatenate(columns), tuple(seeds), tuple(patients))


def mean_of_readers(parts: Sequence[Matrix]) -> Matrix:
    """One column: the mean of several readers on what all of them read."""
    joined = aligned(parts)
    return Matrix(joined.columns.mean(0, keepdims=True), joined.seeds, joined.patients)
