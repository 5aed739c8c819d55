"""How much of each voxel of a CT a lesion covers: slices have a thickness, voxels are averaged over sub-samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.phantoms.lesions.record import Lesion, lesion_distance

_BUILT_IN = "built-in "  # how the source of a built-in patient begins: their slices are thin, however far apart they are
_MOST_PARTS = 16
Window = tuple[slice, slice, slice]
Distance = Callable[[Lesion, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def cover_of(
    case: Case, lesion: Lesion, window: Window, thickness_mm: float, *, distance_to: Distance = lesion_distance
) -> tuple[np.ndarray, np.ndarray]:
    """(share of each voxel in `window` that the lesion covers, share of the radius at its centre)."""
    sizes = [thickness_mm, *case.spacing_mm[1:]]
    parts = [min(max(1, round(s)), _MOST_PARTS) for s in sizes]  # sub-samples about a millimetre apart
    width = np.hypot(min(s / p for s, p in zip(sizes[1:], parts[1:], strict=True)), lesion.edge_mm)
    index = [np.arange(s.start, s.stop, dtype=np.float64) for s in window]
    total = np.zeros([len(i) for i in index], np.float32)
    for kz in range(parts[0]):
        for ky in range(parts[1]):
            for kx in range(parts[2]):
                shift = [
                    ((k + 0.5) / p - 0.5) * size / step  # in voxels
                    for k, p, size, step in zip((kz, ky, kx), parts, sizes, case.spacing_mm, strict=True)
                ]
                distance, _ = distance_to(lesion, *places(case, index, shift))
                total += np.clip(0.5 - distance / width, 0, 1)
    _, share = lesion_distance(lesion, *places(case, index, [0.0, 0.0, 0.0]))
    return total / np.prod(parts), share


def slice_thickness(case: Case, given_mm: float | None) -> float:
    """What a slice averages over: as given, as recorded, or the distance of slices."""
    if given_mm is not None:
        if not 0 <= given_mm <= 50:
            raise InputError(f"expected slice_thickness_mm from 0 (thin) to 50, got {given_mm!r}")
        return float(given_mm)
    if str(case.provenance.get("source", "")).startswith(_BUILT_IN):
        return 0.0
    recorded = case.provenance.get("slice_thickness_mm")
    return float(recorded) if isinstance(recorded, int | float) and recorded > 0 else case.spacing_mm[0]


def places(case: Case, index: list[np.ndarray], shift: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z in mm of the voxels at `index` (per axis), moved by `shift` voxels."""
    assert case.affine_mm is not None
    i = np.meshgrid(*(a + s for a, s in zip(index, shift, strict=True)), indexing="ij")
    a = case.affine_mm
    z, y, x = (sum(a[row, k] * i[k] for k in range(3)) + a[row, 3] for row in range(3))
    return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)


def window_of(case: Case, lesion: Lesion, thickness_mm: float, *, reach: float = 1.6) -> Window:
    """The voxels that a lesion may reach: `reach` times its longest semi-axis."""
    at = index_of(case, lesion.centre_mm)
    far_mm = reach * max(lesion.semi_axes_mm) + 2 * lesion.edge_mm
    around = [(far_mm + more) / s + 2 for s, more in zip(case.spacing_mm, (thickness_mm / 2, 0.0, 0.0), strict=True)]
    spans = [slice(max(0, int(i - r)), min(n, int(i + r) + 2)) for i, r, n in zip(at, around, case.hu.shape, strict=True)]
    return spans[0], spans[1], spans[2]


def index_of(case: Case, place_mm: tuple[float, float, float]) -> np.ndarray:
    """Where a place (z, y, x) in mm lies, in voxels with fractions; InputError unless it is three finite numbers."""
    assert case.affine_mm is not None
    if len(place_mm) != 3 or not all(math.isfinite(v) for v in place_mm):
        raise InputError(f"case {case.case_id}: a place expects three finite numbers (z, y, x) in mm, got {tuple(place_mm)}")
    return np.asarray(np.linalg.solve(case.affine_mm, np.array([*place_mm, 1.0]))[:3])
