"""Which parts of a volume, a batch or a scan are shown: images with their titles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taskct.core.errors import InputError
from taskct.report.notebook.panels import MOST_PANELS, Panel

Slices = int | Sequence[int] | None
_FEW_SLICES = 8  # volumes of fewer are shown slice by slice, others in three planes


def of_batch(images: np.ndarray, title: str, aspect: float, labels: np.ndarray | None, slices: Slices) -> list[Panel]:
    """Images (N, Y, X): those that are asked for, or the first ones."""
    numbers = chosen(slices, len(images), "image")
    name = lambda k: title if len(images) == 1 else f"{title} {k}".strip() if title else f"image {k}"
    return [Panel(images[k], name(k), aspect, None if labels is None else labels[k]) for k in numbers]


def of_volume(
    volume: np.ndarray, title: str, spacing_mm: tuple[float, float, float], labels: np.ndarray | None, slices: Slices
) -> list[Panel]:
    """A volume (Z, Y, X): the slices asked for, all of a few, otherwise three planes through its middle (head up)."""
    z_mm, y_mm, x_mm = spacing_mm
    front = f"{title}, " if title else ""
    if slices is not None or len(volume) < _FEW_SLICES:
        numbers = chosen(slices, len(volume), "slice")
        pick = lambda k: None if labels is None else labels[k]
        return [Panel(volume[k], f"{front}slice {k}", y_mm / x_mm, pick(k)) for k in numbers]
    z, y, x = (n // 2 for n in volume.shape)
    cut = lambda a, where: None if a is None else a[where]
    up = slice(None, None, -1)
    planes = (
        (f"axial, slice {z}", (z,), y_mm / x_mm),
        (f"coronal, row {y}", (up, y), z_mm / x_mm),
        (f"sagittal, column {x}", (up, slice(None), x), z_mm / y_mm),
    )
    return [Panel(volume[where], front + words, aspect, cut(labels, where)) for words, where, aspect in planes]


def of_scan(p: np.ndarray, title: str, *, solid: bool, slices: Slices) -> list[Panel]:
    """Sinograms (N, V, C), views down and columns across; of a volume's scan (V, R, C) the middle row and three views."""
    if solid:
        views, rows, _ = p.shape
        front = f"{title}, " if title else ""
        panels = [_sinogram(p[:, rows // 2], f"{front}detector row {rows // 2}")]
        numbers = chosen(slices if slices is not None else sorted({0, views // 4, views // 2}), views, "view")
        return panels + [Panel(p[k, ::-1], f"{front}view {k}", 1.0, axes=("row", "column")) for k in numbers]
    numbers = chosen(slices, len(p), "sinogram")
    return [_sinogram(p[k], title if len(p) == 1 else f"{title} {k}".strip()) for k in numbers]


def _sinogram(values: np.ndarray, title: str) -> Panel:
    views, cols = values.shape
    return Panel(values, title, aspect=cols / views, axes=("view", "column"))


def chosen(slices: Slices, count: int, what: str) -> list[int]:
    """Numbers of the parts that are shown, at most MOST_PANELS; InputError for one that is not there."""
    if slices is None:
        return list(range(min(count, MOST_PANELS)))
    numbers: list[object] = list(slices) if hasattr(slices, "__iter__") else [slices]
    if not numbers or len(numbers) > MOST_PANELS:
        raise InputError(f"show draws 1 to {MOST_PANELS} of the {count} {what}s at once, got {len(numbers)} numbers")
    whole = [int(k) for k in numbers if isinstance(k, int | np.integer) and -count <= k < count]
    if len(whole) < len(numbers):
        wrong = next(k for k in numbers if not isinstance(k, int | np.integer) or not -count <= k < count)
        raise InputError(f"there are {what}s 0 to {count - 1}, got {wrong!r}")
    return [k % count for k in whole]
