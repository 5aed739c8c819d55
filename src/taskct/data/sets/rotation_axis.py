"""Where the axis of rotation falls on the detector, from the projections themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from taskct.core.errors import InputError

_MOST_PAIRS = 400
_FEW_PAIRS = 6  # with fewer, the centres of mass of all views tell more
_LEAST_OVERLAP = 12  # columns that both views of a pair have to see of the object
_LEAST_EVIDENCE = 0.002  # contrast in the overlap, as a share of the largest one
_LEAST_AGREEMENT = 0.6  # correlation of opposite views at the axis
_DISTINCT = 0.6  # what is not explained at the axis, as a share of that at the second best place
_FLAT = 0.03  # of the largest value: how high the ends of the rows may be where the object lies inside the detector
_SURE = 0.025  # columns, one standard deviation of the axis
_PARTS = 12  # of a scan, left out in turn
_SURE_BY_PARTS = 0.038  # the same from the parts; the ends of half a turn count for more than they should
_LEAST_WIDTH = 18  # columns of an object of which single ones do not move the centre of mass
_NEAR = 3.0  # columns between what centres of mass and pairs of views say


class _Pairs(NamedTuple):
    """What opposite views say of each candidate: twice the axis, agreement, mean squared difference, whether it counts, and
    how many values were compared."""

    doubles: np.ndarray
    agreement: np.ndarray
    difference: np.ndarray
    counts: np.ndarray
    number: np.ndarray


def find_rotation_axis(p: np.ndarray, angles_rad: np.ndarray, *, most_shift: float = 0.25) -> float:
    """The column (from 0, with fraction) of the axis in a parallel scan: p (V, C) -> number.

    A view and the one half a turn later see the same rays from both sides, mirrored about the axis: p(t + pi, a + u) =
    p(t, a - u). Pairs of views half a turn apart (between views: interpolated) are correlated where they overlap, for every
    axis at once; the best place, refined by a parabola through the squared differences, is the axis if it stands out: the
    object has to lie in the overlap, opposite views have to agree, and nowhere else nearly as well. Where the object lies
    inside the detector in all views, its centre of mass moves as a + r cos(t - t0), which says where to look, and is taken
    itself where there are few pairs (a half turn without its end has one).

    Raises InputError for a scan of less than half a turn, for one that does not tell its axis, and for an axis more than
    `most_shift` of the width from the middle; it says what to pass.

    >>> u = np.arange(64)
    >>> views = np.stack([np.exp(-((u - 30 - 9 * np.cos(t)) ** 2) / 20) for t in np.linspace(0, np.pi, 60)])
    >>> round(find_rotation_axis(views, np.linspace(0, np.pi, 60)), 2)
    30.0
    """
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != 2 or len(p) < 3 or p.shape[1] < _LEAST_OVERLAP or np.shape(angles_rad) != (len(p),):
        raise InputError(
            f"find_rotation_axis expects p as (views, columns), at least 3 x {_LEAST_OVERLAP}, and an angle per view, "
            f"got {p.shape} and {np.shape(angles_rad)}"
        )
    if not np.isfinite(p).all():
        raise InputError("find_rotation_axis expects finite projections; mend or mask NaN first, or pass axis_col")
    order = np.argsort(angles_rad)
    angles, views = np.asarray(angles_rad, dtype=np.float64)[order], p[order]
    step = float(np.median(np.diff(angles)))
    first = [k for k in range(len(views)) if angles[k] + np.pi <= angles[-1] + 1.5 * step]
    if not first:
        covered = np.rad2deg(angles[-1] - angles[0] + step)
        raise InputError(f"find_rotation_axis needs half a turn, the scan covers {covered:.0f} deg; pass axis_col")
    whole = _lies_inside(views)
    mass, sure = _axis_of_mass(views, angles) if whole else (None, False)
    pairs = _compared(views, angles, first[:: -(-len(first) // _MOST_PAIRS)])
    axis = mass if sure and len(first) < _FEW_PAIRS else _best(pairs, near=mass)
    axis = mass if axis is None and sure else axis
    if axis is None:
        raise InputError(
            "find_rotation_axis cannot tell the axis of this scan: at no place do opposite views agree clearly; pass axis_col"
        )
    middle, width = (p.shape[1] - 1) / 2, p.shape[1] - 1
    if abs(axis - middle) > most_shift * width:
        raise InputError(
            f"find_rotation_axis finds the axis on column {axis:.2f} of {p.shape[1]}, beyond most_shift={most_shift:g} of the "
            f"width from the middle; pass most_shift={np.ceil(100 * abs(axis - middle) / width + 1) / 100:g}, or axis_col"
        )
    return float(axis)


def _lies_inside(views: np.ndarray) -> bool:
    """Whether the ends of the rows see air in all views: the object is nowhere cut off."""
    ends = np.concatenate([views[:, :2], views[:, -2:]], axis=1)
    level = np.median(ends)
    largest = views.max()
    per_side = np.stack([views[:, :2].mean(1), views[:, -2:].mean(1)]) - level
    noise = 1.4826 / 2 * np.median(np.abs(ends[:, ::2] - ends[:, 1::2]))  # of a mean of two columns
    near_air = (np.abs(per_side) < _FLAT * largest + 5 * noise).all()
    return bool(largest > 0 and abs(level) < _FLAT * largest + noise and near_air)


def _axis_of_mass(views: np.ndarray, angles: np.ndarray) -> tuple[float | None, bool]:
    """The middle of the sine on which the centre of mass moves, and whether noise leaves it in its place."""
    level = np.median(np.concatenate([views[:, :2], views[:, -2:]], axis=1))
    seen = views - level
    profile = seen.mean(0)
    inside = np.flatnonzero(profile > 0.01 * profile.max())  # air beyond holds nothing but noise
    reach = slice(max(0, inside[0] - 2), inside[-1] + 3)
    cols = np.arange(views.shape[1])[reach]
    weight = seen[:, reach].sum(1)
    if not (weight > 0.2 * np.median(weight)).all():
        return None, False
    wide = len(cols) - 4 >= _LEAST_WIDTH
    centre = (seen[:, reach] @ cols) / weight
    waves = np.stack([np.ones_like(angles), np.cos(angles), np.sin(angles)], axis=1)
    found, left, _, _ = np.linalg.lstsq(waves, centre, rcond=None)
    variance = left.sum() / max(len(views) - 3, 1) * np.linalg.inv(waves.T @ waves)[0, 0]
    sure = wide and variance <= _SURE**2 and _variance_by_parts(waves, centre) <= _SURE_BY_PARTS**2
    return float(found[0]), bool(sure)


def _variance_by_parts(waves: np.ndarray, centre: np.ndarray) -> float:
    """Of the axis, from what it becomes without each part of the scan in turn (jackknife).

    Columns that are too wide for what lies in the object err alike in neighbouring views, which their spread about the sine
    does not tell.
    """
    parts = np.array_split(np.arange(len(centre)), min(_PARTS, len(centre)))
    if len(centre) - len(parts[0]) < waves.shape[1]:
        return float("inf")
    without = [np.linalg.lstsq(np.delete(waves, k, 0), np.delete(centre, k), rcond=None)[0][0] for k in parts]
    return float((len(parts) - 1) * np.var(without))


def _compared(views: np.ndarray, angles: np.ndarray, first: list[int]) -> _Pairs:
    """Views and their opposites, compared for every axis on a column or between two, by convolution."""
    cols = views.shape[1]
    one = views[first]
    other = np.stack([_view_at(views, angles, angles[k] + np.pi) for k in first])
    middle = np.concatenate([one, other]).mean()
    one, other = one - middle, other - middle  # keeps digits
    length = 2 * cols
    both = np.fft.irfft(np.fft.rfft(one, length) * np.fft.rfft(other, length), length)[:, : 2 * cols - 1]
    doubles = np.arange(2 * cols - 1)
    low, high = np.maximum(0, doubles - cols + 1), np.minimum(cols - 1, doubles)
    number = high - low + 1

    def over(values: np.ndarray) -> np.ndarray:
        summed = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
        return summed[:, high + 1] - summed[:, low]

    sum_one, sum_other, square_one, square_other = over(one), over(other), over(one**2), over(other**2)
    spread_one = np.maximum(square_one - sum_one**2 / number, 0).sum(0)
    spread_other = np.maximum(square_other - sum_other**2 / number, 0).sum(0)
    together = (both - sum_one * sum_other / number).sum(0)
    spread = spread_one + spread_other
    agreement = together / np.maximum(np.sqrt(spread_one * spread_other), 1e-300)
    difference = np.maximum(square_one + square_other - 2 * both, 0).sum(0) / number
    least = max(_LEAST_OVERLAP, cols // 10)
    counts = (number >= least) & (spread > _LEAST_EVIDENCE * spread.max()) & (spread > 0)
    return _Pairs(doubles, agreement, difference / len(one), counts, number * len(one))


def _best(pairs: _Pairs, *, near: float | None) -> float | None:
    """The axis at which opposite views agree, or None where none stands out."""
    allowed = pairs.counts if near is None else pairs.counts & (np.abs(pairs.doubles / 2 - near) <= _NEAR)
    if not allowed.any():
        return None
    agreement = np.where(allowed, pairs.agreement, -1.0)
    best = int(np.argmax(agreement))
    if near is None:
        left, right = best, best
        while left > 0 and agreement[left - 1] <= agreement[left] and agreement[left - 1] > -1:
            left -= 1
        while right < len(agreement) - 1 and agreement[right + 1] <= agreement[right] and agreement[right + 1] > -1:
            right += 1
        others = np.concatenate([agreement[:left], agreement[right + 1 :]])
        second = others.max() if len(others) else -1.0
        at_an_end = best in (0, len(agreement) - 1) or -1.0 in agreement[[best - 1, best + 1]]
        if at_an_end or agreement[best] < _LEAST_AGREEMENT or 1 - agreement[best] > _DISTINCT * (1 - second):
            return None
    return _refined(pairs, best)


def _refined(pairs: _Pairs, best: int) -> float | None:
    """The bottom of a parabola through three differences about the best place, in columns; None where noise would move it.

    How sure that is tells a parabola through five. Its own bottom is farther off (rms .032 columns on hostile scans, .022 with
    three), since the differences of an object of few columns are no parabola so far out.
    """
    low, high = max(0, best - 2), min(len(pairs.doubles), best + 3)
    best = low + int(np.argmin(pairs.difference[low:high]))
    window = np.arange(max(0, best - 2), min(len(pairs.doubles), best + 3))
    bend, slope, floor = np.polyfit(window - best, pairs.difference[window], 2)
    if bend <= 0 or abs(slope / (2 * bend)) > 2 or max(floor, 0) > pairs.number[best] * 4 * bend * _SURE**2:
        return None
    below, at, above = pairs.difference[[max(best - 1, 0), best, min(best + 1, len(pairs.difference) - 1)]]
    if below + above <= 2 * at:
        return None
    return float((pairs.doubles[best] + (below - above) / (2 * (below - 2 * at + above))) / 2)


def _view_at(views: np.ndarray, angles: np.ndarray, angle: float) -> np.ndarray:
    """The view at an angle, linear between its neighbours; beyond the last view on the line through the last two."""
    k = int(np.clip(np.searchsorted(angles, angle) - 1, 0, len(angles) - 2))
    part = (angle - angles[k]) / (angles[k + 1] - angles[k])
    return np.asarray((1 - part) * views[k] + part * views[k + 1])
