"""Views that are each other's mirror images or quarter turns: one set of rays serves four, each in its own turned image.

A turn of a grid onto itself is coded in three bits: 1 exchanges y and x, then 2 reverses y, then 4 reverses x. The turned
image is L[y, x] = f[turn(y, x)], so the rays of a view in L are those of the turned view in f.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.geometry import Grid, Poses

# Four lanes to choose from: quarter turns; a quarter turn and mirrors (parallel rays, whose half turn is the same scan); the
# mirrors of an oblong grid; the mirrors at the diagonals.
LANES = ((0, 3, 6, 5), (0, 3, 4, 1), (0, 2, 4, 6), (0, 1, 7, 6))
_HALF = 6  # a turn
_MIRRORS = (0, 2, 4, 6)  # which an oblong grid has
_SAME = 1e-7  # samples between rays that count as one
_FAR = 1e9  # samples; positions beyond are not told apart to _SAME
_MOST_VIEWS = 32768  # the search takes 40 us a view, more than it gains where so many are scanned once
_ENOUGH = 0.75  # of the lanes must be filled, or four views at a time do not pay


@dataclass(frozen=True, eq=False)
class Quads:
    """Views by fours: `views` (Q, 4), the lead first and -1 where a lane is empty; `backwards` (Q, 4), whether the detector
    of a view runs against its lead's; `turns` (4,), of the image in each lane.

    `halves`: the rays of half a detector are those of the other half. In two dimensions half a turn takes every view to
    itself, backwards; in three the mirror in z does, and exchanges the rows.
    """

    turns: tuple[int, ...]
    views: np.ndarray
    backwards: np.ndarray
    halves: bool


def quads(grid: Grid, poses: Poses) -> Quads | None:
    """The views of a scan by fours, or None where too few of them have twins.

    Turns are those of the (y, x) plane; in three dimensions the detector's rows have to step along z.
    """
    if poses.views > _MOST_VIEWS or not _upright(poses):
        return None
    (ny, nx), (dy, dx) = grid.shape[-2:], grid.spacing_mm[-2:]
    square = ny == nx and dy == dx and not (grid.ndim == 3 and _meets_a_diagonal(poses))
    lanes = [four for four in LANES if square or set(four) <= set(_MIRRORS)]
    twins = {turn: _twins(grid, poses, turn) for turn in sorted({t for four in lanes for t in four})}
    order = _along_y_first(poses)
    if grid.ndim == 3:
        halves = _level(grid, poses)
    else:
        own = (twins[_HALF][0] == np.arange(poses.views)) & twins[_HALF][1]
        halves = poses.source_mm is None and bool(own.all())
    best = min((_by_fours(four, twins, order, halves) for four in lanes), key=lambda q: len(q.views))
    return best if (best.views >= 0).mean() >= _ENOUGH else None


def turned(vectors: np.ndarray, turn: int) -> np.ndarray:
    """Vectors (..., 2), y and x about the grid's centre, where `turn` takes them."""
    vectors = vectors[..., ::-1] if turn & 1 else vectors
    return vectors * np.array([-1.0 if turn & 2 else 1.0, -1.0 if turn & 4 else 1.0])


def _upright(poses: Poses) -> bool:
    """Whether columns, and parallel rays, lie in planes of constant z, and rows step along z."""
    flat = poses.col_step_mm[:, 0] if poses.direction is None else np.stack([poses.col_step_mm[:, 0], poses.direction[:, 0]])
    return not flat.any() and not poses.row_step_mm[:, 1:].any()


def _level(grid: Grid, poses: Poses) -> bool:
    """Whether the middle rows of all views lie in the middle plane of the grid: the other rows are mirror images in pairs."""
    middle, *centre = _centre(grid)
    heights = [a[:, 0] for a in (poses.detector_mm, poses.source_mm) if a is not None]
    off = np.abs(np.stack(heights) - middle).max()
    return bool(off * _magnified(poses, np.array(centre)) <= _SAME * min(grid.spacing_mm))


def _centre(grid: Grid) -> np.ndarray:
    """The middle of the grid, mm."""
    return np.array(grid.origin_mm) + (np.array(grid.shape) - 1) / 2 * np.array(grid.spacing_mm)


def _meets_a_diagonal(poses: Poses) -> bool:
    """Whether a divergent ray lies on a diagonal of (y, x): there y is the main axis, and where y and x are exchanged it is x;
    the two sums differ where the ray rises."""
    if poses.source_mm is None:
        return False
    middle = (poses.detector_mm - poses.source_mm)[:, None, 1:]
    j = np.arange(poses.cols)[None, :, None] - (poses.cols - 1) / 2
    step = np.linalg.norm(poses.col_step_mm, axis=1)[:, None, None]
    if poses.curved:
        radius = np.linalg.norm(middle, axis=2, keepdims=True)
        gamma = poses.curved_offset_rad + j * step / radius
        rays = np.cos(gamma) * middle / radius + np.sin(gamma) * (poses.col_step_mm[:, None, 1:] / step)
    else:
        rays = middle + j * poses.col_step_mm[:, None, 1:]
    y, x = np.abs(rays[..., 0]), np.abs(rays[..., 1])
    return bool((np.abs(y - x) <= 1e-7 * np.maximum(y, x)).any())


def _twins(grid: Grid, poses: Poses, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """For each view the one that has its rays after `turn`, or -1; and whether that one's detector runs backwards."""
    centre = _centre(grid)[-2:]
    first = poses.direction if poses.source_mm is None else poses.source_mm
    assert first is not None
    about = 0.0 if poses.source_mm is None else centre
    half = poses.cols / 2, poses.rows / 2  # steps count as often as they lead to the last pixel
    vectors = np.stack([first[:, 1:] - about, poses.detector_mm[:, 1:] - centre, half[0] * poses.col_step_mm[:, 1:]], 1)
    heights = np.stack([first[:, 0], poses.detector_mm[:, 0], half[1] * poses.row_step_mm[:, 0]], 1)
    per = _magnified(poses, centre) / min(grid.spacing_mm)
    vectors, heights = vectors * per, heights * per
    if max(np.abs(vectors).max(), np.abs(heights).max()) > _FAR:
        return np.full(poses.views, -1), np.zeros(poses.views, dtype=bool)
    there = turned(vectors, turn)
    known = _keys(poses, vectors, heights)
    ahead = _find(known, _keys(poses, there, heights))
    if poses.curved and poses.curved_offset_rad:
        return ahead, np.zeros(len(ahead), dtype=bool)  # the arc's middle is not its detector's
    there[:, 2] *= -1
    back = _find(known, _keys(poses, there, heights))
    return np.where(ahead >= 0, ahead, back), ahead < 0


def _magnified(poses: Poses, centre: np.ndarray) -> float:
    """How much farther apart rays get at the image than at the detector, at most; 1 or more."""
    if poses.source_mm is None:
        return 1.0
    to_detector = np.linalg.norm(poses.detector_mm - poses.source_mm, axis=1)
    to_image = np.linalg.norm(poses.source_mm[:, 1:] - centre, axis=1)
    return max(1.0, float((to_image / to_detector).max()))


def _keys(poses: Poses, vectors: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """(V, 9) whole numbers, the same for the same rays; of parallel rays neither the sense nor the place along them counts."""
    if poses.source_mm is not None:
        found = vectors.reshape(len(vectors), -1)
    else:
        y, x = vectors[:, 0].T / np.linalg.norm(vectors[:, 0], axis=1)
        normal = np.stack([-x, y], 1)
        across = [(vectors[:, i] * normal).sum(1, keepdims=True) * normal for i in (1, 2)]
        found = np.concatenate([np.stack([y * y - x * x, 2 * y * x], 1) * 1e3, *across], 1)
    found = np.concatenate([found, heights], 1)
    return np.floor(found / _SAME + 0.3183).astype(np.int64)  # round numbers fall well within a step


def _find(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The row of `known` that each row of `wanted` equals, or -1."""
    mixed = np.random.default_rng(0).integers(1, 2**62, known.shape[1]) * 2 + 1
    have, want = known @ mixed, wanted @ mixed  # whole numbers that wrap round
    order = np.argsort(have, kind="stable")
    at = order[np.minimum(np.searchsorted(have[order], want), len(order) - 1)]
    return np.where((known[at] == wanted).all(1), at, -1)


def _along_y_first(poses: Poses) -> np.ndarray:
    """Views whose middle ray runs along y, then the others: leads of one kind meet the image's pixels in one order."""
    ray = poses.direction if poses.source_mm is None else poses.detector_mm - poses.source_mm
    assert ray is not None
    return np.argsort(np.abs(ray[:, 1]) < np.abs(ray[:, 2]) * (1 - 1e-6), kind="stable")


def _by_fours(four: Sequence[int], twins: dict[int, tuple[np.ndarray, np.ndarray]], order: np.ndarray, halves: bool) -> Quads:
    views = np.stack([twins[turn][0] for turn in four], 1).tolist()
    taken = [False] * len(views)
    found, leads = [], []
    for lead in order.tolist():
        if taken[lead]:
            continue
        row = [lead]
        for view in views[lead][1:]:
            row.append(view if view >= 0 and not taken[view] and view not in row else -1)
        for view in row:
            if view >= 0:
                taken[view] = True
        found.append(row)
        leads.append(lead)
    backwards = np.stack([twins[turn][1] for turn in four], 1)[leads]
    return Quads(tuple(four), np.array(found, dtype=np.int64), np.ascontiguousarray(backwards, dtype=np.uint8), halves)
