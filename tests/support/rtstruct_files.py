"""Small RTSTRUCT files for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from dicom_files import FRAME_OF_REFERENCE, SERIES
from pydicom.dataset import Dataset

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


def item(**values) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def rtstruct(
    regions: dict[str, Sequence[np.ndarray]],
    *,
    kind: str = "CLOSED_PLANAR",
    frame: str = FRAME_OF_REFERENCE,
    series: str = SERIES,
    first_number: int = 1,
) -> Dataset:
    """An RTSTRUCT whose `regions` map names to contours, each (n, 3) points x, y, z in mm."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = RTSTRUCT, "1.2.6.1", "RTSTRUCT"
    made.SeriesInstanceUID, made.StudyInstanceUID = "1.2.6", "1.2.3.1"
    reference = item(SeriesInstanceUID=series)
    study = item(ReferencedSOPInstanceUID="1.2.3.1", RTReferencedSeriesSequence=[reference])
    made.ReferencedFrameOfReferenceSequence = [item(FrameOfReferenceUID=frame, RTReferencedStudySequence=[study])]
    numbers = range(first_number, first_number + len(regions))
    made.StructureSetROISequence = [
        item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID=frame) for n, name in zip(numbers, regions, strict=True)
    ]
    made.ROIContourSequence = [
        item(
            ReferencedROINumber=n,
            ContourSequence=[
                item(
                    ContourGeometricType=kind,
                    NumberOfContourPoints=len(points),
                    ContourData=[f"{v:.6f}"[:16] for v in np.asarray(points).ravel()],
                )
                for points in contours
            ],
        )
        for n, contours in zip(numbers, regions.values(), strict=True)
    ]
    return made
