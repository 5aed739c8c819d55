"""A Case -> a derived CT series in DICOM that archives and viewers accept, de-identified unless told otherwise."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pydicom.valuerep import format_number_as_ds

from taskct.core.errors import InputError, OutputExistsError, UnitsError
from taskct.core.files import atomic_folder, refuse_existing
from taskct.core.provenance import fingerprint
from taskct.data.case import Case
from taskct.data.dicom.find import Scan, Series, choose, scan
from taskct.data.dicom.identity import (
    EMPTY_WHEN_UNKNOWN,
    KEPT_ALWAYS,
    KEPT_IDENTIFIED,
    KEPT_WITH_LOSSY,
    UNPAIRED_PARTS,
    as_source,
    code,
    copy_attributes,
    derived_uid,
    mark_deidentified,
    new_uid,
    replaced_uid,
    same_uid,
)
from taskct.data.dicom.parse import EXPLICIT_LITTLE, open_header
from taskct.data.dicom.series import is_burned_in, slice_frames
from taskct.data.dicom.slice_headers import CT, Frame
from taskct.data.dicom.values import integer, text

PathLike = str | os.PathLike[str]
WINDOW_CENTER_HU, WINDOW_WIDTH_HU = 40, 400  # soft tissue

_SAME_SLICE = 0.5  # of a slice step: a source slice no further away is one the written slice was made from


def write_series(
    case: Case,
    folder: PathLike,
    *,
    source: PathLike | Sequence[Dataset] | None = None,
    description: str = "",
    overwrite: bool = False,
    deidentify: bool = True,
    method: str = "",
    made_of: Sequence[SourceImage] = (),
) -> list[Path]:
    """Write hu (Z, Y, X) as one CT file per slice into a new `folder`; returns the files, feet first.

    HU are rounded to whole numbers (by at most 0.5 HU) and stored as int16 with slope 1 and intercept 0. SeriesInstanceUID
    and SOPInstanceUIDs are new; ImageType is DERIVED, SECONDARY. `source`, the folder, file or datasets of the series that
    the case came from, gives the study, the frame of reference, the slices referred to and the tube voltage. `description`
    becomes SeriesDescription (at most 64 characters), `method` is what was done, in DerivationDescription. `made_of` are
    images that every slice was made of, such as radiographs: they are referred to by the UIDs given.

    By default patient and visit are left out and every UID of the source is replaced, always by the same one, so that
    several series written from one source stay in one study and overlay. With `deidentify=False` UIDs and the patient's
    attributes are those of the source.

    `overwrite` replaces a series that was written here, never a folder that holds anything else.

    Raises UnitsError for values that no int16 holds, OutputExistsError, InputError for texts DICOM cannot hold.
    """
    volume = _whole_hu(case)
    _check_texts(description, method)
    _refuse_source_folder(Path(folder), source, case)
    refuse_series_folder(folder, overwrite=overwrite)
    origin = _origin(source, case, deidentify=deidentify)
    shared = _shared(case, origin, description=description, method=method, deidentify=deidentify)
    with atomic_folder(folder, overwrite=overwrite) as part:
        names = [f"CT_{index + 1:04d}.dcm" for index in range(len(volume))]
        for index, name in enumerate(names):
            made = _slice(case, volume[index], index, shared, origin, deidentify=deidentify, made_of=made_of)
            made.save_as(part / name, enforce_file_format=True)
    return [Path(folder) / name for name in names]


def refuse_series_folder(folder: PathLike, *, overwrite: bool) -> None:
    """Raise OutputExistsError when `write_series` would have to: only slices that it wrote itself are ever replaced."""
    target = Path(folder)
    refuse_existing(target, overwrite=overwrite, folder=True)
    foreign = next((e for e in sorted(target.iterdir()) if not _is_ours(e)), None) if target.is_dir() else None
    if foreign is not None:
        raise OutputExistsError(
            f"{target}: holds {foreign.name}, which is not a slice that taskct wrote, so the folder is not overwritten; "
            "choose another name"
        )


class SourceImage(NamedTuple):
    """The UIDs of an image that a series was made of: its SOP class, its own, and that of its series ('' where unknown)."""

    sop_class: str
    sop_uid: str
    series_uid: str = ""


@dataclass(frozen=True, eq=False)
class _Origin:
    """Where the case came from: the source's slices (perhaps none) and the UIDs to write."""

    frames: list[Frame]
    study_uid: str
    frame_of_reference_uid: str
    source_series_uid: str
    pseudonym: str


def _origin(source: PathLike | Sequence[Dataset] | None, case: Case, *, deidentify: bool) -> _Origin:
    frames: list[Frame] = []
    # a case holds replaced UIDs: they are what a source's own become when they are replaced
    facts = {name: str(case.provenance.get(name) or "") for name in ("study_uid", "series_uid", "frame_of_reference_uid")}
    public = dict(facts)
    if source is not None:
        frames = _source_frames(source, str(case.provenance.get("series_uid") or "") or None)
        first = frames[0].file
        facts["study_uid"] = text(first.path, first.header, "StudyInstanceUID")
        facts["series_uid"] = text(first.path, first.header, "SeriesInstanceUID")
        facts["frame_of_reference_uid"] = text(first.path, first.header, "FrameOfReferenceUID")
        public = {name: replaced_uid(uid, deidentify=True) if uid else "" for name, uid in facts.items()}
    facts = public if deidentify else facts
    # a study is known by the first of these that exists, so that all series written from one case share it
    known_by = public["study_uid"] or public["frame_of_reference_uid"] or str(case.provenance.get("fingerprint") or "")
    known_by = known_by or fingerprint(case.hu)
    study = facts["study_uid"] or derived_uid("study", known_by)
    return _Origin(
        frames=frames,
        study_uid=study,
        frame_of_reference_uid=facts["frame_of_reference_uid"] or derived_uid("frame", known_by),
        source_series_uid=facts["series_uid"],
        pseudonym=f"ANON{derived_uid('patient', known_by)[-10:]}",
    )


def _source_frames(source: PathLike | Sequence[Dataset], series_uid: str | None) -> list[Frame]:
    if isinstance(source, str | os.PathLike):
        found = scan(source)
        series = choose(found, series_uid if series_uid and any(same_uid(series_uid, s.uid) for s in found.series) else None)
    else:
        if not source or not all(isinstance(d, Dataset) for d in source):
            raise InputError("source: expected a path or a list of pydicom datasets of the original series")
        files = [as_source(d) for d in source]
        series = Series("", "", "CT", files)
        found = Scan("source", [series], [])
    return slice_frames(found, series)[0]


def _shared(case: Case, origin: _Origin, *, description: str, method: str, deidentify: bool) -> Dataset:
    """The attributes that all slices have in common."""
    made = Dataset()
    for keyword in EMPTY_WHEN_UNKNOWN:
        setattr(made, keyword, "")
    made.SpecificCharacterSet = "ISO_IR 192"
    made.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    made.SOPClassUID = CT
    made.Modality = "CT"
    made.Manufacturer = made.ManufacturerModelName = "taskct"
    made.SoftwareVersions = metadata.version("taskct")
    made.StudyInstanceUID = origin.study_uid
    made.SeriesInstanceUID = new_uid()
    made.FrameOfReferenceUID = origin.frame_of_reference_uid
    made.PositionReferenceIndicator = ""
    made.Laterality = ""
    made.SeriesDescription = description or "taskct derived"
    made.DerivationDescription = (f"{method}; " if method else "") + "HU rounded to whole numbers"
    made.PatientPosition = "HFS"
    made.KVP = None
    made.AcquisitionNumber = None
    made.SeriesNumber = 1
    made.SliceThickness = format_number_as_ds(_thickness_mm(case, origin))
    _set_pixels(case, made)
    if origin.frames:
        first = origin.frames[0].file
        copy_attributes(first, made, KEPT_ALWAYS if deidentify else KEPT_ALWAYS + KEPT_IDENTIFIED)
        copy_attributes(first, made, KEPT_WITH_LOSSY if made.get("LossyImageCompression") == "01" else ())
        part = text(first.path, first.header, "BodyPartExamined").upper()
        if part in UNPAIRED_PARTS:
            made.BodyPartExamined = part
            del made.Laterality
        made.SeriesNumber = (integer(first.path, first.header, "SeriesNumber") or 0) + 1000
    elif not deidentify:
        made.PatientID = case.patient_id
    if case.provenance.get("lossy"):
        made.LossyImageCompression = "01"  # once lossy, always lossy
    if deidentify:
        mark_deidentified(made, pseudonym=origin.pseudonym)
    if case.provenance.get("burned_in_annotation") or any(is_burned_in(f.file) for f in origin.frames):
        _mark_burned_in(made, deidentify=deidentify)
    made.ContributingEquipmentSequence = _equipment(origin)
    return made


def _mark_burned_in(made: Dataset, *, deidentify: bool) -> None:
    """Text in the pixels may name the patient, and a reconstruction shows it still: so nothing claims that it is gone."""
    made.BurnedInAnnotation = "YES"
    if not deidentify:
        return
    made.PatientIdentityRemoved = "NO"
    del made.DeidentificationMethod, made.DeidentificationMethodCodeSequence
    warnings.warn(
        "the source says that text is burned into its pixels (BurnedInAnnotation): the written series says so too, "
        "and does not claim that the patient's identity was removed; look at the images before they are passed on",
        UserWarning,
        stacklevel=4,
    )


def _set_pixels(case: Case, made: Dataset) -> None:
    assert case.affine_mm is not None
    made.Rows, made.Columns = case.hu.shape[1:]
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, 0, "HU"
    made.WindowCenter, made.WindowWidth = WINDOW_CENTER_HU, WINDOW_WIDTH_HU
    made.PixelSpacing = [format_number_as_ds(mm) for mm in case.spacing_mm[1:]]
    lengths = np.linalg.norm(case.affine_mm[:3, :3], axis=0)
    along = case.affine_mm[::-1][1:] / 1.0  # rows x, y, z of the affine
    right, down = along[:, 2] / lengths[2], along[:, 1] / lengths[1]
    made.ImageOrientationPatient = [format_number_as_ds(float(c) + 0.0) for c in (*right, *down)]


def _slice(
    case: Case,
    stored: np.ndarray,
    index: int,
    shared: Dataset,
    origin: _Origin,
    *,
    deidentify: bool,
    made_of: Sequence[SourceImage],
) -> Dataset:
    assert case.affine_mm is not None
    made = Dataset()
    made.update(shared)
    made.SOPInstanceUID = new_uid()
    made.InstanceNumber = index + 1
    position = (case.affine_mm @ [index, 0, 0, 1])[2::-1]
    made.ImagePositionPatient = [format_number_as_ds(round(float(c), 9) + 0.0) for c in position]
    made.PixelData = stored.astype("<i2").tobytes()
    references = _references(case, position, origin, deidentify=deidentify)
    by_series = {origin.source_series_uid: references} if references else {}
    for image in made_of:
        by_series.setdefault(image.series_uid, []).append(_reference(image.sop_class, image.sop_uid))
    if by_series:
        made.SourceImageSequence = [item for items in by_series.values() for item in items]
        known = [_referenced_series(series, items) for series, items in by_series.items() if series]
        if known:
            made.ReferencedSeriesSequence = known
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
    return made


def _references(case: Case, position: np.ndarray, origin: _Origin, *, deidentify: bool) -> list[Dataset]:
    """The source slices that lie where a written slice lies."""
    items = []
    for frame in origin.frames:
        if frame.position is None or not frame.file.sop_uid:
            continue
        if abs(float((frame.position - position) @ frame.normal)) > _SAME_SLICE * case.spacing_mm[0]:
            continue
        item = _reference(frame.file.sop_class or CT, replaced_uid(frame.file.sop_uid, deidentify=deidentify))
        if frame.file.sop_class != CT:
            item.ReferencedFrameNumber = frame.index + 1
        items.append(item)
    return items


def _reference(sop_class: str, sop_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_uid
    item.PurposeOfReferenceCodeSequence = [code("121322", "DCM", "Source image for image processing operation")]
    return item


def _referenced_series(series_uid: str, references: list[Dataset]) -> Dataset:
    """The same source slices under their series, where archives look for them."""
    series = Dataset()
    series.SeriesInstanceUID = series_uid
    series.ReferencedInstanceSequence = []
    for uids in dict.fromkeys((r.ReferencedSOPClassUID, r.ReferencedSOPInstanceUID) for r in references):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = uids
        series.ReferencedInstanceSequence.append(item)
    return series


def _equipment(origin: _Origin) -> list[Dataset]:
    """The scanner (as far as the source says) and this program."""
    items = []
    if origin.frames:
        first = origin.frames[0].file
        maker, model = (text(first.path, first.header, k) for k in ("Manufacturer", "ManufacturerModelName"))
        if maker:
            scanner = Dataset()
            scanner.PurposeOfReferenceCodeSequence = [code("109101", "DCM", "Acquisition Equipment")]
            scanner.Manufacturer = maker
            scanner.ManufacturerModelName = model
            items.append(scanner)
    program = Dataset()
    program.PurposeOfReferenceCodeSequence = [code("109102", "DCM", "Processing Equipment")]
    program.Manufacturer = program.ManufacturerModelName = "taskct"
    program.SoftwareVersions = metadata.version("taskct")
    return [*items, program]


def _thickness_mm(case: Case, origin: _Origin) -> float:
    """The source's slice thickness when the case has its slices, else the slice distance."""
    known = origin.frames[0].thickness_mm if origin.frames else case.provenance.get("slice_thickness_mm")
    return float(known) if known else case.spacing_mm[0]


def _whole_hu(case: Case) -> np.ndarray:
    hu = np.rint(case.hu.numpy())
    if not np.isfinite(hu).all():
        raise UnitsError(f"case {case.case_id}: hu holds NaN or infinite values, which DICOM cannot store; mend them first")
    low, high = float(hu.min()), float(hu.max())
    if low < -32768 or high > 32767:
        raise UnitsError(
            f"case {case.case_id}: hu from {low:g} to {high:g} does not fit into int16 (-32768 to 32767); clip it first if "
            "that is meant"
        )
    return hu.astype(np.int16)


def _check_texts(description: str, method: str) -> None:
    if len(description) > 64 or "\\" in description or not description.isprintable():
        raise InputError(f"description {description!r}: DICOM allows 64 printable characters without a backslash")
    if len(method) > 900 or not method.isprintable():
        raise InputError("method: expected at most 900 printable characters on one line")


def _is_ours(entry: Path) -> bool:
    """True for a CT file of `write_series`: derived, and by its own word made by taskct."""
    if entry.is_symlink() or not entry.is_file():
        return False
    try:
        found = open_header(entry).header
        kind = [str(word) for word in found.get("ImageType") or ()]
        return found.get("SOPClassUID") == CT and kind[:1] == ["DERIVED"] and found.get("Manufacturer") == "taskct"
    except Exception:  # whatever is wrong with it, it is not ours
        return False


def _refuse_source_folder(folder: Path, source: PathLike | Sequence[Dataset] | None, case: Case) -> None:
    """Never replace the series that is being read from."""
    target = folder.resolve()
    sources = [str(source)] if isinstance(source, str | os.PathLike) else []
    sources += [str(case.source_path)] if case.source_path is not None else []
    for each in sources:
        there = Path(each).resolve()
        if there.exists() and (target == there or target in there.parents):
            raise InputError(f"{folder}: holds the source series {each}; choose another folder to write to")
