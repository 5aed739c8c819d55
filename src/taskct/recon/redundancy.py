"""How often a scan measures each line: weights that make every line count once in filtered back-projection.

The ray at fan angle gamma of the view at angle b is measured again, backwards, at fan angle -gamma of the view at
b + pi - 2 gamma. The weights w of both must add up to 1, and change smoothly along the columns. b is counted from the
first view in the sense of rotation. For parallel rays gamma is 0 in all of this.
"""

from __future__ import annotations

import warnings

import numpy as np

from taskct.core.errors import GeometryError

_TINY_RAD = 1e-6


class IncompleteScanWarning(UserWarning):
    """The scan measures too few lines for an exact reconstruction: artefacts of limited angle or truncation follow."""


def parallel_weights(views_rad: np.ndarray, arc_rad: float, cols_mm: np.ndarray) -> np.ndarray:
    """Weights of a parallel scan, (V, C): `views_rad` counted from the first view, `cols_mm` from the axis of rotation.

    Less than half a turn warns (IncompleteScanWarning) and weighs every view alike. A detector that reaches farther on one
    side of the axis than on the other gives its wide field after a full turn, else that of its short side.
    """
    _refuse_one_sided(cols_mm)
    if arc_rad < np.pi - _TINY_RAD:
        _warn_limited(arc_rad, np.pi)
        return np.ones((len(views_rad), len(cols_mm)))
    if arc_rad < 2 * np.pi - _TINY_RAD:
        return np.broadcast_to(_overscan(views_rad, arc_rad, np.pi)[:, None], (len(views_rad), len(cols_mm)))
    return _overscan(views_rad, arc_rad, 2 * np.pi)[:, None] * _sides(cols_mm)


def fan_weights(views_rad: np.ndarray, arc_rad: float, gammas_rad: np.ndarray) -> np.ndarray:
    """Weights of a fan or cone scan, (V, C); `gammas_rad` are signed along the columns, against the sense of rotation < 0.

    A full turn or more: one half each, with Wang's transition (Med. Phys. 29:1634, 2002) where the detector is offset.
    From 180 deg + fan to a full turn: Parker's weights (Med. Phys. 9:254, 1982), in Silver's form for an arc that is longer
    than needed (Med. Phys. 27:773, 2000). A shorter arc warns (IncompleteScanWarning): lines seen once count once.
    """
    _refuse_one_sided(gammas_rad)
    if arc_rad >= 2 * np.pi - _TINY_RAD:
        return _overscan(views_rad, arc_rad, 2 * np.pi)[:, None] * _sides(np.sin(gammas_rad))
    half_fan = np.abs(gammas_rad).max()
    if arc_rad >= np.pi + 2 * half_fan - _TINY_RAD:
        return _parker(views_rad[:, None], gammas_rad[None, :], max((arc_rad - np.pi) / 2, half_fan))
    _warn_limited(arc_rad, np.pi + 2 * half_fan)
    return _shared(views_rad[:, None], gammas_rad[None, :], arc_rad)


def _parker(b: np.ndarray, gamma: np.ndarray, half_fan: float) -> np.ndarray:
    """Parker's weights for an arc of pi + 2 `half_fan`: sin^2 ramps over the lines that are measured twice."""
    early, late = half_fan + gamma, half_fan - gamma  # half the length of the two ramps
    rising = np.sin(np.pi / 4 * np.clip(b / np.maximum(early, 1e-12), 0, 2)) ** 2
    falling = np.sin(np.pi / 4 * np.clip((np.pi + 2 * half_fan - b) / np.maximum(late, 1e-12), 0, 2)) ** 2
    weights = np.where(b < 2 * early, rising, np.where(b > np.pi + 2 * gamma, falling, 1.0))
    return np.asarray(weights)


def _shared(b: np.ndarray, gamma: np.ndarray, arc_rad: float) -> np.ndarray:
    """Weights for an arc that is too short: f / (f + f of the reverse ray), f falling to 0 at both ends of the arc."""
    ramp = min(np.deg2rad(10.0), arc_rad / 2) if arc_rad > 0 else 1.0

    def f(angle: np.ndarray) -> np.ndarray:
        inside = np.clip(np.minimum(angle, arc_rad - angle) / ramp, 0, 1)
        return np.where((angle >= 0) & (angle <= arc_rad), np.sin(np.pi / 2 * inside) ** 2 + 1e-6, 0.0)

    turn = b + np.pi - 2 * gamma
    return np.asarray(f(b) / (f(b) + f(turn) + f(turn - 2 * np.pi)))


def _overscan(b: np.ndarray, arc_rad: float, period_rad: float) -> np.ndarray:
    """Weights (V,) whose sum over all b + k * period is 1: flat, with sin^2 ramps over what exceeds whole periods."""
    periods = int(np.floor(arc_rad / period_rad + _TINY_RAD))
    extra = arc_rad - periods * period_rad
    if extra < _TINY_RAD:
        return np.full(len(b), 1 / periods)
    rising = np.sin(np.pi / 2 * np.clip(b / extra, 0, 1)) ** 2
    falling = np.sin(np.pi / 2 * np.clip((arc_rad - b) / extra, 0, 1)) ** 2
    return np.asarray(np.minimum(rising, falling) / periods)


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
