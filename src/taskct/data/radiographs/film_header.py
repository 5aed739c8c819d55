"""What the header of a DICOM radiograph (XA, XRF, DX, CR) says that matters for its geometry and its grey levels.

Terms are those of DICOM PS3.3: X-Ray Positioner (C.8.7.5), DX Positioning (C.8.11.5), DX Image (C.8.11.3).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.data.dicom.parse import DicomFile
from taskct.data.dicom.values import integer, number, numbers, text, value, words

MODALITIES = ("XA", "RF", "DX", "CR", "IO", "PX", "RG")
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_MONTHS = {"D": 12 / 365.25, "W": 84 / 365.25, "M": 1.0, "Y": 12.0}
# Where the source stands for a ViewPosition. LL, the left lateral, has the patient's left side at the detector.
_FOR_PRESENTATION = {  # SOP classes whose grey levels are for the eye, by what they hold
    "1.2.840.10008.5.1.4.1.1.1.1": "digital X-ray",
    "1.2.840.10008.5.1.4.1.1.1.3": "intra-oral X-ray",
}
COARSE_DEG = 30.0  # a ViewPosition says only from which side
_ROUNDED = 0.05  # of a distance: magnifications are written with few digits
VIEW_ANGLES_DEG = {"AP": 0.0, "PA": 180.0, "LL": -90.0, "RL": 90.0, "LLD": -90.0, "RLD": 90.0}


class Conflict(NamedTuple):
    """What a second attribute says of a number, within which distance that is meant, and a sentence that names both."""

    value: float
    within: float
    words: str


@dataclass(frozen=True, kw_only=True)
class FilmHeader:
    """Facts of one DICOM radiograph; None and '' for what it does not say. Lengths in mm, angles in degrees of our frame.

    `angle_from` names the attribute that the angle was taken from; `coarse` is True for one of a ViewPosition, which says only
    from which side. `iso_from` names what the distance to the isocentre was taken from. `age_months` are the least and
    the largest age that PatientAge stands for, else that of the dates of birth and study. `taken` is the AcquisitionDate,
    else the StudyDate. `for_the_eye` is what says that the
    grey levels were processed for presentation, '' where nothing does. `conflicts` are the numbers of the pose that two
    attributes say differently, by their names in a pose file.
    """

    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    age_months: tuple[float, float] | None = None
    taken: date | None = None
    study_uid: str = ""
    series_uid: str = ""
    sop_class: str = ""
    sop_uid: str = ""
    modality: str = ""
    source_iso_mm: float | None = None
    iso_from: str = ""
    source_detector_mm: float | None = None
    pixel_mm: float | None = None
    row_mm: float | None = None
    angle_deg: float | None = None
    tilt_deg: float | None = None
    angle_from: str = ""
    coarse: bool = False
    view_position: str = ""
    orientation: tuple[str, ...] = ()
    field_flipped: bool | None = None
    field_turn_deg: int | None = None
    relationship: str = ""
    sign: int | None = None
    photometric: str = ""
    for_the_eye: str = ""
    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[str, ...] = ()
    conflicts: Mapping[str, Conflict] = field(default_factory=dict)


def film_header(file: DicomFile) -> FilmHeader:
    """The facts of a radiograph's header; UnsupportedDataError for other modalities, colour and runs of frames."""
    path, header = file.path, file.header
    modality = text(path, header, "Modality").upper()
    if modality not in MODALITIES:
        raise UnsupportedDataError(
            f"{path}: modality {modality or 'not stated'}; expected a projection radiograph ({', '.join(MODALITIES)})"
        )
    photometric = text(path, header, "PhotometricInterpretation").upper()
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsupportedDataError(f"{path}: PhotometricInterpretation {photometric or 'not stated'}; expected grey levels")
    frames = integer(path, header, "NumberOfFrames") or 1
    if frames > 1:
        raise UnsupportedDataError(f"{path}: holds a run of {frames} frames; export the one to be used as an image of its own")
    notes = list(file.notes)
    spacing = numbers(path, header, "ImagerPixelSpacing", 2)
    if spacing is not None and not all(0 < s < math.inf for s in spacing):
        notes.append(f"ImagerPixelSpacing {spacing[0]:g}, {spacing[1]:g} mm is not used: expected lengths above 0")
        spacing = None
    if value(path, header, "ModalityLUTSequence") is not None:
        raise UnsupportedDataError(
            f"{path}: its values go through a look-up table (ModalityLUTSequence), which is not read; export it without one"
        )
    slope, intercept = (number(path, header, f"Rescale{name}") for name in ("Slope", "Intercept"))
    if not (slope is None or (slope and math.isfinite(slope))) or not math.isfinite(intercept or 0.0):
        raise FileFormatError(f"{path}: rescales its values by {slope:g} * stored + {intercept or 0:g}; the file is damaged")
    if spacing is None and numbers(path, header, "PixelSpacing", 2) is not None:
        notes.append("PixelSpacing is not used: it may be that of any plane; ImagerPixelSpacing is that of the detector")
    conflicts: dict[str, Conflict] = {}
    angle, tilt, angle_from, coarse = _angles(file, modality, notes, conflicts)
    iso, iso_from = _isocentre(file, modality, notes, conflicts)
    turn = integer(path, header, "FieldOfViewRotation")
    if turn is not None and turn % 90:
        notes.append(f"FieldOfViewRotation {turn} is not used: expected quarter turns; state quarter_turns in the pose file")
        turn = None
    orientation = tuple(w.upper() for w in words(path, header, "PatientOrientation"))
    if any(orientation) and (len(orientation) != 2 or any(not w or set(w) - set("LRPAHF") for w in orientation)):
        shown = "\\".join(orientation)
        notes.append(f"PatientOrientation {shown[:40]} is not used: expected two directions of letters L, R, P, A, H, F")
        orientation = ()
    return FilmHeader(
        patient_id=text(path, header, "PatientID"),
        patient_name=text(path, header, "PatientName"),
        birth_date=text(path, header, "PatientBirthDate"),
        sex={"M": "M", "F": "F"}.get(text(path, header, "PatientSex").upper(), ""),
        age_months=_age_months(file),
        taken=_date(file, "AcquisitionDate") or _date(file, "StudyDate"),
        study_uid=text(path, header, "StudyInstanceUID"),
        series_uid=text(path, header, "SeriesInstanceUID"),
        sop_class=file.sop_class,
        sop_uid=file.sop_uid,
        modality=modality,
        source_iso_mm=iso,
        iso_from=iso_from,
        source_detector_mm=_length(file, "DistanceSourceToDetector", notes),
        pixel_mm=None if spacing is None else spacing[1],
        row_mm=None if spacing is None else spacing[0],
        angle_deg=angle,
        tilt_deg=tilt,
        angle_from=angle_from,
        coarse=coarse,
        view_position=text(path, header, "ViewPosition").upper(),
        orientation=orientation,
        field_flipped={"YES": True, "NO": False}.get(text(path, header, "FieldOfViewHorizontalFlip").upper()),
        field_turn_deg=turn,
        relationship=text(path, header, "PixelIntensityRelationship").upper(),
        sign=integer(path, header, "PixelIntensityRelationshipSign"),
        photometric=photometric,
        for_the_eye=_for_the_eye(file),
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        notes=tuple(notes),
        conflicts=conflicts,
    )


def _for_the_eye(file: DicomFile) -> str:
    """What says that grey levels were processed for presentation.

    XA has no PresentationIntentType: there PixelIntensityRelationship DISP says it. Of a class for presentation the intent may
    be left out, or claim the contrary.
    """
    intent = text(file.path, file.header, "PresentationIntentType").upper()
    if intent == "FOR PRESENTATION":
        return "PresentationIntentType is FOR PRESENTATION"
    if text(file.path, file.header, "PixelIntensityRelationship").upper() == "DISP":
        return "PixelIntensityRelationship is DISP"
    if file.sop_class in _FOR_PRESENTATION:
        although = f", although PresentationIntentType is {intent}" if intent else ""
        return f"its SOP class is that of {_FOR_PRESENTATION[file.sop_class]} images FOR PRESENTATION{although}"
    return ""


def _age_months(file: DicomFile) -> tuple[float, float] | None:
    """An age such as 007M or 002Y as its least and largest months; without one, from the dates of birth and study."""
    stated = _AGE.fullmatch(text(file.path, file.header, "PatientAge").upper())
    if stated:
        count, months = int(stated[1]), _MONTHS[stated[2]]
        return count * months, (count + 1) * months
    born, studied = _date(file, "PatientBirthDate"), _date(file, "StudyDate")
    if born is None or studied is None:
        return None
    age = (studied - born).days * _MONTHS["D"]
    return (age, age) if age >= 0 else None


def _date(file: DicomFile, name: str) -> date | None:
    try:
        return datetime.strptime(text(file.path, file.header, name), "%Y%m%d").date()
    except ValueError:
        return None


def _angles(
    file: DicomFile, modality: str, notes: list[str], conflicts: dict[str, Conflict]
) -> tuple[float | None, float | None, str, bool]:
    """Angle and tilt of the source, the attribute they come from, and whether it is a coarse one.

    The positioner's angles are those of the detector: 0 in front of the patient, + 90 at the left (LAO), cranial positive.
    The source is opposite.
    """
    path, header = file.path, file.header
    first, second = (_angle(file, f"Positioner{which}Angle", notes) for which in ("Primary", "Secondary"))
    carm = modality in ("XA", "RF") or text(path, header, "PositionerType").upper() == "CARM"
    position = text(path, header, "ViewPosition").upper()
    if first is not None and carm:
        angle = _turned(first + 180)
        side = VIEW_ANGLES_DEG.get(position, angle)
        if abs(_turned(angle - side)) > COARSE_DEG:
            conflicts["angle_deg"] = Conflict(
                side,
                COARSE_DEG,
                f"PositionerPrimaryAngle {first:g} puts the source at angle_deg {angle:g}, "
                f"ViewPosition {position} at {side:g}",
            )
        return angle, None if second is None else 0.0 - second, "PositionerPrimaryAngle", False
    if position in VIEW_ANGLES_DEG:
        return VIEW_ANGLES_DEG[position], None, "ViewPosition", True
    return None, None, "", False


def _isocentre(file: DicomFile, modality: str, notes: list[str], conflicts: dict[str, Conflict]) -> tuple[float | None, str]:
    """Distance from source to isocentre.

    Of a C-arm it is DistanceSourceToPatient. Of DX and CR that is the distance to the table or the bucky, not to the middle of
    the patient, so it is not taken; the magnification factor says it where it is given.
    """
    path, header = file.path, file.header
    patient, detector = _length(file, "DistanceSourceToPatient", notes), _length(file, "DistanceSourceToDetector", [])
    gain = number(path, header, "EstimatedRadiographicMagnificationFactor")
    if patient and modality in ("XA", "RF"):
        if gain and gain > 1 and detector and abs(detector / gain - patient) > _ROUNDED * patient:
            conflicts["source_iso_mm"] = Conflict(
                detector / gain,
                _ROUNDED * patient,
                f"DistanceSourceToPatient is {patient:g} mm, but EstimatedRadiographicMagnificationFactor {gain:g} makes it "
                f"{detector / gain:g}",
            )
        return patient, "DistanceSourceToPatient"
    if gain and gain > 1 and detector:
        return detector / gain, "EstimatedRadiographicMagnificationFactor"
    if patient:
        notes.append(
            f"DistanceSourceToPatient is {patient:g} mm, in {modality} the distance to table or bucky, not to the isocentre: "
            "it is not used"
        )
    return None, ""


def _angle(file: DicomFile, name: str, notes: list[str]) -> float | None:
    """An angle of at most a turn; a note for anything else."""
    found = number(file.path, file.header, name)
    if found is not None and abs(found) > 360:
        notes.append(f"{name} {found:g} is not used: expected degrees, at most 360")
        return None
    return found


def _length(file: DicomFile, name: str, notes: list[str]) -> float | None:
    """A length above 0; None where there is none, or 0 as scanners write it that do not know; a note for anything else."""
    found = number(file.path, file.header, name)
    if found and not 0 < found < math.inf:
        notes.append(f"{name} {found:g} mm is not used: expected a length above 0")
        return None
    return found or None


def _turned(angle_deg: float) -> float:
    """An angle as -180 < a <= 180."""
    return 180.0 - (180.0 - angle_deg) % 360.0
