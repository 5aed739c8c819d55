"""DICOM objects that label a CT, SEG and RTSTRUCT: which lie among the files, and which series they speak of."""

from __future__ import annotations

from collections.abc import Iterable

from taskct.core.errors import DataError
from taskct.data.dicom.find import Scan
from taskct.data.dicom.parse import DicomFile
from taskct.data.dicom.values import items, text
from taskct.data.volume import NOT_READ

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
KINDS = {SEG: "DICOM SEG", LABEL_MAP: "DICOM SEG", RTSTRUCT: "RTSTRUCT"}


def label_objects(found: Scan) -> list[DicomFile]:
    """Every SEG and RTSTRUCT among the files of a scan, by path."""
    files = [f for series in found.series for f in series.files if kind_of_object(f)]
    return sorted(files, key=lambda f: str(f.path))


def kind_of_object(file: DicomFile) -> str:
    """ "DICOM SEG", "RTSTRUCT", or '' for anything else; by the SOP class, or by the modality of a file that names none."""
    if file.sop_class:
        return KINDS.get(file.sop_class, "")
    return {"SEG": "DICOM SEG", "RTSTRUCT": "RTSTRUCT"}.get(text(file.path, file.header, "Modality").upper(), "")


def referenced_series(file: DicomFile) -> set[str]:
    """SeriesInstanceUIDs of the images that a SEG or RTSTRUCT was drawn on; empty when it does not say."""
    path, found = file.path, set()
    try:
        places = list(items(path, file.header, "ReferencedSeriesSequence"))
        for frame in items(path, file.header, "ReferencedFrameOfReferenceSequence"):
            for study in items(path, frame, "RTReferencedStudySequence"):
                places += items(path, study, "RTReferencedSeriesSequence")
        found = {text(path, place, "SeriesInstanceUID") for place in places}
    except DataError:
        return set()  # reading it as labels says what is damaged
    return found - {""}


def not_read_note(objects: Iterable[DicomFile], series_uid: str) -> list[str]:
    """A sentence on each label object that speaks of a series (or does not say of which) and was not read with it."""
    notes = []
    for file in objects:
        of = referenced_series(file)
        if not of or series_uid in of:
            notes.append(
                f"{kind_of_object(file)} {file.path.name} {NOT_READ}; "
                f"give it as labels (labels=..., --labels {file.path.name}) to use it"
            )
    return notes
