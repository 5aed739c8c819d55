"""Are slices missing at an end of a stack? Positions cannot tell, so what the headers count is compared with what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pydicom.dataset import Dataset

from taskct.core.errors import DataError, UnsupportedDataError
from taskct.core.names import plural
from taskct.data.dicom.find import Scan, Series
from taskct.data.dicom.parse import DicomFile
from taskct.data.dicom.slice_positions import Stack
from taskct.data.dicom.values import integer, items, text

_IMAGES = ("ReferencedInstanceSequence", "ReferencedImageSequence", "ReferencedSOPSequence", "ContourImageSequence")
_EXCERPT = 0.5  # numbers that begin later than this part of the slices belong to an excerpt, where nothing was lost


def missing_at_ends(series: Series, stack: Stack) -> list[str]:
    """Sentences on slices that may be missing before the first or after the last one; [] when nothing speaks for it.

    InstanceNumber should begin at 1 (or 0), and ImagesInAcquisition, NumberOfSlices and NumberOfSeriesRelatedInstances should
    agree with the files. Each may be wrong in a whole series (an excerpt, a new reconstruction): these are notes, not errors.
    A last slice that nothing counts leaves no trace: a series that ends there looks the same.
    """
    notes = []
    numbers = [_integer(f, "InstanceNumber") for f in series.files]
    known = sorted({n for n in numbers if n is not None})
    if len(known) == len(series.files) > 1 and known == list(range(known[0], known[-1] + 1)):
        missing = known[0] - 1
        if 0 < missing <= _EXCERPT * len(known):
            low = _integer(stack.frames[0].file, "InstanceNumber")
            end = "lower" if low == known[0] else "upper"
            notes.append(
                f"InstanceNumber runs from {known[0]} to {known[-1]}: {plural(missing, 'slice')} may be missing at "
                f"the {end} end"
            )
    counts = Counter(_integer(f, "AcquisitionNumber") for f in series.ct_files)
    for acquisition, count in counts.items():
        told = {_integer(f, "ImagesInAcquisition") for f in series.ct_files if _integer(f, "AcquisitionNumber") == acquisition}
        notes += _short_of(told, count, "ImagesInAcquisition")
    for keyword, files in (("NumberOfSlices", series.slice_files), ("NumberOfSeriesRelatedInstances", series.files)):
        notes += _short_of({_integer(f, keyword) for f in files}, len(files), keyword)
    return notes


def mentioned_elsewhere(found: Scan, series: Series) -> list[str]:
    """Sentences on images of the series that a DICOMDIR or another object beside it names, and that are not here.

    A SEG, an RTSTRUCT, a report or a presentation state lists the images that it was made on, a DICOMDIR all that a medium
    held. That may be fewer than the series has, but it cannot be more.
    """
    here = {f.sop_uid for f in series.files}
    notes = []
    for file in [*found.directories, *(f for other in found.series if other is not series for f in other.files)]:
        named = _images_named(file, series.uid)
        gone = len(named - here)
        if series.uid and gone:
            notes.append(
                f"{file.path.name} names {len(named)} images of this series, and {gone} of them are not here: slices at an "
                "end may be missing"
            )
    return notes


def _images_named(file: DicomFile, series_uid: str) -> set[str]:
    """SOPInstanceUIDs of the images of a series that a file refers to; those of damaged references are left out."""
    try:
        if "DirectoryRecordSequence" in file.header:
            return _of_directory(file, series_uid)
        places = list(_referenced_series(file))
        return {
            text(file.path, image, "ReferencedSOPInstanceUID")
            for place in places
            if text(file.path, place, "SeriesInstanceUID") == series_uid
            for keyword in (
                "ReferencedInstanceSequence",
                "ReferencedImageSequence",
                "ReferencedSOPSequence",
                "ContourImageSequence",
            )
            for image in items(file.path, place, keyword)
        } - {""}
    except DataError:
        return set()


def _referenced_series(file: DicomFile) -> Iterator[Dataset]:
    path = file.path
    yield from items(path, file.header, "ReferencedSeriesSequence")  # SEG, presentation states
    for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):  # reports, key objects
        for study in items(path, file.header, keyword):
            yield from items(path, study, "ReferencedSeriesSequence")
    for frame in items(path, file.header, "ReferencedFrameOfReferenceSequence"):  # RTSTRUCT
        for study in items(path, frame, "RTReferencedStudySequence"):
            yield from items(path, study, "RTReferencedSeriesSequence")


def _of_directory(file: DicomFile, series_uid: str) -> set[str]:
    """The images after the record of a series, which is the order in which a DICOMDIR lists them."""
    found, inside = set(), False
    for record in items(file.path, file.header, "DirectoryRecordSequence"):
        kind = text(file.path, record, "DirectoryRecordType").upper()
        if kind in ("PATIENT", "STUDY", "SERIES"):
            inside = kind == "SERIES" and text(file.path, record, "SeriesInstanceUID") == series_uid
        elif inside and kind == "IMAGE":
            found.add(text(file.path, record, "ReferencedSOPInstanceUIDInFile"))
    return found - {""}


def refuse_missing_parts(found: Scan, series: Series) -> None:
    """UnsupportedDataError when a multi-frame image was split into a concatenation and a part of it is not here."""
    parts: dict[str, list[DicomFile]] = {}
    for file in series.ct_files:
        uid = text(file.path, file.header, "ConcatenationUID")
        if uid:
            parts.setdefault(uid, []).append(file)
    for files in parts.values():
        total = _integer(files[0], "InConcatenationTotalNumber")
        here = {_integer(f, "InConcatenationNumber") for f in files}
        if total is not None and len(here) < total:
            raise UnsupportedDataError(
                f"{found.name}: {len(here)} of the {total} parts of a concatenation are here; copy the missing files"
            )


def _short_of(told: set[int | None], count: int, keyword: str) -> list[str]:
    known = told - {None}  # some writers put it into the first image alone
    if len(known) != 1 or (expected := known.pop()) is None or expected <= count:
        return []
    return [f"{keyword} is {expected}, and {plural(count, 'image is', 'images are')} here: slices at an end may be missing"]


def _integer(file: DicomFile, keyword: str) -> int | None:
    try:
        return integer(file.path, file.header, keyword)
    except DataError:
        return None
