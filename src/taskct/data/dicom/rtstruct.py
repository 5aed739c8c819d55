"""RTSTRUCT contours -> labels on the samples of a case.

A contour is a closed polygon in the plane of one CT slice. A pixel belongs to a region when its centre lies inside by the
even-odd rule over all contours of the region in that slice, so a contour within a contour is a hole, and so is what two
overlapping ones share. Where regions overlap (a body outline holds every organ) the smaller one has the voxel.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydicom.dataset import Dataset
from torch import Tensor

from taskct.core.errors import FileFormatError, GeometryError, TaskctError, UnsupportedDataError
from taskct.core.files import existing_path
from taskct.core.names import plural
from taskct.data.case import Case
from taskct.data.dicom.identity import same_uid
from taskct.data.dicom.label_objects import kind_of_object
from taskct.data.dicom.parse import DicomFile, open_header, reason, short
from taskct.data.dicom.values import integer, items, text, value
from taskct.data.overlap import Painting

OFF_PLANE_SLICES = 0.25  # how far a contour may lie from the slice that it is drawn on; positions are rounded texts
_NOTED_OFF_PLANE = 0.05
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_MOST_POINTS = 20_000_000
_MOST_LABEL = 32767


def read_rtstruct(path: str | os.PathLike[str], case: Case) -> tuple[Tensor, dict[int, str], list[str]]:
    """Labels of an RTSTRUCT file on the case: int16 (Z, Y, X) of region numbers, 0 outside, the names, and notes.

    Regions are numbered by ROINumber where these are 1 to 32767, else in their order. Points and open contours have no
    inside and are left out, with a note.

    Raises GeometryError when a contour lies between slices or across them, or belongs to another frame of reference,
    UnsupportedDataError when the file has no closed contour, FileFormatError for damaged files.
    """
    file = open_header(existing_path(path, what="labels"))
    path = file.path
    if kind_of_object(file) != "RTSTRUCT":
        raise UnsupportedDataError(f"{path}: not an RTSTRUCT (modality {short(text(path, file.header, 'Modality'))})")
    regions = _regions(file)
    _check_frame_of_reference(file, case)
    painting = Painting(tuple(case.hu.shape))
    notes: list[str] = []
    names: dict[int, str] = {}
    off, left_out, outside, drawn = 0.0, 0, 0, 0
    for number, name, contours in regions:
        names[number] = name
        slices: dict[int, list[np.ndarray]] = {}
        for kind, points in contours:
            if kind not in _CLOSED:
                left_out += 1
                continue
            drawn += 1
            at = _indices(case, points)
            plane = float(at[:, 0].mean())
            away = float(np.abs(at[:, 0] - np.rint(plane)).max())
            off = max(off, away)
            if away > OFF_PLANE_SLICES:
                raise GeometryError(
                    f"{path}: a contour of {name} lies {away:.2g} slices beside a slice of the CT (allowed "
                    f"{OFF_PLANE_SLICES}), or is drawn across slices; give the RTSTRUCT of this series"
                )
            if 0 <= round(plane) < len(case.hu):
                slices.setdefault(round(plane), []).append(at[:, 1:])
            else:
                outside += 1
        mask = np.zeros(tuple(case.hu.shape), bool)
        for z, polygons in slices.items():
            mask[z] = even_odd(polygons, (mask.shape[1], mask.shape[2]))
        painting.add(number, mask)
        notes += _gap_notes(name, sorted(slices))
    if not drawn:
        raise UnsupportedDataError(f"{path}: holds no closed contour ({left_out} points or open ones); nothing has an inside")
    if outside == drawn:
        raise GeometryError(f"{path}: all {drawn} contours lie outside the CT's slices; give the RTSTRUCT of this series")
    if left_out:
        notes.append(
            f"{plural(left_out, 'contour that is a point or open was', 'contours that are points or open were')} left out"
        )
    if outside:
        notes.append(f"{outside} of {drawn} contours lie outside the CT's slices and were left out")
    if off > _NOTED_OFF_PLANE:
        notes.append(f"contours lie up to {off:.2g} slices beside the slices they were drawn on")
    return torch.from_numpy(painting.labels), names, [*notes, *painting.notes(names, of="regions")]


def even_odd(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centres lie inside by the even-odd rule: closed polygons of (row, column) points -> bool (rows, columns).

    A centre exactly on an edge belongs to the side of rising row and column, so that polygons which share an edge share no
    pixel.

    >>> square = np.array([[0.5, 0.5], [0.5, 3.5], [3.5, 3.5], [3.5, 0.5]])
    >>> even_odd([square], (5, 5)).sum(), even_odd([square, square + [1, 1]], (6, 6)).sum()
    (np.int64(9), np.int64(10))
    """
    rows, cols = shape
    crossings = np.zeros((rows, cols + 1), np.int64)  # how many edges cross a row at or before a column
    for polygon in polygons:
        start, end = polygon, np.roll(polygon, -1, axis=0)
        low, high = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
        first = np.clip(np.ceil(low), 0, rows).astype(np.int64)  # rows r with low <= r < high
        last = np.clip(np.ceil(high), 0, rows).astype(np.int64)
        count = last - first
        edge = np.repeat(np.arange(len(polygon)), count)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        part = (row - start[edge, 0]) / (end[edge, 0] - start[edge, 0])
        column = start[edge, 1] + part * (end[edge, 1] - start[edge, 1])
        np.add.at(crossings, (row, np.clip(np.ceil(column), 0, cols).astype(np.int64)), 1)
    return (np.cumsum(crossings, axis=1)[:, :cols] % 2).astype(bool)


def _indices(case: Case, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) of the patient's (x, y, z) in mm -> array indices (z, y, x)."""
    assert case.affine_mm is not None
    to_index = np.linalg.inv(case.affine_mm)
    return points[:, ::-1] @ to_index[:3, :3].T + to_index[:3, 3]


def _regions(file: DicomFile) -> list[tuple[int, str, list[tuple[str, np.ndarray]]]]:
    """(number, name, [(kind of contour, points (n, 3) in mm)]) of each region that has contours."""
    path = file.path
    names = {}
    for item in items(path, file.header, "StructureSetROISequence"):
        number = integer(path, item, "ROINumber")
        names[number] = text(path, item, "ROIName") or f"region {number}"
    found = []
    total = 0
    for item in items(path, file.header, "ROIContourSequence"):
        number = integer(path, item, "ReferencedROINumber")
        if number not in names:
            raise FileFormatError(f"{path}: contours refer to region {number}, which is not described; the file is damaged")
        contours = []
        for contour in items(path, item, "ContourSequence"):
            points = _points(path, contour)
            total += len(points)
            if total > _MOST_POINTS:
                raise FileFormatError(f"{path}: more than {_MOST_POINTS} points; the file is damaged or hostile")
            contours.append((text(path, contour, "ContourGeometricType").upper(), points))
        found.append((number, names[number], contours))
    if not found:
        raise UnsupportedDataError(f"{path}: holds no contours (ROIContourSequence is empty); draw some, or give other labels")
    numbers = [number for number, _, _ in found]
    if len(set(numbers)) < len(numbers):
        raise FileFormatError(f"{path}: two lists of contours for one region; the file is damaged")
    if not all(number is not None and 1 <= number <= _MOST_LABEL for number in numbers):
        numbers = list(range(1, len(found) + 1))
    return [(int(n or 0), name, contours) for n, (_, name, contours) in zip(numbers, found, strict=True)]


def _points(path: Path, contour: Dataset) -> np.ndarray:
    """ContourData (n, 3); read from its text at once, since a file may hold millions of numbers."""
    try:
        raw = contour.get_item("ContourData") if "ContourData" in contour else None
        stored = getattr(raw, "value", None)
        numbers = (
            np.array(stored.split(b"\\"), dtype=np.float64)
            if isinstance(stored, bytes)
            else np.array(value(path, contour, "ContourData") or [], dtype=np.float64)
        )
    except TaskctError:
        raise
    except Exception as error:  # pydicom raises for damaged elements, numpy for text that is not a number
        raise FileFormatError(f"{path}: ContourData cannot be read ({reason(error)}); the file is damaged") from error
    if numbers.size == 0 or numbers.size % 3 or not np.isfinite(numbers).all():
        raise FileFormatError(f"{path}: a contour has {numbers.size} numbers, expected finite x, y, z of each point")
    told = integer(path, contour, "NumberOfContourPoints")
    if told is not None and told != numbers.size // 3:
        raise FileFormatError(f"{path}: a contour of {told} points has {numbers.size // 3}; the file is damaged")
    return numbers.reshape(-1, 3)


def _check_frame_of_reference(file: DicomFile, case: Case) -> None:
    path, header = file.path, file.header
    ours = str(case.provenance.get("frame_of_reference_uid") or "")
    theirs = {text(path, i, "ReferencedFrameOfReferenceUID") for i in items(path, header, "StructureSetROISequence")}
    theirs |= {text(path, i, "FrameOfReferenceUID") for i in items(path, header, "ReferencedFrameOfReferenceSequence")}
    theirs -= {""}
    if ours and theirs and not any(same_uid(ours, uid) for uid in theirs):
        raise GeometryError(
            f"{path}: its FrameOfReferenceUID {sorted(theirs)[0]} is not that of the CT: positions cannot be compared; "
            "give the RTSTRUCT of this series"
        )


def _gap_notes(name: str, slices: list[int]) -> list[str]:
    """A sentence when slices between contoured ones have no contour: they stay empty, though the organ may go through."""
    missing = (slices[-1] - slices[0] + 1 - len(slices)) if slices else 0
    return [
        f"{name}: {plural(missing, 'slice', 'slices')} between its contours "
        f"{'has none and stays' if missing == 1 else 'have none and stay'} empty"
    ] * bool(missing)
