"""A CT series in DICOM -> a Case in HU."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct.core.errors import DataError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, check_array_size
from taskct.core.links import outside_notes
from taskct.core.memory import require_memory
from taskct.core.names import plural
from taskct.core.provenance import fingerprint
from taskct.data.case import Case
from taskct.data.dicom.find import Scan, Series, choose, scan
from taskct.data.dicom.identity import patient_pseudonym, replaced_uid
from taskct.data.dicom.label_objects import label_objects, not_read_note
from taskct.data.dicom.lost_files import companions_note
from taskct.data.dicom.mask_series import is_mask_series
from taskct.data.dicom.missing_slices import mentioned_elsewhere, missing_at_ends, refuse_missing_parts
from taskct.data.dicom.parse import DicomFile
from taskct.data.dicom.pixels import LOSSY, frame_hu, stored_values
from taskct.data.dicom.slice_headers import Frame, frame_count, frames_of
from taskct.data.dicom.slice_positions import Stack, arrange, describe_twins
from taskct.data.dicom.syntaxes import syntax_name
from taskct.data.dicom.values import number, text
from taskct.data.naming import case_name
from taskct.data.orientation import canonical, spacing_mm
from taskct.data.padding import odd_hu_range, refuse_impossible_hu
from taskct.data.untilt import untilted
from taskct.data.volume import stem

PathLike = str | os.PathLike[str]


def read_series(
    path: PathLike | Iterable[PathLike],
    *,
    series_uid: str | None = None,
    untilt: bool = False,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> Case:
    """Read a CT series from a folder (searched to the bottom, by content), a file or a list of files -> hu (Z, Y, X).

    Slices are ordered and spaced by ImagePositionPatient along the slice normal, so the order of files means nothing.
    RescaleSlope and RescaleIntercept are applied per slice. Pixels outside the scanned circle become air (dicom_padding.py).
    `untilt` shifts the slices of a tilted gantry back (see data/untilt.py); without it they are refused.
    What was odd, dropped or filled stands in `provenance["notes"]` as sentences; docs/dicom.md lists what is refused.

    Raises FileFormatError (damaged, hostile) or UnsupportedDataError (well-formed, but no even CT stack in HU), each one
    line that begins with the path; InputError when the path or `series_uid` is not there.
    """
    found = scan(path)
    series = choose(found, series_uid, is_mask=is_mask_series)
    frames, notes = slice_frames(found, series)
    _refuse_two_patients(found.name, frames)
    stack = arrange(frames, name=found.name, untilt=untilt)
    notes += around_notes(found, series, stack)
    size = check_array_size(found.name, (len(stack.frames), *stack.frames[0].shape), 4, limit_bytes=limit_bytes)
    require_memory(found.name, 2 * size)  # stored slices, then all in order
    volume, filled, pixel_notes = _decode(stack)
    affine_mm = stack.affine_mm
    if untilt:
        volume, affine_mm, more = untilted(volume, affine_mm, name=found.name, limit_bytes=limit_bytes)
        notes += more
    volume, affine_mm = canonical(volume, affine_mm, name=found.name)
    refuse_impossible_hu(found.name, volume)
    if filled:
        notes.append(f"{filled} pixels ({filled / volume.size:.1%}) outside the scanned circle were set to air, -1000 HU")
    notes += [note for note in [odd_hu_range(volume)] if note]
    hu = torch.from_numpy(volume)
    first, place = stack.frames[0].file, Path(found.name)
    lossy = any(note.startswith(LOSSY) for note in pixel_notes)
    notes = [*notes, *stack.notes, *pixel_notes, *header_notes(series)]
    return Case(
        hu=hu,
        spacing_mm=spacing_mm(affine_mm),
        case_id=case_name(stem(found.name) if place.is_file() else place.resolve().name, series.uid, first.sop_uid),
        patient_id=patient_pseudonym(text(first.path, first.header, "PatientID")),
        affine_mm=affine_mm,
        provenance={
            **_provenance(series, stack),
            "lossy": lossy,
            "notes": list(dict.fromkeys(notes)),
            "fingerprint": fingerprint(hu),
        },
        source_path=place,
    )


def _refuse_two_patients(name: str, frames: list[Frame]) -> None:
    """UnsupportedDataError where slices of one series name different patients, by pseudonyms."""
    seen: dict[str, Path] = {}
    for frame in frames:
        patient = text(frame.file.path, frame.file.header, "PatientID")
        if patient:
            seen.setdefault(patient, frame.file.path)
    if len(seen) > 1:
        (one, first), (other, second) = list(seen.items())[:2]
        raise UnsupportedDataError(
            f"{name}: slices of one series name {len(seen)} patients ({patient_pseudonym(one)} in {first.name}, "
            f"{patient_pseudonym(other)} in {second.name}, as pseudonyms); keep those of one patient"
        )


def around_notes(found: Scan, series: Series, stack: Stack) -> list[str]:
    """What lies beside the slices without being read, and what may be missing at an end of them."""
    folders = {f.path.parent for f in series.files}
    beside = {p for folder in folders for p in (folder, *folder.parents)} & {Path(found.name), *folders}
    return [
        *companions_note(found.companions, beside),
        *not_read_note(label_objects(found), series.uid),
        *outside_notes(found.name, [file.path for file in series.files]),
        *_masks_note(found.masks),
        *missing_at_ends(series, stack),
        *mentioned_elsewhere(found, series),
    ]


def _masks_note(masks: list[Series]) -> list[str]:
    if not masks:
        return []
    folder = masks[0].files[0].path.parent.name
    return [f"{len(masks)} series of masks, such as {folder}, were not read; give their folder as labels"]


def slice_frames(found: Scan, series: Series) -> tuple[list[Frame], list[str]]:
    """The slices of a series without its scouts, and notes on what was left out."""
    notes = []
    refuse_missing_parts(found, series)
    strangers = len(series.files) - len(series.ct_files)
    if not series.ct_files:
        raise UnsupportedDataError(f"{found.name}: series {series.line} holds no CT images; choose a CT series")
    if strangers:
        notes.append(
            plural(
                strangers, "file of the series that is not a CT image was", "files of the series that are not CT images were"
            )
            + " left out"
        )
    frames = [frame for file in series.slice_files for frame in frames_of(file)]
    scouts = len(series.ct_files) - len(series.slice_files) + sum(f.localizer for f in frames)
    frames = [f for f in frames if not f.localizer]
    if not frames:
        raise UnsupportedDataError(
            f"{found.name}: only localizers (scout views, {scouts}): radiographs, no slices; choose an axial series"
        )
    notes += dict.fromkeys(f.unit_note for f in frames if f.unit_note)
    if scouts:
        notes.append(f"{plural(scouts, 'localizer (scout view) was', 'localizers (scout views) were')} left out")
    return frames, notes


def _decode(stack: Stack) -> tuple[np.ndarray, int, list[str]]:
    """HU of the stack (slices, rows, columns), how many pixels were filled with air, and notes."""
    rows, cols = stack.frames[0].shape
    volume = np.empty((len(stack.frames), rows, cols), np.float32)
    wanted = {id(f): index for index, f in enumerate(stack.frames)}
    kept_of = {id(other): kept for kept, other in stack.twins}
    repeats: list[tuple[Frame, np.ndarray]] = []
    notes: list[str] = []
    filled, dropped = 0, 0
    for file, frames in _by_file([*stack.frames, *(other for _, other in stack.twins)]):
        stored, more = stored_values(file, frame_count(file), (rows, cols))
        notes += more
        for frame in frames:
            hu, count, more = frame_hu(frame, stored[frame.index])
            notes += more
            if id(frame) in wanted:
                volume[wanted[id(frame)]] = hu
                filled += count
            else:
                repeats.append((frame, hu))
    for frame, hu in repeats:
        kept = kept_of[id(frame)]
        if not np.array_equal(volume[wanted[id(kept)]], hu):
            raise UnsupportedDataError(
                f"{frame.file.path.with_name(frame.name)}: another image at the place of {kept.name} "
                f"({describe_twins(kept, frame)}); two acquisitions in one series: give a list of files of one"
            )
        dropped += 1
    if dropped:
        notes.append(
            f"{plural(dropped, 'slice that repeats another exactly was', 'slices that repeat another exactly were')} dropped"
        )
    return volume, filled, notes


def _by_file(frames: list[Frame]) -> list[tuple[DicomFile, list[Frame]]]:
    """Frames grouped by file, so that each file is decoded once."""
    groups: dict[int, tuple[DicomFile, list[Frame]]] = {}
    for frame in frames:
        groups.setdefault(id(frame.file), (frame.file, []))[1].append(frame)
    return list(groups.values())


def header_notes(series: Series) -> list[str]:
    """What is odd about the headers of a series, as sentences."""
    notes = [note for file in series.ct_files for note in file.notes]
    first = series.ct_files[0]
    for keyword in ("SeriesInstanceUID", "Modality", "FrameOfReferenceUID"):
        if not text(first.path, first.header, keyword):
            notes.append(f"{keyword} is missing or empty")
    if any(is_burned_in(file) for file in series.ct_files):
        notes.append("text is said to be burned into the pixels (BurnedInAnnotation)")
    return notes


def _provenance(series: Series, stack: Stack) -> dict[str, Any]:
    """What may be written anywhere: no path, no free text, and every UID replaced as a de-identified series has it."""
    first = stack.frames[0].file
    facts: dict[str, Any] = {
        "format": "DICOM",
        "files": len({f.file.path for f in stack.frames}),
        "series_uid": replaced_uid(series.uid, deidentify=True) if series.uid else "",
        "transfer_syntax": ", ".join(sorted({syntax_name(f.file.syntax) for f in stack.frames})),
        "slice_thickness_mm": stack.frames[0].thickness_mm,
        "burned_in_annotation": any(is_burned_in(file) for file in series.ct_files),
    }
    for name, keyword in (("study_uid", "StudyInstanceUID"), ("frame_of_reference_uid", "FrameOfReferenceUID")):
        uid = text(first.path, first.header, keyword)
        facts[name] = replaced_uid(uid, deidentify=True) if uid else ""
    for name, keyword in (
        ("manufacturer", "Manufacturer"),
        ("model", "ManufacturerModelName"),
        ("kernel", "ConvolutionKernel"),
        ("image_type", "ImageType"),
    ):
        facts[name] = text(first.path, first.header, keyword)
    for name, keyword in (
        ("kvp", "KVP"),
        ("tube_current_ma", "XRayTubeCurrent"),
        ("exposure_mas", "Exposure"),
        ("ctdi_vol_mgy", "CTDIvol"),
    ):
        facts[name] = optional_number(first, keyword)
    return facts


def is_burned_in(file: DicomFile) -> bool:
    """True when a file says that text is burned into its pixels, which may be the patient's name."""
    return text(file.path, file.header, "BurnedInAnnotation").upper() == "YES"


def optional_number(file: DicomFile, keyword: str) -> float | None:
    """A number that nothing depends on; None when it is absent or unreadable."""
    try:
        return number(file.path, file.header, keyword)
    except DataError:
        return None
