"""DICOM SEG -> labels on the samples of a case, placed by geometry alone."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydicom.dataset import Dataset
from torch import Tensor

from taskct.core.errors import FileFormatError, GeometryError, InputError, TaskctError, UnsupportedDataError
from taskct.core.files import check_array_size, existing_path
from taskct.core.names import plural
from taskct.data.case import Case
from taskct.data.dicom.identity import same_uid
from taskct.data.dicom.label_objects import LABEL_MAP, SEG
from taskct.data.dicom.parse import EXPLICIT_BIG, DicomFile, looks_like_dicom, open_header, open_whole, reason, short
from taskct.data.dicom.slice_headers import frame_count
from taskct.data.dicom.syntaxes import readable_syntax
from taskct.data.dicom.values import integer, items, numbers, text, value

SAME_PLACE_VOXELS = 0.05  # how far a SEG pixel may lie from the sample it labels; texts in DICOM are rounded to far less

_MOST_LABEL = 32767


def read_seg(path: str | os.PathLike[str], case: Case) -> tuple[Tensor, dict[int, str]]:
    """Labels of a DICOM SEG file on the case: int16 (Z, Y, X) of segment numbers, 0 outside, and the segments' names.

    Each frame is placed by its own position, orientation and spacing; flipped and reordered axes are followed, frames may
    be missing (nothing there) or smaller than a slice. Binary and label-map segmentations are read. A file need not be
    named: a folder that holds exactly one SEG will do.

    Raises GeometryError when a labelled pixel lies on no sample of the case, or the SEG belongs to another frame of
    reference; UnsupportedDataError for fractional or overlapping segments; FileFormatError for damaged files.
    """
    file = _open(existing_path(path, what="labels"))
    path = file.path
    _check_reference(file, case)
    names = _segment_names(file)
    masks = _frames(file)
    if int(masks.max()) > max(names, default=0):
        raise FileFormatError(
            f"{path}: labels to {masks.max()} where {plural(len(names), 'segment is', 'segments are')} described; "
            "the file is damaged"
        )
    labels = np.zeros(tuple(case.hu.shape), np.int16)
    overlaps: dict[tuple[int, int], int] = {}
    for place, segment, mask in zip(_places(file, len(masks)), _segment_numbers(file, len(masks)), masks, strict=True):
        pixels = np.array(np.nonzero(mask))
        if pixels.size == 0:
            continue
        at = samples(path, place, pixels, mask.shape, case)
        numbers_here = mask[tuple(pixels)].astype(np.int64) if segment is None else np.full(pixels.shape[1], segment)
        taken = labels[tuple(at)]
        clash = (taken != 0) & (taken != numbers_here)
        if clash.any():
            pair = (int(taken[clash][0]), int(numbers_here[clash][0]))
            overlaps[pair] = overlaps.get(pair, 0) + int(clash.sum())
        labels[tuple(at)] = numbers_here
    if overlaps:
        (one, two), count = max(overlaps.items(), key=lambda item: item[1])
        raise UnsupportedDataError(
            f"{path}: segments {one} ({names.get(one, '?')}) and {two} ({names.get(two, '?')}) overlap in {count} pixels; one "
            "label map cannot hold both: export them as separate files"
        )
    return torch.from_numpy(labels), names


@dataclass(frozen=True, eq=False)
class Place:
    """Where a frame's pixels are: the patient's (x, y, z) of pixel (0, 0), of one row down, of one column right."""

    first: np.ndarray
    down: np.ndarray
    right: np.ndarray


def _open(path: Path) -> DicomFile:
    if path.is_dir():
        paths = sorted(p for p in path.rglob("*") if p.is_file() and looks_like_dicom(p))
        found = [file for file in map(open_header, paths) if file.sop_class in (SEG, LABEL_MAP)]
        if len(found) != 1:
            raise InputError(f"{path}: holds {len(found)} DICOM SEG files; name the one to read")
        return found[0]
    file = open_header(path)
    if file.sop_class not in (SEG, LABEL_MAP):
        modality = text(path, file.header, "Modality") or "unknown"
        raise UnsupportedDataError(f"{path}: is not DICOM SEG (modality {short(modality)}); give a segmentation")
    kind = text(path, file.header, "SegmentationType").upper()
    if kind == "FRACTIONAL":
        raise UnsupportedDataError(f"{path}: a FRACTIONAL segmentation holds probabilities, not labels; threshold it first")
    if kind not in {"BINARY", "LABELMAP"}:
        raise FileFormatError(f"{path}: SegmentationType is {short(kind)}, expected BINARY or LABELMAP")
    return file


def _check_reference(file: DicomFile, case: Case) -> None:
    ours = str(case.provenance.get("frame_of_reference_uid") or "")
    theirs = text(file.path, file.header, "FrameOfReferenceUID")
    if ours and theirs and not same_uid(ours, theirs):
        raise GeometryError(
            f"{file.path}: its FrameOfReferenceUID {theirs} is not that of the CT: positions cannot be compared; "
            "give the segmentation of this series"
        )


def _segment_names(file: DicomFile) -> dict[int, str]:
    names = {}
    for item in items(file.path, file.header, "SegmentSequence"):
        number = integer(file.path, item, "SegmentNumber")
        if number is None or not 0 <= number <= _MOST_LABEL:
            raise FileFormatError(f"{file.path}: a segment has the number {number}; expected 1 to {_MOST_LABEL}")
        if number:
            names[number] = text(file.path, item, "SegmentLabel") or f"segment {number}"
    return names


def _frames(file: DicomFile) -> np.ndarray:
    """Pixels (frames, Y, X): 0 and 1 for a binary segmentation, segment numbers for a label map."""
    path, header = file.path, file.header
    rows, cols, count = integer(path, header, "Rows") or 0, integer(path, header, "Columns") or 0, frame_count(file)
    bits = integer(path, header, "BitsAllocated")
    if bits not in (1, 8, 16) or (integer(path, header, "SamplesPerPixel") or 1) != 1:
        raise UnsupportedDataError(f"{path}: {bits} bits per pixel; a segmentation has 1, 8 or 16")
    check_array_size(path, (count, rows, cols), 2)
    needed = -(-count * rows * cols * bits // 8)
    syntax = readable_syntax(path, file.syntax, bits_stored=bits)
    dataset = open_whole(path, pixel_bytes=needed)
    data = value(path, dataset, "PixelData")
    if not isinstance(data, bytes):
        raise FileFormatError(f"{path}: has no pixel data; the file is truncated")
    if syntax.kind == "native":
        if not needed <= len(data) <= needed + 1:
            raise FileFormatError(
                f"{path}: {len(data)} bytes of pixel data where {needed} are declared; the file is truncated"
            )
        if bits == 1:
            flat = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: count * rows * cols]
        else:
            order = ">" if file.syntax == EXPLICIT_BIG else "<"
            flat = np.frombuffer(data, f"{order}u{bits // 8}", count * rows * cols)
        return flat.reshape(count, rows, cols)
    return _decoded(path, file, dataset, (count, rows, cols))


def _decoded(path: Path, file: DicomFile, dataset: Dataset, shape: tuple[int, int, int]) -> np.ndarray:
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    if file.syntax != "1.2.840.10008.1.2.5":
        raise UnsupportedDataError(
            f"{path}: a compressed segmentation (not RLE); convert it to Explicit VR Little Endian first"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array, _ = get_decoder(UID(file.syntax)).as_array(dataset, raw=True, decoding_plugin="pydicom")
            return array.reshape(shape)
    except TaskctError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged data
        raise FileFormatError(f"{path}: RLE pixels cannot be decoded ({reason(error)}); the file is damaged") from error


def _groups(file: DicomFile, count: int) -> tuple[Dataset, list[Dataset]]:
    shared = (items(file.path, file.header, "SharedFunctionalGroupsSequence") or [Dataset()])[0]
    per_frame = items(file.path, file.header, "PerFrameFunctionalGroupsSequence")
    if len(per_frame) != count:
        raise FileFormatError(f"{file.path}: says {count} frames and describes {len(per_frame)}; the file is damaged")
    return shared, per_frame


def _places(file: DicomFile, count: int) -> list[Place]:
    path = file.path
    shared, per_frame = _groups(file, count)
    places = []
    for groups in per_frame:
        found: dict[str, np.ndarray] = {}
        for sequence, keyword, length in (
            ("PlanePositionSequence", "ImagePositionPatient", 3),
            ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
            ("PixelMeasuresSequence", "PixelSpacing", 2),
        ):
            item = (items(path, groups, sequence) or items(path, shared, sequence) or [Dataset()])[0]
            got = numbers(path, item, keyword, length)
            if got is None:
                raise FileFormatError(f"{path}: {keyword} of a frame is missing, so its place is unknown")
            found[keyword] = np.array(got)
        directions, spacing = found["ImageOrientationPatient"], found["PixelSpacing"]
        places.append(Place(found["ImagePositionPatient"], directions[3:] * spacing[0], directions[:3] * spacing[1]))
    return places


def _segment_numbers(file: DicomFile, count: int) -> list[int | None]:
    """The segment of each frame; None for a label map, whose pixels say it."""
    if text(file.path, file.header, "SegmentationType").upper() == "LABELMAP":
        return [None] * count
    shared, per_frame = _groups(file, count)
    known = {integer(file.path, i, "SegmentNumber") for i in items(file.path, file.header, "SegmentSequence")}
    found: list[int | None] = []
    for groups in per_frame:
        name = "SegmentIdentificationSequence"
        item = (items(file.path, groups, name) or items(file.path, shared, name) or [Dataset()])[0]
        number = integer(file.path, item, "ReferencedSegmentNumber")
        if number is None or number not in known:
            raise FileFormatError(f"{file.path}: a frame refers to segment {number}, which is not described")
        found.append(number)
    return found


def samples(path: Path, place: Place, pixels: np.ndarray, shape: tuple[int, ...], case: Case) -> np.ndarray:
    """Case indices (3, n) of labelled pixels (2, n); GeometryError when they fall between or outside the samples."""
    assert case.affine_mm is not None
    to_index = np.linalg.inv(case.affine_mm)
    first = to_index @ [*place.first[::-1], 1]
    down, right = to_index @ [*place.down[::-1], 0], to_index @ [*place.right[::-1], 0]
    ends = np.array([first + r * down + c * right for r in (0, shape[0] - 1) for c in (0, shape[1] - 1)])[:, :3]
    off = float(np.abs(ends - np.rint(ends)).max())
    steps = np.abs(np.stack([down, right])[:, :3])
    one_each = np.allclose(steps.max(1), 1, atol=0.01) and np.allclose(steps.sum(1), 1, atol=0.02)
    if off > SAME_PLACE_VOXELS or not one_each:
        raise GeometryError(
            f"{path}: its pixels lie up to {off:.2g} voxels beside the samples of the CT (allowed {SAME_PLACE_VOXELS}), or "
            "have another size; give the segmentation of this series"
        )
    at = np.rint(first[:3, None] + down[:3, None] * pixels[0] + right[:3, None] * pixels[1]).astype(np.int64)
    if (at < 0).any() or (at >= np.array(case.hu.shape)[:, None]).any():
        raise GeometryError(
            f"{path}: labels pixels outside the CT's {tuple(case.hu.shape)} samples, such as {tuple(at[:, 0].tolist())}; "
            "give the segmentation of this series, or the whole series"
        )
    return at
