"""Are slices missing at an end of a stack? Positions cannot tell, so what the headers count is compared with what is there."""

from __future__ import annotations

from collections import Counter

from taskct.core.errors import DataError, UnsupportedDataError
from taskct.data.dicom.find import Scan, Series
from taskct.data.dicom.parse import DicomFile
from taskct.data.dicom.slice_positions import Stack
from taskct.data.dicom.values import integer, text

_EXCERPT = 0.5  # numbers that begin later than this part of the slices belong to an excerpt, where nothing was lost


def missing_at_ends(series: Series, stack: Stack) -> list[str]:
    """Sentences on slices that may be missing before the first or after the last one; [] when nothing speaks for it.

    InstanceNumber should begin at 1 (or 0), and ImagesInAcquisition and NumberOfSeriesRelatedInstances should agree with the
    files. All three may be wrong in whole series (an excerpt, a new reconstruction), so these are notes and not errors.
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
                f"InstanceNumber runs from {known[0]} to {known[-1]}: {missing} slice(s) may be missing at the {end} end"
            )
    counts = Counter(_integer(f, "AcquisitionNumber") for f in series.ct_files)
    for acquisition, count in counts.items():
        told = {_integer(f, "ImagesInAcquisition") for f in series.ct_files if _integer(f, "AcquisitionNumber") == acquisition}
        notes += _short_of(told, count, "ImagesInAcquisition")
    notes += _short_of(
        {_integer(f, "NumberOfSeriesRelatedInstances") for f in series.files},
        len(series.files),
        "NumberOfSeriesRelatedInstances",
    )
    return notes


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
    if len(told) != 1 or (expected := told.pop()) is None or expected <= count:
        return []
    return [f"{keyword} is {expected}, and {count} image(s) are here: slices at an end may be missing"]


def _integer(file: DicomFile, keyword: str) -> int | None:
    try:
        return integer(file.path, file.header, keyword)
    except DataError:
        return None
