"""Every image plane of a file with its place, size and scale; an enhanced file has them in its functional groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.names import plural
from taskct.data.dicom.parse import DicomFile, short
from taskct.data.dicom.values import integer, items, number, numbers, text, value, words

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
CT_CLASSES = (CT, ENHANCED_CT, LEGACY_ENHANCED_CT)

MAX_SIDE = 8192  # pixels; clinical CT slices have at most 2048, and a decoder allocates what the header says
_HU_NAMES = {"HU", "HOUNSFIELD", "HOUNSFIELD UNITS", "[HNSF'U]"}
_UNSPECIFIED = {"US", "UNSPECIFIED", "NONE", "UNKNOWN"}
_NOT_HU_TYPES = {
    "ELECTRON_DENSITY", "EFF_ATOMIC_NUM", "EFFECTIVE_Z", "PERFUSION", "CBF", "CBV", "MTT", "TTP", "TMAX", "MASK",
    "SEGMENTATION",    "MATERIAL_FRACTION", "VALUE_MAP", "IODINE", "PARAMETRIC", "ERROR", "DENSITY_MAP", "CONCENTRATION",
}  # fmt: skip
_UNIT_TOLERANCE = 1e-2  # on the length and the right angle of direction cosines, which some files round to 2 decimals


@dataclass(frozen=True, eq=False)
class Frame:
    """One image plane. Positions and directions are the patient's (x, y, z) in mm, as DICOM writes them.

    `orientation` holds the direction of rising column index, then of rising row index; None with `position` when the
    file has no geometry. HU = slope * stored + intercept.
    """

    file: DicomFile
    index: int
    shape: tuple[int, int]
    pixel_mm: tuple[float, float]
    position: np.ndarray | None
    orientation: np.ndarray | None
    slope: float
    intercept: float
    thickness_mm: float | None
    image_type: tuple[str, ...]
    unit_note: str = ""

    @property
    def name(self) -> str:
        """The file, and which of its frames where it has several, for messages."""
        return self.file.path.name + (f" frame {self.index + 1}" if frame_count(self.file) > 1 else "")

    @property
    def localizer(self) -> bool:
        """True for a scout view, which is a radiograph and no slice."""
        return is_localizer(self.image_type)

    @property
    def normal(self) -> np.ndarray:
        """Unit vector through the slice; (0, 0, 1) when the file has no geometry."""
        if self.orientation is None:
            return np.array([0.0, 0.0, 1.0])
        return np.cross(self.orientation[:3], self.orientation[3:])


def is_localizer(image_type: tuple[str, ...]) -> bool:
    """True when an ImageType or FrameType says scout."""
    return any(word.upper() in {"LOCALIZER", "SCOUT"} for word in image_type)


def file_image_type(file: DicomFile) -> tuple[str, ...]:
    """ImageType of a file."""
    return words(file.path, file.header, "ImageType")


def is_ct(file: DicomFile) -> bool:
    """True when a file holds CT images by its SOP class, or by its modality if it names no class."""
    modality = text(file.path, file.header, "Modality").upper()
    if file.sop_class:
        return file.sop_class in CT_CLASSES and modality in {"CT", ""}
    return modality == "CT"


def frame_count(file: DicomFile) -> int:
    """NumberOfFrames; 1 when the file does not say."""
    return integer(file.path, file.header, "NumberOfFrames") or 1


def frames_of(file: DicomFile, *, need_scale: bool = True) -> list[Frame]:
    """The image planes of a CT file, in stored order. `need_scale=False` is for masks, whose numbers need not be HU.

    Raises UnsupportedDataError for what is no CT slice in HU, FileFormatError for what is damaged.
    """
    path, header = file.path, file.header
    count = frame_count(file)
    shape = _shape(file)
    _check_pixel_kind(file)
    if file.sop_class in (ENHANCED_CT, LEGACY_ENHANCED_CT):
        return _enhanced(file, shape, count, need_scale)
    if count != 1:
        raise UnsupportedDataError(
            f"{path}: {count} frames in a plain CT file, which has no place for their positions; "
            "export the series as single slices or as Enhanced CT"
        )
    return [_frame(file, 0, shape, [header], file_image_type(file), need_scale=need_scale)]


def _enhanced(file: DicomFile, shape: tuple[int, int], count: int, need_scale: bool) -> list[Frame]:
    path = file.path
    shared = (items(path, file.header, "SharedFunctionalGroupsSequence") or [Dataset()])[0]
    per_frame = items(path, file.header, "PerFrameFunctionalGroupsSequence")
    if len(per_frame) != count:
        raise FileFormatError(f"{path}: says {count} frames and describes {len(per_frame)}; the file is damaged")
    frames = []
    for index, groups in enumerate(per_frame):
        places = []
        for name in (
            "PlanePositionSequence",
            "PlaneOrientationSequence",
            "PixelMeasuresSequence",
            "PixelValueTransformationSequence",
            "CTImageFrameTypeSequence",
            "RealWorldValueMappingSequence",
        ):
            places += (items(path, groups, name) or items(path, shared, name))[:1]
        kind: tuple[str, ...] = ()
        for place in places:
            kind = kind or words(path, place, "FrameType")
        frames.append(_frame(file, index, shape, places, kind or file_image_type(file), need_scale=need_scale))
    return frames


def _frame(
    file: DicomFile,
    index: int,
    shape: tuple[int, int],
    places: list[Dataset],
    kind: tuple[str, ...],
    *,
    need_scale: bool,
) -> Frame:
    path = file.path
    slope, intercept, unit_note = _rescale(file, places) if need_scale else _any_scale(path, places)
    pixel_mm = _first_numbers(path, places, "PixelSpacing", 2)
    if pixel_mm is None:
        raise UnsupportedDataError(f"{path}: PixelSpacing is missing, so nothing has a size in mm; export the series again")
    if not all(1e-3 <= side <= 100 for side in pixel_mm):
        raise FileFormatError(f"{path}: PixelSpacing is {pixel_mm} mm, which no CT pixel has; the file is damaged")
    position = _first_numbers(path, places, "ImagePositionPatient", 3)
    orientation = _first_numbers(path, places, "ImageOrientationPatient", 6)
    thickness = _first_numbers(path, places, "SliceThickness", 1)
    if thickness is not None and not 0 < thickness[0] <= 1000:
        thickness = None
    return Frame(
        file=file,
        index=index,
        shape=shape,
        pixel_mm=(pixel_mm[0], pixel_mm[1]),
        position=None if position is None else np.array(position),
        orientation=None if orientation is None else _unit_axes(path, np.array(orientation)),
        slope=slope,
        intercept=intercept,
        thickness_mm=None if thickness is None else thickness[0],
        image_type=kind,
        unit_note=unit_note,
    )


def _shape(file: DicomFile) -> tuple[int, int]:
    path, header = file.path, file.header
    rows, cols = integer(path, header, "Rows"), integer(path, header, "Columns")
    frames = frame_count(file)
    if not rows or not cols or min(rows, cols, frames) < 1:
        raise FileFormatError(
            f"{path}: declares an image of {rows} x {cols} pixels, {plural(frames, 'frame')}; the file is damaged"
        )
    if max(rows, cols) > MAX_SIDE:
        raise FileFormatError(
            f"{path}: declares {rows} x {cols} pixels; a CT slice has at most {MAX_SIDE} along a side; "
            "the file is damaged or hostile"
        )
    return rows, cols


def _check_pixel_kind(file: DicomFile) -> None:
    path, header = file.path, file.header
    if (integer(path, header, "SamplesPerPixel") or 1) != 1:
        raise UnsupportedDataError(f"{path}: a colour image (SamplesPerPixel is not 1); CT in HU has one value per pixel")
    photometric = text(path, header, "PhotometricInterpretation")
    if photometric == "MONOCHROME1":
        raise UnsupportedDataError(
            f"{path}: PhotometricInterpretation is MONOCHROME1 (shown inverted), and files differ in whether their values are "
            "inverted too; if air is low in it, change the attribute to MONOCHROME2"
        )
    if photometric != "MONOCHROME2":
        raise UnsupportedDataError(f"{path}: PhotometricInterpretation is {short(photometric)}; CT in HU is MONOCHROME2")


def _any_scale(path: Path, places: list[Dataset]) -> tuple[float, float, str]:
    """Slope and intercept as far as a file has them."""
    slope, intercept = _first_numbers(path, places, "RescaleSlope", 1), _first_numbers(path, places, "RescaleIntercept", 1)
    return (slope[0] if slope and slope[0] else 1.0), (intercept[0] if intercept else 0.0), ""


def _rescale(file: DicomFile, places: list[Dataset]) -> tuple[float, float, str]:
    """Slope and intercept to HU, and only to HU, with a note where HU had to be assumed.

    RescaleType US says "unspecified"; ITK, GDCM and others write it for CT. CT with slope and intercept is then in HU, as the
    CT image of DICOM is by default, unless its ImageType says that it shows something else. Enhanced CT files write US for
    perfusion maps, and HU for CT: there it is refused.
    """
    path = file.path
    for place in places:
        for mapping in items(path, place, "RealWorldValueMappingSequence") or [place]:
            for unit in items(path, mapping, "MeasurementUnitsCodeSequence"):
                code = text(path, unit, "CodeValue")
                if code not in {"[hnsf'U]", "hnsf'U", "HU"}:
                    what = text(path, mapping, "LUTExplanation") or text(path, unit, "CodeMeaning")
                    raise UnsupportedDataError(
                        f"{path}: pixel values are {short(what)} in {short(code)}, not Hounsfield units; choose the CT series"
                    )
        if value(path, place, "ModalityLUTSequence") is not None:
            raise UnsupportedDataError(f"{path}: values go through a look-up table (ModalityLUTSequence); CT in HU has none")
    slope, intercept = _first_numbers(path, places, "RescaleSlope", 1), _first_numbers(path, places, "RescaleIntercept", 1)
    if slope is None or intercept is None:
        missing = "RescaleSlope" if slope is None else "RescaleIntercept"
        raise UnsupportedDataError(
            f"{path}: {missing} is missing, so the stored numbers are not known to be HU; export the series again"
        )
    if slope[0] <= 0:
        raise UnsupportedDataError(f"{path}: RescaleSlope is {slope[0]:g}; for CT in HU it is positive")
    unit_name = next((t for t in (text(path, place, "RescaleType") for place in places) if t), "HU")
    if unit_name.upper() in _HU_NAMES:
        return slope[0], intercept[0], ""
    if unit_name.upper() not in _UNSPECIFIED or file.sop_class in (ENHANCED_CT, LEGACY_ENHANCED_CT):
        raise UnsupportedDataError(
            f"{path}: RescaleType is {short(unit_name)}, not HU; choose the CT series in Hounsfield units"
        )
    other = [word for word in file_image_type(file) if word.upper() in _NOT_HU_TYPES]
    if other:
        raise UnsupportedDataError(
            f"{path}: RescaleType {short(unit_name)} leaves the unit open, and ImageType says {short(other[0])}, which is not "
            "in Hounsfield units; choose the CT series"
        )
    return slope[0], intercept[0], f"RescaleType is {unit_name} (unspecified): CT values were taken as HU"


def _first_numbers(path: Path, places: list[Dataset], keyword: str, count: int) -> tuple[float, ...] | None:
    for place in places:
        found = numbers(path, place, keyword, count)
        if found is not None:
            return found
    return None


def _unit_axes(path: Path, orientation: np.ndarray) -> np.ndarray:
    """Direction cosines made exactly unit and orthogonal; refused when they are far from it."""
    right, down = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(right), np.linalg.norm(down)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(right @ down)) > _UNIT_TOLERANCE:
        raise FileFormatError(
            f"{path}: ImageOrientationPatient {np.round(orientation, 4).tolist()} is not a pair of unit vectors at a right "
            "angle; the file is damaged"
        )
    right = right / lengths[0]
    down = down - (down @ right) * right
    return np.concatenate([right, down / np.linalg.norm(down)])


def spacing_between_mm(frame: Frame) -> float | None:
    """SpacingBetweenSlices of a plain file, when it is a usable number."""
    found = number(frame.file.path, frame.file.header, "SpacingBetweenSlices")
    return abs(found) if found else None
