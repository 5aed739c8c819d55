"""Writes radiographs of a projector's views as DICOM, PNG or NIfTI, as scanners and users would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

SOP = {
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1.1",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
}
AIR = 60000


def picture_of(p: torch.Tensor) -> np.ndarray:
    """One view (R, C) of a projector as a picture: the head at the top."""
    return np.ascontiguousarray(p.double().numpy()[::-1])


def counts_of(p: torch.Tensor, air: float = AIR) -> np.ndarray:
    """The same as stored intensities, 16 bits."""
    return np.round(air * np.exp(-picture_of(p))).astype(np.uint16)


def write_dicom(path: Path, stored: np.ndarray, *, modality: str = "XA", **attributes: Any) -> Path:
    """A radiograph of 16 bits; an attribute of None is left out."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = UID(SOP[modality]), generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.Modality = modality
    made.PatientID, made.PatientName = "MRN-1", "Doe^Jo"
    made.Rows, made.Columns = stored.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    made.PixelIntensityRelationship, made.PixelIntensityRelationshipSign = "LIN", 1
    if modality != "XA":
        made.PresentationIntentType = "FOR PROCESSING"
    for name, value in attributes.items():
        if value is None:
            if name in made:
                delattr(made, name)
        else:
            setattr(made, name, value)
    made.PixelData = stored.astype("<u2").tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(path, enforce_file_format=True)
    return path


def xa(source_iso: float, source_detector: float, pixel: float, primary: float, secondary: float = 0.0) -> dict[str, Any]:
    """The geometry of an angiography C-arm as its header states it; `primary` 180 is a source in front of the patient."""
    return {
        "DistanceSourceToPatient": source_iso,
        "DistanceSourceToDetector": source_detector,
        "ImagerPixelSpacing": [pixel, pixel],
        "PositionerPrimaryAngle": primary,
        "PositionerSecondaryAngle": secondary,
    }


def write_png(path: Path, picture: np.ndarray) -> Path:
    """Grey levels of 8 or 16 bits."""
    from PIL import Image

    Image.fromarray(picture).save(path)
    return path


def write_nifti_picture(path: Path, picture: np.ndarray) -> Path:
    """A picture (rows, columns) whose columns run along x."""
    import nibabel

    nibabel.save(nibabel.Nifti1Image(picture.astype(np.float32).T[:, :, None], np.eye(4)), path)
    return path
