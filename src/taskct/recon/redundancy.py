"""How often a scan measures each line: weights that make every line count once in filtered back-projection.

The ray at fan angle gamma of the view at angle b is measured again, backwards, at fan angle -gamma of the view at
b + pi - 2 gamma. b is counted along the arc in the sense of rotation. For parallel rays gamma is 0 in all of this. With

    c(b)      1 inside the arc, falling smoothly to 0 at both ends          C(b) = sum of c(b + 2 pi m) over whole turns m
    s(gamma)  1/2, with a transition where the detector is offset           s(gamma) + s(-gamma) = 1

the weights are (Noo, Defrise, Clackdoyle & Kudo, Phys. Med. Biol. 47:2525, 2002, eq. 30, with s for Wang's offset detector)

    w = c(b) s(gamma) / (C(b) s(gamma) + C(b + pi - 2 gamma) s(-gamma))

so that all measurements of a line add up to 1 and a line measured once counts once, for any arc. A view stands for the angles
within half a view step of its own, and the ends of c fall over at least one step; so weights are continuous in the arc, also
where it passes half a turn, half a turn plus the fan, and whole turns.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from taskct.core.errors import GeometryError

_TINY_RAD = 1e-9
_LEAST = 1e-12  # of s, so that a line at the very end of the short side counts once where it is measured once


class IncompleteScanWarning(UserWarning):
    """The scan measures too few lines for an exact reconstruction: artefacts of limited angle or truncation follow."""


def parallel_weights(views_rad: np.ndarray, arc_rad: float, cols_mm: np.ndarray, *, step_rad: float = 0.0) -> np.ndarray:
    """Weights of a parallel scan, (V, C): `views_rad` counted from the start of the arc, `cols_mm` from the axis of rotation.

    Views are the middles of intervals of `step_rad` that make up the arc. A whole number of half turns weighs all views alike;
    between, the ends of the arc fall over the excess, or over what the next half turn lacks, if that is less. An arc that
    lacks more than half a step of half a turn warns (IncompleteScanWarning) and weighs every view alike.
    """
    _refuse_one_sided(cols_mm)
    if arc_rad < np.pi - max(step_rad / 2, _TINY_RAD):
        _warn_limited(arc_rad, np.pi)
    if arc_rad <= np.pi + _TINY_RAD:
        return np.ones((len(views_rad), len(cols_mm)))
    return _weights(views_rad, np.zeros(1), arc_rad, step_rad, ramp_rad=_excess(arc_rad, np.pi), sides=_sides(cols_mm))


def fan_weights(views_rad: np.ndarray, arc_rad: float, gammas_rad: np.ndarray, *, step_rad: float = 0.0) -> np.ndarray:
    """Weights of a fan or cone scan, (V, C); `gammas_rad` are signed along the columns, against the sense of rotation < 0.

    Views are the middles of intervals of `step_rad` that make up the arc. Whole turns weigh all views alike, with Wang's
    transition (Med. Phys. 29:1634, 2002) where the detector is offset. Shorter arcs fall towards both ends over half
    their length, or over what the full turn lacks, if that is less. An arc that lacks more than half a step of 180 deg + fan
    warns (IncompleteScanWarning).
    """
    _refuse_one_sided(gammas_rad)
    wanted_rad = np.pi + 2 * np.abs(gammas_rad).max()
    if arc_rad < wanted_rad - max(step_rad / 2, _TINY_RAD):
        _warn_limited(arc_rad, wanted_rad)
    full = 2 * np.pi
    ramp_rad = min(arc_rad / 2, full - arc_rad) if arc_rad < full else _excess(arc_rad, full)
    return _weights(views_rad, gammas_rad, arc_rad, step_rad, ramp_rad=ramp_rad, sides=_sides(np.sin(gammas_rad)))


def _weights(
    b: np.ndarray, gammas: np.ndarray, arc_rad: float, step_rad: float, *, ramp_rad: float, sides: np.ndarray
) -> np.ndarray:
    """w of this file's first lines, (V, C)."""
    turns = round(arc_rad / (2 * np.pi))
    if turns > 0 and abs(arc_rad - 2 * np.pi * turns) < _TINY_RAD:  # then C is the number of turns
        return np.broadcast_to(sides / turns, (len(b), len(sides)))
    shape = (len(b), len(sides))
    if np.ptp(sides) == 0:
        sides = sides[:1]
    sides = sides.clip(_LEAST, 1 - _LEAST)
    once = lambda angle: _taper(angle, arc_rad, ramp_rad, step_rad)
    b = b[:, None]
    whole = _over_turns(once, b, arc_rad) * sides
    conjugate = _over_turns(once, b + np.pi - 2 * gammas, arc_rad) * (1 - sides)
    total = whole + conjugate
    return np.broadcast_to(once(b) * sides / np.where(total > 0, total, 1.0), shape)


def _taper(b: np.ndarray, arc_rad: float, ramp_rad: float, step_rad: float) -> np.ndarray:
    """c(b): rises and falls over `ramp_rad` and the step; where both ends of a full turn meet, c adds up to 1."""
    width = ramp_rad + step_rad
    if width <= 0:
        return ((b >= 0) & (b < arc_rad)).astype(np.float64)
    t = np.clip((np.minimum(b, arc_rad - b) + step_rad / 2) / width, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _over_turns(once: Callable[[np.ndarray], np.ndarray], b: np.ndarray, arc_rad: float) -> np.ndarray:
    """C(b)."""
    full = 2 * np.pi
    first = b - full * np.floor(b / full)
    total = once(first)
    for turn in range(1, int(arc_rad // full) + 2):
        total = total + once(first + full * turn)
    return np.asarray(total + once(first - full))  # half a step before the arc's start


def _excess(arc_rad: float, period_rad: float) -> float:
    """How far an arc is from whole periods, on the nearer side."""
    beyond = arc_rad % period_rad
    return float(min(beyond, period_rad - beyond))


def _sides(place: np.ndarray) -> np.ndarray:
    """Weights (C,) with w(u) + w(-u) = 1 for a full turn: one half, rising to 1 and falling to 0 near the short side's end.

    The transition is as long as the long side's excess, at most the whole overlap (Wang's weights then).
    """
    low, high = -place.min(), place.max()
    overlap, excess = min(low, high), abs(high - low)
    if excess <= 1e-9 * overlap:
        return np.full(len(place), 0.5)
    toward_long = place if high > low else -place
    ramp = min(overlap, excess)
    beyond = np.clip((np.abs(toward_long) - (overlap - ramp)) / ramp, 0, 1)
    return np.asarray(0.5 + 0.5 * np.sign(toward_long) * np.sin(np.pi / 2 * beyond) ** (1 if ramp == overlap else 2))


def _refuse_one_sided(place: np.ndarray) -> None:
    if place.min() >= 0 or place.max() <= 0:
        if len(place) == 1 and place[0] == 0:
            return
        raise GeometryError(
            "filtered back-projection needs a detector that reaches across the axis of rotation, but all columns lie on one "
            "side of it; make col_offset_mm smaller, or use sirt, cgls or tv_min"
        )


def _warn_limited(arc_rad: float, wanted_rad: float) -> None:
    warnings.warn(
        f"the scan covers {np.rad2deg(arc_rad):.1f} deg and an exact filtered back-projection needs "
        f"{np.rad2deg(wanted_rad):.1f} deg (half a turn plus the fan angle); expect artefacts of limited angle",
        IncompleteScanWarning,
        stacklevel=4,
    )
