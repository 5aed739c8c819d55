"""Whether the cones of several radiographs meet: what share of what any view sees is seen by all of them."""

from __future__ import annotations

import numpy as np

from taskct.core.errors import GeometryError
from taskct.geometry.beams import VectorBeam

_SAMPLES = 24


def seen_by(beam: VectorBeam, points_mm: np.ndarray) -> np.ndarray:
    """Bool (V, N): which points (N, 3) in z, y, x each view's detector sees, in front of its source."""
    if beam.source_mm is None:
        raise GeometryError("seen_by expects a beam with point sources")
    found = []
    for view in range(beam.views):
        source, centre = np.asarray(beam.source_mm[view], float), np.asarray(beam.detector_mm[view], float)
        col, row = np.asarray(beam.col_step_mm[view], float), np.asarray(beam.row_step_mm[view], float)
        # source + t (point - source) = centre + u col + v row
        normal = np.cross(col, row)
        way = points_mm - source
        depth = way @ normal
        t = np.divide((centre - source) @ normal, depth, out=np.full(len(way), np.inf), where=np.abs(depth) > 1e-9)
        hit = source + np.where(np.isfinite(t), t, 0.0)[:, None] * way - centre
        plane = np.linalg.lstsq(np.stack([col, row], 1), hit.T, rcond=None)[0]  # (2, N)
        inside = (np.abs(plane[0]) <= beam.cols / 2) & (np.abs(plane[1]) <= beam.rows / 2)
        found.append(inside & np.isfinite(t) & (t > 1))  # the point lies between source and detector
    return np.stack(found)


def common_field_mm(beam: VectorBeam, centre_mm: np.ndarray | tuple[float, float, float]) -> float:
    """Side of the largest cube about `centre_mm` whose corners all views see, in mm; 0 where they do not see the centre."""
    centre = np.asarray(centre_mm, float)
    corners = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
    fits = lambda half: bool(seen_by(beam, centre + half * corners).all())
    if not fits(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while fits(high) and high < 1e5:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return 2 * low


def overlap_share(beam: VectorBeam, centre_mm: np.ndarray | tuple[float, float, float], side_mm: float) -> float:
    """Of the points of a cube that any view sees, the share that all views see; 0 where none does."""
    line = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * side_mm - side_mm / 2
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    points = np.stack([z.ravel(), y.ravel(), x.ravel()], 1) + np.asarray(centre_mm, float)
    seen = seen_by(beam, points)
    some = seen.any(0).sum()
    return float(seen.all(0).sum() / some) if some else 0.0
