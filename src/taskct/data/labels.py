"""Labels of a case, from whatever holds them: on its samples, and none lost without a word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from taskct.core.errors import InputError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, existing_path
from taskct.data.case import Case
from taskct.data.formats import kind_of, read_volume, volume_files
from taskct.data.label_grid import on_case
from taskct.data.label_names import check_label_names, distinct_names
from taskct.data.overlap import Painting
from taskct.data.sets.chaos import CHAOS_LABELS, read_chaos_masks
from taskct.data.volume import Volume, stem

_Put = Callable[..., tuple[Tensor, list[str]]]  # (path, volume, names=) -> labels on the case, notes
_Found = tuple[Tensor, dict[int, str], list[str]]
_MOST_NAMED = 3
EMPTY = "its label map labels no voxel: what it marks was taken as absent"


def read_labels(
    path: str | os.PathLike[str],
    case: Case,
    *,
    names: Mapping[int, str] | None = None,
    resample: bool = False,
    may_be_empty: bool = False,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> _Found:
    """Labels of a case -> (whole numbers (Z, Y, X) as int16 or int32, their names, what was odd).

    `path` is a NIfTI, MetaImage or NRRD label map, a DICOM SEG or RTSTRUCT, or a folder of one of these: a folder with one
    SEG or RTSTRUCT, of masks, one file per organ (named by its file, numbered in the order of names), of mask images, of one
    folder with mask images per organ (3D-IRCADb), or the Ground folder of a CHAOS case. The labels must lie on the case's
    samples (corners within 5 % of a voxel); otherwise GeometryError, unless `resample` takes the nearest label for each
    sample (see `label_grid.on_case`). Values must be whole and not negative; where masks overlap the smaller one has the
    voxel. Raises UnsupportedDataError for labels that label no voxel, unless they `may_be_empty`, which a note says: a map of
    lesions of a CT without any.
    """
    found = existing_path(path, what="labels")
    check_label_names(names or {}, who=f"names for {found}")
    put = partial(on_case, case=case, resample=resample)
    if found.is_dir() and (found.parent / "DICOM_anon").is_dir():
        labels, notes = put(found, read_chaos_masks(found, found.parent / "DICOM_anon"), names=CHAOS_LABELS)
        own_names = dict(CHAOS_LABELS)
    elif found.is_dir():
        labels, own_names, notes = _of_folder(found, case, put, limit_bytes)
    elif kind_of(found) == "dicom":
        labels, own_names, notes = _of_dicom_file(found, case, put, limit_bytes)
    else:
        labels, notes = put(found, read_volume(found, limit_bytes=limit_bytes), names=names or {})
        own_names = {}
    there = set(labels.unique().tolist()) - {0}
    if not there and not may_be_empty:
        raise UnsupportedDataError(f"{found}: labels no voxel of the CT (all are 0); give the labels of this CT, or none")
    if not there:
        notes = [*notes, EMPTY]
    empty = [name for number, name in own_names.items() if number not in there]
    if empty:
        more = f" and {len(empty) - _MOST_NAMED} more" if len(empty) > _MOST_NAMED else ""
        notes = [*notes, f"no voxel is labelled {', '.join(empty[:_MOST_NAMED])}{more}"]
    all_names, renamed = distinct_names(own_names, names or {})
    return labels, all_names, list(dict.fromkeys([*notes, *renamed]))


def _of_folder(folder: Path, case: Case, put: _Put, limit_bytes: int) -> _Found:
    """One SEG or RTSTRUCT, masks as volumes, or masks as series of images; never a guess between them."""
    from taskct.data.dicom.find import scan
    from taskct.data.dicom.label_objects import label_objects

    files = volume_files(folder)
    found = scan(folder)
    if found.damaged:
        raise found.damaged[0][1]
    objects = [file.path for file in label_objects(found)]
    if len(objects) + bool(files) > 1:
        there = ", ".join(p.name for p in [*objects, *files][:_MOST_NAMED])
        raise InputError(f"{folder}: several files may be the labels ({there}, ...); name one of them")
    if objects:
        return _of_dicom_file(objects[0], case, put, limit_bytes)
    if files:
        return _read_masks(folder, case, put, ((stem(f), f, partial(read_volume, f, limit_bytes=limit_bytes)) for f in files))
    if not found.series:
        raise InputError(
            f"{folder}: holds no label files (NIfTI, MetaImage, NRRD, DICOM SEG, RTSTRUCT, or mask images as DICOM)"
        )
    return _of_mask_images(folder, case, put, limit_bytes)


def _of_dicom_file(path: Path, case: Case, put: _Put, limit_bytes: int) -> _Found:
    from taskct.data.dicom.find import scan
    from taskct.data.dicom.label_objects import kind_of_object
    from taskct.data.dicom.mask_series import read_mask_series
    from taskct.data.dicom.parse import open_header
    from taskct.data.dicom.rtstruct import read_rtstruct
    from taskct.data.dicom.seg import read_seg
    from taskct.data.dicom.slice_headers import is_ct

    file = open_header(path)
    kind = kind_of_object(file)
    if kind == "RTSTRUCT":
        return read_rtstruct(path, case)
    if kind or not is_ct(file):
        return (*read_seg(path, case), [])  # which says what else it may be
    found = scan(path)
    labels, notes = put(path, read_mask_series(found, found.series[0], limit_bytes=limit_bytes))
    return labels, {}, notes


def _of_mask_images(folder: Path, case: Case, put: _Put, limit_bytes: int) -> _Found:
    """A folder of mask images, or of folders of them: one organ each, numbered in the order of their names."""
    from taskct.data.dicom.find import Series, scan_folder
    from taskct.data.dicom.mask_series import read_mask_series
    from taskct.data.sets.layouts import folders_below

    masks: list[tuple[str, Path, Callable[[], Volume]]] = []
    for place in [folder, *folders_below(folder)]:
        found = scan_folder(place)
        series: list[Series] = [s for s in found.series if any(f.has_pixels for f in s.files)]
        for number, one in enumerate(series, start=1):
            name = place.name if len(series) == 1 else one.description or f"{place.name}-{number}"
            masks.append((name, place, partial(read_mask_series, found, one, limit_bytes=limit_bytes)))
    if len(masks) == 1:
        name, place, read = masks[0]
        labels, notes = put(place, read())
        return labels, ({1: name} if labels.unique().tolist() == [0, 1] else {}), notes
    return _read_masks(folder, case, put, masks)


def _read_masks(folder: Path, case: Case, put: _Put, masks: Iterable[tuple[str, Path, Callable[[], Volume]]]) -> _Found:
    """One mask per organ -> one label map; where masks overlap the smaller one has the voxel, and that is noted."""
    painting = Painting(tuple(case.hu.shape))
    names: dict[int, str] = {}
    notes: list[str] = []
    for number, (name, path, read) in enumerate(masks, start=1):
        mask, odd = put(path, read(), names={1: name})
        if int(mask.max()) > 1:
            raise UnsupportedDataError(
                f"{path}: expected a mask of 0 and 1 in a folder of masks, got labels to {int(mask.max())}"
            )
        painting.add(number, (mask > 0).numpy())
        names[number] = name
        notes += odd
    return torch.from_numpy(painting.labels), names, [*notes, *painting.notes(names, of=f"masks of {folder.name}")]
