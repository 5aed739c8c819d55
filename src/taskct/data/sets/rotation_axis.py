"""Where the axis of rotation falls on the detector, from the projections themselves."""

from __future__ import annotations

import numpy as np

from taskct.core.errors import InputError

_MOST_PAIRS = 32


def find_rotation_axis(p: np.ndarray, angles_rad: np.ndarray, *, most_shift: float = 0.25) -> float:
    """The column (from 0, with fraction) of the axis in a parallel scan: p (V, C) -> number.

    A view and the one half a turn later see the same rays from both sides, mirrored about the axis: p(t + pi, a + u) =
    p(t, a - u). All pairs of views half a turn apart are compared (a half turn without its end has one: the missing view is
    extrapolated from the last two), for every axis within `most_shift` of the width from the middle; the one with the
    smallest squared difference wins, refined by a parabola. Noise of independent views does not bias it.

    Raises InputError for a scan of less than half a turn.

    >>> u = np.arange(64)
    >>> views = np.stack([np.exp(-((u - 30 - 9 * np.cos(t)) ** 2) / 20) for t in np.linspace(0, np.pi, 60)])
    >>> round(find_rotation_axis(views, np.linspace(0, np.pi, 60)), 2)
    30.0
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(angles_rad)
    angles, views = np.asarray(angles_rad, dtype=np.float64)[order], p[order]
    if len(views) < 3 or p.ndim != 2:
        raise InputError(f"find_rotation_axis expects p as (views, columns) with 3 views or more, got {p.shape}")
    step = float(np.median(np.diff(angles)))
    pairs = [k for k in range(len(views)) if angles[k] + np.pi <= angles[-1] + 1.5 * step]
    if not pairs:
        covered = np.rad2deg(angles[-1] - angles[0] + step)
        raise InputError(f"find_rotation_axis needs half a turn, the scan covers {covered:.0f} deg; give axis_col")
    cols = p.shape[1]
    centres = np.arange(2 * (cols - 1) * (0.5 - most_shift), 2 * (cols - 1) * (0.5 + most_shift) + 1).astype(int)  # 2 * axis
    total = np.zeros(len(centres))
    for k in pairs[:: max(1, len(pairs) // _MOST_PAIRS)]:
        opposite = _view_at(views, angles, angles[k] + np.pi)
        for number, double in enumerate(centres):
            low, high = max(0, double - cols + 1), min(cols - 1, double)  # columns whose mirror image is on the detector
            difference = views[k, low : high + 1] - opposite[double - high : double - low + 1][::-1]
            total[number] += (difference**2).mean()
    best = int(np.argmin(total))
    shift = 0.0
    if 0 < best < len(total) - 1:
        before, at, after = total[best - 1 : best + 2]
        bend = before - 2 * at + after
        shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float((centres[best] + shift) / 2)


def _view_at(views: np.ndarray, angles: np.ndarray, angle: float) -> np.ndarray:
    """The view at an angle, linear between its neighbours; beyond the last view on the line through the last two."""
    k = int(np.clip(np.searchsorted(angles, angle) - 1, 0, len(angles) - 2))
    part = (angle - angles[k]) / (angles[k + 1] - angles[k])
    return (1 - part) * views[k] + part * views[k + 1]
