"""Which lengths are taken: between them, squares and products of lengths stay within the range of numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from taskct.core.errors import GeometryError

LEAST_MM, MOST_MM = 1e-9, 1e9  # a picometre and a thousand kilometres


def check_length(value: float, name: str, *, who: str) -> float:
    """A length in mm; GeometryError that names it for what is none, or is too short or too long to compute with.

    >>> check_length(2, "pixel_mm", who="ParallelBeam")
    2.0
    """
    if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
        raise GeometryError(f"{who} expects {name} > 0, got {value!r}")
    if not LEAST_MM <= value <= MOST_MM:
        raise GeometryError(f"{who} expects {name} from {LEAST_MM:g} to {MOST_MM:g}, got {value!r}")
    return float(value)


def are_places(values: ArrayLike) -> bool:
    """Whether all numbers are finite and none is farther from 0 than `MOST_MM`."""
    numbers = np.asarray(values, dtype=np.float64)
    return bool(np.isfinite(numbers).all() and (np.abs(numbers) <= MOST_MM).all())
