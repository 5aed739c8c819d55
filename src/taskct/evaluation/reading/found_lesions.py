"""Which of a detector's findings are lesions: by the rule of LUNA16 (points) or by overlap (boxes), scan by scan.

LUNA16 (luna16.grand-challenge.org/Evaluation): a point finds a lesion when it lies nearer to its centre than its radius; of
several points at one lesion the surest counts and the others count neither way; points at findings to ignore count neither
way. Overlap: the surest box first, each lesion once, a second box at a lesion is a false one; a box that lies by half or more
in a region to ignore counts neither way unless it finds a lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.core.errors import GeometryError, InputError

MISSED = -1


@dataclass(frozen=True, eq=False)
class ScanMatches:
    """Findings of one scan that count: scores (n,), and of each the lesion that it finds, or -1 for a false one; L lesions.

    `patient` is whose scan it is: scans are resampled by patient.
    """

    scores: np.ndarray
    found: np.ndarray
    lesions: int
    patient: str = ""


def match_points(
    points: np.ndarray,
    scores: np.ndarray,
    centres: np.ndarray,
    radii: np.ndarray,
    *,
    ignored: tuple[np.ndarray, np.ndarray] | None = None,
    patient: str = "",
) -> ScanMatches:
    """LUNA16's rule: points (n, dims) with scores (n,), lesions with centres (L, dims) and radii (L,), all in mm.

    `ignored` are centres and radii of findings that count neither way. A point in reach of two lesions finds the first.
    """
    points, centres = _flat(points, centres)
    scores = _checked(scores, len(points))
    radii = _reach(radii, len(centres))
    owner = np.full(len(points), MISSED)
    for k, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        owner[(owner == MISSED) & (np.linalg.norm(points - centre, axis=1) < radius)] = k
    keep = np.ones(len(points), bool)
    for k in range(len(centres)):
        mine = np.flatnonzero(owner == k)
        if len(mine):
            keep[mine] = False
            keep[mine[np.argmax(scores[mine])]] = True
    if ignored is not None:
        places = _flat(points, ignored[0])[1]
        for centre, radius in zip(places, _reach(ignored[1], len(places)), strict=True):
            keep &= (owner != MISSED) | (np.linalg.norm(points - centre, axis=1) >= radius)
    return ScanMatches(scores[keep], owner[keep], len(centres), patient)


def match_boxes(
    boxes: np.ndarray,
    scores: np.ndarray,
    lesions: np.ndarray,
    *,
    iou: float,
    ignored: np.ndarray | None = None,
    patient: str = "",
) -> ScanMatches:
    """Boxes (n, 2 dims) with scores against those of lesions (L, 2 dims), the surest first, from an overlap `iou` on."""
    if not 0 < iou <= 1:
        raise InputError(f"match_boxes expects 0 < iou <= 1, got {iou!r}")
    boxes, lesions = _edges(*_flat(boxes, lesions))
    scores = _checked(scores, len(boxes))
    order = np.argsort(-scores, kind="stable")
    overlap = overlaps(boxes, lesions)
    owner, taken = np.full(len(boxes), MISSED), np.zeros(len(lesions), bool)
    for n in order:
        free = np.where(taken, -1.0, overlap[n]) if len(lesions) else np.zeros(0)
        best = int(np.argmax(free)) if len(free) else MISSED
        if best != MISSED and free[best] >= iou:
            owner[n], taken[best] = best, True
    keep = np.ones(len(boxes), bool)
    if ignored is not None and len(ignored):
        (regions,) = _edges(_flat(boxes, ignored)[1])
        covered = np.array([_covered(one, regions) for one in boxes])
        keep = (owner != MISSED) | (covered < 0.5 * _sizes(boxes)) | (_sizes(boxes) == 0)
    return ScanMatches(scores[keep], owner[keep], len(lesions), patient)


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of boxes (n, 2 dims) and (m, 2 dims): (n, m)."""
    shared = _shared(a, b)
    union = _sizes(a)[:, None] + _sizes(b)[None] - shared
    return np.asarray(np.where(union > 0, shared / np.maximum(union, 1e-300), 0.0))


def merged_points(points: np.ndarray, scores: np.ndarray, *, within_mm: np.ndarray | float) -> np.ndarray:
    """Numbers of the points that stay, the surest first, when each takes away the less sure ones within `within_mm` of it.

    So a lesion that several slices show is one finding of the scan. `within_mm` may be given for each point.
    """
    order = np.argsort(-scores, kind="stable")
    reach = np.broadcast_to(np.asarray(within_mm, float), (len(points),))
    gone, kept = np.zeros(len(points), bool), []
    for n in order:
        if gone[n]:
            continue
        kept.append(n)
        gone |= np.linalg.norm(points - points[n], axis=1) <= reach[n]
    return np.array(kept, int)


def _shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    dims = a.shape[1] // 2
    low = np.maximum(a[:, None, :dims], b[None, :, :dims])
    high = np.minimum(a[:, None, dims:], b[None, :, dims:])
    return np.asarray(np.clip(high - low, 0, None).prod(2))


def _covered(box: np.ndarray, regions: np.ndarray) -> float:
    """How much of a box (2 dims,) lies in regions (m, 2 dims): where regions overlap it counts once."""
    dims = len(box) // 2
    low, high = np.maximum(regions[:, :dims], box[:dims]), np.minimum(regions[:, dims:], box[dims:])
    there = (high > low).all(1)
    low, high = low[there], high[there]
    if len(low) < 2:
        return float((high - low).prod(1).sum())
    edges = [np.unique(np.r_[low[:, axis], high[:, axis]]) for axis in range(dims)]
    inside = np.zeros([len(one) - 1 for one in edges], bool)
    for first, last in zip(low, high, strict=True):
        inside[
            tuple(slice(*np.searchsorted(e, ends)) for e, ends in zip(edges, zip(first, last, strict=True), strict=True))
        ] = 1
    sizes = inside.astype(float)
    for axis, one in enumerate(edges):
        sizes *= np.diff(one).reshape([-1 if k == axis else 1 for k in range(dims)])
    return float(sizes.sum())


def _sizes(boxes: np.ndarray) -> np.ndarray:
    dims = boxes.shape[1] // 2
    return np.asarray(np.clip(boxes[:, dims:] - boxes[:, :dims], 0, None).prod(1))


def _flat(found: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, ...]:
    one, other = np.asarray(found, float), np.asarray(true, float)
    shapes = [a.shape[1] for a in (one, other) if a.ndim == 2]
    width = shapes[0] if shapes else 2
    both = tuple(a.reshape(0, width) if not a.size else a for a in (one, other))
    if any(a.ndim != 2 or a.shape[1] != width for a in both):
        raise GeometryError(f"findings and lesions expect as many numbers each, got {one.shape} and {other.shape}")
    if not all(np.isfinite(a).all() for a in both):
        raise InputError("findings and lesions expect places that are finite numbers: one at NaN would never be found")
    return both


def _reach(radii: np.ndarray, count: int) -> np.ndarray:
    """Radii above 0, one for each lesion."""
    found = np.asarray(radii, float)
    if found.shape != (count,):
        raise GeometryError(f"{count} lesions expect a radius each, got shape {found.shape}")
    usable = np.isfinite(found) & (found > 0)
    if not usable.all():
        raise InputError(f"lesions expect finite radii above 0, got {found[~usable][0]:g}: nothing could find such a lesion")
    return found


def _edges(*boxes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Boxes whose low edges come first."""
    for one in boxes:
        dims = one.shape[1] // 2
        turned = (one[:, dims:] < one[:, :dims]).any(1)
        if turned.any():
            raise InputError(f"boxes expect low edges, then high edges, got {one[turned][0].tolist()}")
    return boxes


def _checked(scores: np.ndarray, count: int) -> np.ndarray:
    scores = np.asarray(scores, float)
    if scores.shape != (count,) or np.isnan(scores).any():
        raise InputError(f"{count} findings expect a score each that is a number, got shape {scores.shape}")
    return scores
