"""A label map put on the samples of a case: as it is, or by the nearest label when asked, and never from another place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import FileFormatError, GeometryError
from taskct.data.case import Case
from taskct.data.overlap import loss_notes
from taskct.data.volume import Volume

SAME_GRID_VOXELS = 0.05  # corners may differ by 5 % of a voxel: DICOM rounds to text, NIfTI to float32; both stay below 1 %
LEAST_OVERLAP = 0.51  # of the smaller of label map and CT: with less they are not of one place, and half is less
_MOST_LABEL = 2**31 - 1
_LOOKED_AT = 24  # samples along each axis by which an overlap is measured


def on_case(
    path: Path, volume: Volume, case: Case, *, resample: bool, names: Mapping[int, str] | None = None
) -> tuple[Tensor, list[str]]:
    """The labels of a volume on the case's samples, and notes.

    Raises GeometryError when they lie on other samples, unless `resample` takes the nearest: then when half or less of the
    smaller of label map and CT overlap, or no label lies in the CT. Classes that lose half of their volume are noted.
    """
    whole = _whole(volume.values, path)
    difference = grid_difference_voxels(volume, case)
    notes = [n for n in volume.notes if "unit of length" not in n]
    if difference <= SAME_GRID_VOXELS:
        return torch.from_numpy(whole), notes
    overlap = overlap_share(volume, case)
    if overlap < LEAST_OVERLAP:
        raise GeometryError(
            f"{path}: its labels lie elsewhere than the CT: {_away(volume, case)}; only {overlap:.0%} of the smaller one "
            "lies in the other; give the labels of this CT"
        )
    if not resample:
        raise GeometryError(
            f"{path}: its labels lie on other samples than the CT ({_describe(volume, case, difference)}); "
            "give the matching file, or take the nearest labels with resample_labels=True"
        )
    labels = _nearest(whole, volume, case)
    before, after = _volumes_mm3(whole, volume.affine_mm), _volumes_mm3(labels, case.affine_mm)
    if before and not after:
        raise GeometryError(
            f"{path}: none of its labelled voxels lies in the CT: {_away(volume, case)}; give the labels of this CT"
        )
    if volume.values.shape == tuple(case.hu.shape) and difference > 1:
        notes.append(
            f"labels of {path.name} have as many samples as the CT along each axis, but lie elsewhere: {_away(volume, case)}; "
            "check that neither header has lost its position or spacing"
        )
    notes += [f"labels of {path.name} were resampled (nearest)", *loss_notes(before, after, names or {}, by="resampling")]
    return torch.from_numpy(labels), notes


def overlap_share(volume: Volume, case: Case) -> float:
    """The part of the smaller box, that of the label map or that of the CT, which lies in the other; 0 to 1."""
    assert case.affine_mm is not None
    shape = tuple(case.hu.shape)
    return max(
        _share_within(volume.values.shape, volume.affine_mm, shape, case.affine_mm),
        _share_within(shape, case.affine_mm, volume.values.shape, volume.affine_mm),
    )


def _share_within(shape: tuple[int, ...], affine: np.ndarray, other: tuple[int, ...], other_affine: np.ndarray) -> float:
    """The part of a grid of voxels that lies within another one."""
    axes = [(np.arange(_LOOKED_AT) + 0.5) / _LOOKED_AT * n - 0.5 for n in shape]
    at = np.stack([a.ravel() for a in (*np.meshgrid(*axes, indexing="ij"), np.ones([_LOOKED_AT] * 3))])
    index = (np.linalg.inv(other_affine) @ affine @ at)[:3]
    limits = np.array(other)[:, None]
    return float(((index >= -0.5) & (index <= limits - 0.5)).all(0).mean())


def _away(volume: Volume, case: Case) -> str:
    middle = lambda shape, affine: (affine @ [*((n - 1) / 2 for n in shape), 1.0])[:3]
    apart = middle(volume.values.shape, volume.affine_mm) - middle(case.hu.shape, case.affine_mm)
    z, y, x = (float(v) for v in apart)
    return f"their middles are {np.linalg.norm(apart):.0f} mm apart (x {x:+.0f}, y {y:+.0f}, z {z:+.0f})"


def _volumes_mm3(labels: np.ndarray, affine_mm: np.ndarray | None) -> dict[int, float]:
    assert affine_mm is not None
    voxel = float(abs(np.linalg.det(affine_mm[:3, :3])))
    numbers, counts = np.unique(labels, return_counts=True)
    return {int(n): voxel * int(c) for n, c in zip(numbers, counts, strict=True) if n != 0}


def grid_difference_voxels(volume: Volume, case: Case) -> float:
    """How far the farthest corner of a volume lies from the same corner of the case, in its smallest voxel side."""
    if volume.values.shape != tuple(case.hu.shape):
        return float("inf")
    assert case.affine_mm is not None
    last = [n - 1 for n in case.hu.shape]
    corners = np.array([[i, j, k, 1] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])]).T
    apart_mm = np.linalg.norm(((volume.affine_mm - case.affine_mm) @ corners)[:3], axis=0).max()
    return float(apart_mm / min(case.spacing_mm))


def _whole(values: np.ndarray, path: Path) -> np.ndarray:
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            if not (values == np.round(values)).all():
                raise FileFormatError(f"{path}: labels must be whole numbers, got values such as {_first_broken(values):g}")
    low, high = values.min(), values.max()
    if low < 0 or high > _MOST_LABEL:
        raise FileFormatError(f"{path}: labels must be 0 (background) or more, got {low:g} to {high:g}")
    return values.astype(np.int16 if high <= np.iinfo(np.int16).max else np.int32)


def _first_broken(values: np.ndarray) -> float:
    return float(values[values != np.round(values)][0])


def _nearest(labels: np.ndarray, volume: Volume, case: Case) -> np.ndarray:
    """For each sample of the case the label of the nearest sample of the volume; 0 (background) outside."""
    assert case.affine_mm is not None
    to_index = np.linalg.inv(volume.affine_mm) @ case.affine_mm  # case index (z, y, x, 1) -> label index
    out = np.zeros(tuple(case.hu.shape), dtype=labels.dtype)
    y, x = np.meshgrid(np.arange(case.hu.shape[1]), np.arange(case.hu.shape[2]), indexing="ij")
    limits = np.array(labels.shape)[:, None, None]
    for z in range(len(out)):
        place = to_index[:3, 0, None, None] * z + to_index[:3, 1, None, None] * y + to_index[:3, 2, None, None] * x
        index = np.floor(place + to_index[:3, 3, None, None] + 0.5).astype(np.int64)
        inside = ((index >= 0) & (index < limits)).all(0)
        k, j, i = (np.clip(a, 0, n - 1) for a, n in zip(index, labels.shape, strict=True))
        out[z] = np.where(inside, labels[k, j, i], 0)
    return out


def _describe(volume: Volume, case: Case, difference: float) -> str:
    if volume.values.shape != tuple(case.hu.shape):
        return f"{volume.values.shape} samples instead of {tuple(case.hu.shape)}"
    return f"up to {difference:.2g} voxels apart, {SAME_GRID_VOXELS:g} allowed"
