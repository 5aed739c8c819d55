"""Labels on the samples of a case: checked to be there, resampled only when asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import FileFormatError, GeometryError, InputError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, existing_path
from taskct.data.case import Case
from taskct.data.formats import kind_of, read_volume, volume_files
from taskct.data.sets.chaos import CHAOS_LABELS, read_chaos_masks
from taskct.data.volume import Volume, stem

SAME_GRID_VOXELS = 0.05  # corners may differ by 5 % of a voxel: DICOM rounds to text, NIfTI to float32; both stay below 1 %
_MOST_LABEL = 2**31 - 1


def read_labels(
    path: str | os.PathLike[str],
    case: Case,
    *,
    names: Mapping[int, str] | None = None,
    resample: bool = False,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> tuple[Tensor, dict[int, str], list[str]]:
    """Labels of a case -> (whole numbers (Z, Y, X) as int16 or int32, their names, what was odd).

    `path` is a NIfTI, MetaImage or NRRD label map, a DICOM SEG, a folder of masks, one file per organ (named by its file,
    numbered in the order of names), or the Ground folder of a CHAOS case. The labels must lie on the case's samples
    (corners within 5 % of a voxel); otherwise GeometryError, unless `resample` takes the nearest label for each sample.
    Values must be whole and not negative.
    """
    found = existing_path(path, what="labels")
    if found.is_dir() and (found.parent / "DICOM_anon").is_dir():
        labels, notes = _on_case(found, read_chaos_masks(found, found.parent / "DICOM_anon"), case, resample=resample)
        own_names = dict(CHAOS_LABELS)
    elif found.is_dir():
        labels, own_names, notes = _read_masks(found, case, resample=resample, limit_bytes=limit_bytes)
    elif kind_of(found) == "dicom":
        from taskct.data.dicom.seg import read_seg

        labels, own_names = read_seg(found, case)
        notes = []
    else:
        labels, notes = _on_case(found, read_volume(found, limit_bytes=limit_bytes), case, resample=resample)
        own_names = {}
    return labels, {**own_names, **(names or {})}, notes


def _read_masks(folder: Path, case: Case, *, resample: bool, limit_bytes: int) -> tuple[Tensor, dict[int, str], list[str]]:
    """One mask per organ -> one label map; where masks overlap the later name wins, and that is noted."""
    files = volume_files(folder)
    if not files:
        raise InputError(f"{folder}: holds no label files (NIfTI, MetaImage or NRRD)")
    total = torch.zeros(case.hu.shape, dtype=torch.int16)
    names: dict[int, str] = {}
    notes: list[str] = []
    overlap = 0
    for number, file in enumerate(files, start=1):
        mask, odd = _on_case(file, read_volume(file, limit_bytes=limit_bytes), case, resample=resample)
        if int(mask.max()) > 1:
            raise UnsupportedDataError(
                f"{file}: expected a mask of 0 and 1 in a folder of masks, got labels to {int(mask.max())}"
            )
        inside = mask > 0
        overlap += int((inside & (total > 0)).sum())
        total[inside] = number
        names[number] = stem(file)
        notes += odd
    if overlap:
        notes.append(f"{overlap} voxels lie in more than one mask of {folder.name}; the last by name was taken")
    return total, names, list(dict.fromkeys(notes))


def _on_case(path: Path, volume: Volume, case: Case, *, resample: bool) -> tuple[Tensor, list[str]]:
    values = volume.values
    whole = _whole(values, path)
    difference = grid_difference_voxels(volume, case)
    notes = [n for n in volume.notes if "unit of length" not in n]
    if difference <= SAME_GRID_VOXELS:
        return torch.from_numpy(whole), notes
    if not resample:
        raise GeometryError(
            f"{path}: its labels lie on other samples than the CT ({_describe(volume, case, difference)}); "
            "give the matching file, or take the nearest labels with resample_labels=True"
        )
    return torch.from_numpy(_nearest(whole, volume, case)), [*notes, f"labels of {path.name} were resampled (nearest)"]


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
