"""Measuring between octaves: further doses, until the two about an answer differ by less than what is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from taskct.evaluation.dose.quality_curves import Curves, contrast, held, of_patients
from taskct.evaluation.dose.target import Target
from taskct.evaluation.reading.task_curves import crossing, monotone

_MOST_SCANS = 12
_LEAST_STEP = 1e-3  # in the logarithm of photons: nearer doses are not told apart


class Bracket(NamedTuple):
    """The measured photons about an answer: at `below` the criterion fails (0: none measured), at `above` it holds."""

    below: float
    above: float
    photons: float

    @property
    def width(self) -> float:
        """Relative width; 0 where the lowest measured dose holds already, as the answer is then "at most"."""
        return self.above / self.below - 1 if self.below > 0 else 0.0


def bracket(levels: np.ndarray, asked: np.ndarray) -> Bracket | None:
    """The measured levels about the `crossing` of 0 by a criterion (L,); None where that is NaN.

    >>> [round(v, 6) for v in bracket(np.array([1.0, 2.0, 4.0]), np.array([-1.0, -0.5, 0.5]))]
    [2.0, 4.0, 2.828427]
    """
    photons = crossing(levels, asked, 0.0)
    if math.isnan(photons):
        return None
    first = int(np.argmax(monotone(asked) >= 0))
    return Bracket(float(levels[first - 1]) if first else 0.0, float(levels[first]), photons)


def refined(
    curves: Curves, targets: Sequence[Target], held_by: str | float, within: float, scan: Callable[[float], Curves]
) -> Curves:
    """Curves with further doses, until each target's answer lies between two that differ by less than `within` (0.02: 2 %).

    `scan(photons)` measures one dose with the noise of the curves. False position in the logarithm of photons needs three or
    four scans; each goes a little beyond the expected crossing, on the side that is still far. At most twelve for a target.
    """
    for target in targets:
        for _ in range(_MOST_SCANS):
            values = curves.values[target.key]
            gap = of_patients(contrast(target, values, values[:, -1:]), curves.patients, held_by)
            place = bracket(curves.levels, held(gap, held_by))
            if place is None or place.width < within:
                break
            nearer = _probe(place, within)
            if nearer is None:
                break
            curves = joined(curves, scan(nearer))
    return curves


def _probe(place: Bracket, within: float) -> float | None:
    """The next dose to scan: beyond the crossing by a third of what is allowed, and well inside the bracket."""
    low, high, middle = (math.log(v) for v in (place.below, place.above, place.photons))
    if high - low < 2 * _LEAST_STEP:
        return None
    step = math.log1p(within) / 3
    wanted = middle + step if high - middle > 2 * step else middle - step
    edge = min(0.1 * (high - low), step)
    return math.exp(min(max(wanted, low + edge), high - edge))


def joined(curves: Curves, more: Curves) -> Curves:
    """Curves of the same patients at the doses of both, rising."""
    levels = np.concatenate([curves.levels, more.levels])
    order = np.argsort(levels, kind="stable")
    return Curves(
        levels[order],
        np.concatenate([curves.photons, more.photons], axis=1)[:, order],
        {name: np.concatenate([one, more.values[name]], axis=1)[:, order] for name, one in curves.values.items()},
        curves.patients,
    )
