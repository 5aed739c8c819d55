"""The convex hull of what a slice shows."""

from __future__ import annotations

import numpy as np


def convex_hull(mask: np.ndarray) -> np.ndarray:
    """The pixels (Y, X) of the convex hull of a mask; none where it is a line of pixels or less."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(np.argwhere(mask))
    except (QhullError, ValueError):
        return np.zeros(mask.shape, bool)
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    inside = np.ones(mask.shape, bool)
    for a, b, c in hull.equations:
        inside &= a * y + b * x + c <= 0.5
    return inside
