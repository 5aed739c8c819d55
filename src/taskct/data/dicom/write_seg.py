"""Labels of a case -> a DICOM SEG that refers to the slices of a series (highdicom, extra `dicom`)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from taskct.core.errors import GeometryError, InputError, TaskctError, UnsupportedDataError
from taskct.core.files import atomic_path
from taskct.data.case import Case
from taskct.data.dicom.find import choose, scan
from taskct.data.dicom.identity import new_uid, same_uid
from taskct.data.dicom.mask_series import is_mask_series
from taskct.data.dicom.parse import reason
from taskct.data.dicom.seg import Place, samples
from taskct.data.dicom.series import slice_frames
from taskct.data.dicom.slice_headers import CT, Frame
from taskct.data.dicom.values import text

PathLike = str | os.PathLike[str]


def write_seg(
    case: Case,
    path: PathLike,
    *,
    source: PathLike | Sequence[PathLike],
    overwrite: bool = False,
    algorithm: str = "unknown",
    description: str = "",
    lesions: Collection[int] = (),
) -> Path:
    """Write the labels of a case as one binary DICOM SEG file beside the CT series `source`; returns its path.

    `source` is a series of plain CT files on the case's samples: the original, or one that `write_series` made; of a folder
    of several series, that which the case was read from. The SEG takes patient and study from it, so a SEG on a de-identified
    series is de-identified. `algorithm` names what made the labels. DICOM numbers segments from 1 without gaps, so labels 1
    and 5 become segments 1 and 2; `label_names` go with them. Segments are coded as organs, those of the labels `lesions` as
    abnormal structures.

    Raises InputError without labels, GeometryError when the series lies on other samples, UnsupportedDataError when its
    files have no UIDs to refer to.
    """
    if case.labels is None or not bool((case.labels > 0).any()):
        raise InputError(f"case {case.case_id} has no labels to write")
    frames = _plain_frames(source, case)
    masks = np.stack([_on_frame(case, frame) for frame in frames])
    numbers = [int(n) for n in np.unique(masks) if n > 0]
    if not numbers:
        raise GeometryError(f"{_first(source)}: no label of case {case.case_id} lies on a slice of this series")
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise InputError("writing DICOM SEG needs highdicom; pip install 'taskct[dicom]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = _segmentation(case, frames, masks, numbers, algorithm=algorithm, description=description, lesions=lesions)
            with atomic_path(path, overwrite=overwrite) as part:
                made.save_as(part)
    except TaskctError:
        raise
    except (AttributeError, ValueError, TypeError, KeyError) as error:  # highdicom checks the source's attributes
        raise UnsupportedDataError(
            f"{_first(source)}: no DICOM SEG can refer to this series ({reason(error)}); write it with write_series first and "
            "give that as source"
        ) from error
    return Path(path)


def _plain_frames(source: PathLike | Sequence[PathLike], case: Case) -> list[Frame]:
    """The slices of the one CT series of `source`; of several the one that the case was read from."""
    found = scan(source)
    own = str(case.provenance.get("series_uid", ""))
    read_from = [s.uid for s in found.series if own and s.uid and same_uid(own, s.uid)]
    frames = slice_frames(found, choose(found, read_from[0] if read_from else None, is_mask=is_mask_series))[0]
    for frame in frames:
        if frame.file.sop_class != CT or frame.position is None:
            raise UnsupportedDataError(f"{frame.file.path}: expected plain CT files with positions to refer to")
        header, missing = frame.file.header, [k for k in _NEEDED if not text(frame.file.path, frame.file.header, k)]
        if missing:
            raise UnsupportedDataError(
                f"{frame.file.path}: {', '.join(missing)} is missing, so a SEG cannot refer to it; write the series with "
                "write_series first and give that as source"
            )
        if not text(frame.file.path, header, "SpecificCharacterSet"):
            header.SpecificCharacterSet = "ISO_IR 192"
        for keyword in _MAY_BE_EMPTY:
            if keyword not in header:
                setattr(header, keyword, "")
    normal = frames[0].normal
    return sorted(frames, key=lambda f: float(f.position @ normal) if f.position is not None else 0.0)


_NEEDED = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
_MAY_BE_EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID")


def _on_frame(case: Case, frame: Frame) -> np.ndarray:
    """The labels at the pixels of one source slice."""
    assert frame.position is not None and frame.orientation is not None and case.labels is not None
    place = Place(frame.position, frame.orientation[3:] * frame.pixel_mm[0], frame.orientation[:3] * frame.pixel_mm[1])
    pixels = np.indices(frame.shape).reshape(2, -1)
    at = samples(frame.file.path, place, pixels, frame.shape, case)
    return case.labels.numpy()[tuple(at)].reshape(frame.shape)


def _segmentation(
    case: Case,
    frames: list[Frame],
    masks: np.ndarray,
    numbers: list[int],
    *,
    algorithm: str,
    description: str,
    lesions: Collection[int],
) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    version = metadata.version("taskct")
    made_by = AlgorithmIdentificationSequence(name=algorithm, family=codes.DCM.ArtificialIntelligence, version=version)
    abnormal = codes.SCT.MorphologicallyAbnormalStructure
    known = {"nodule": codes.SCT.Nodule, "effusion": codes.SCT.PleuralEffusion}
    what = {  # category and type of each
        number: (abnormal, known.get(case.label_names.get(number, ""), abnormal))
        if number in lesions
        else (codes.SCT.AnatomicalStructure, codes.SCT.Organ)
        for number in numbers
    }
    segments = [
        SegmentDescription(
            segment_number=index + 1,
            segment_label=(case.label_names.get(number) or f"label {number}")[:64],
            segmented_property_category=what[number][0],
            segmented_property_type=what[number][1],
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=made_by,
        )
        for index, number in enumerate(numbers)
    ]
    planes = np.stack([masks == number for number in numbers], axis=-1).astype(np.uint8)
    sources: list[Dataset] = [frame.file.header for frame in frames]
    return Segmentation(
        source_images=sources,
        pixel_array=planes,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=new_uid(),
        series_number=2000,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer="taskct",
        manufacturer_model_name="taskct",
        software_versions=version,
        device_serial_number="0",
        series_description=description or "taskct labels",
    )


def _first(source: PathLike | Sequence[PathLike]) -> str:
    return str(source if isinstance(source, str | os.PathLike) else source[0])
