"""Small CT files for the DICOM tests: right by default, wrong in the one way a test asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
SHAPE = (16, 20)
INTERCEPT = -1024
STUDY, SERIES, FRAME_OF_REFERENCE = "1.2.3.1", "1.2.3.2", "1.2.3.3"


def stored_slice(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Numbers as a 12-bit scanner stores them, between 0 (-1024 HU) and 2500."""
    return np.random.default_rng(seed).integers(0, 2500, shape).astype(np.uint16)


def ct_slice(z_mm: float, number: int, pixels: np.ndarray | None = None, **changes: Any) -> Dataset:
    """One axial slice at `z_mm`; `changes` set attributes, None removes one."""
    pixels = stored_slice(number) if pixels is None else pixels
    made = Dataset()
    made.SOPClassUID = CT
    made.SOPInstanceUID = f"{SERIES}.{number + 1}"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = STUDY, SERIES, FRAME_OF_REFERENCE
    made.Modality = "CT"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "Doe^Jane", "MRN-4711", "19700101", "F"
    made.StudyDate, made.StudyTime, made.AccessionNumber, made.ReferringPhysicianName = "20200102", "101112", "ACC-9", "Roe^R"
    made.InstitutionName = "General Hospital"
    made.SeriesDescription = "Abdomen 2.0"
    made.Manufacturer, made.ManufacturerModelName, made.KVP, made.ConvolutionKernel = "SIEMENS", "Biograph", "120", "Br38f"
    made.PatientPosition, made.InstanceNumber, made.SliceThickness = "HFS", 100 - number, "3"
    made.ImagePositionPatient = [-100.5, -90.25, z_mm]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.PixelSpacing = [0.75, 0.5]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, INTERCEPT, "HU"
    made.PixelData = pixels.tobytes()
    for keyword, value in changes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def save(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a dataset as a DICOM file without any check of what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CT)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", generate_uid())
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.ImplementationClassUID = "1.2.3.4"
    dataset.preamble = b"\0" * 128
    dataset.save_as(path, enforce_file_format=True)
    return path


def save_stack(
    folder: Path,
    *,
    slices: int = 4,
    step_mm: float = 2.0,
    change: Callable[[int, Dataset], None] | None = None,
    names: list[str] | None = None,
    **changes: Any,
) -> np.ndarray:
    """Write an even stack from z = -50 mm upwards; `change` is called on each slice. Returns the HU (slices, Y, X)."""
    for number in range(slices):
        made = ct_slice(-50.0 + step_mm * number, number, **changes)
        if change is not None:
            change(number, made)
        save(made, folder / (names[number] if names else f"IM{number:03d}"))
    return np.stack([stored_slice(n).astype(np.float32) + INTERCEPT for n in range(slices)])


def enhanced(slices: int = 3, *, unit: str = "HU", order: list[int] | None = None) -> tuple[Dataset, np.ndarray]:
    """An Enhanced CT file whose frames are stored in `order`, and its HU in rising z."""
    order = order or list(range(slices))
    made = ct_slice(0.0, 0, PixelSpacing=None, ImagePositionPatient=None, ImageOrientationPatient=None)
    for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType", "SliceThickness"):
        delattr(made, keyword)
    made.SOPClassUID = ENHANCED_CT
    made.NumberOfFrames = slices
    volume = np.stack([stored_slice(n) for n in range(slices)])
    made.PixelData = volume[order].tobytes()
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[0.75, 0.5], SliceThickness=2)]
    shared.PixelValueTransformationSequence = [_item(RescaleSlope=1, RescaleIntercept=INTERCEPT, RescaleType=unit)]
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = [
        _item(PlanePositionSequence=[_item(ImagePositionPatient=[-100.5, -90.25, -50.0 + 2 * n])]) for n in order
    ]
    return made, volume.astype(np.float32) + INTERCEPT


def _item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made
