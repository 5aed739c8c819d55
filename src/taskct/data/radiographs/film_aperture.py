"""What a DICOM header says of collimator and shutter: which share of a picture lies behind them and was not measured."""

from __future__ import annotations

import numpy as np

from taskct.data.dicom.parse import DicomFile
from taskct.data.dicom.values import integer, number, numbers, words

_EDGES = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")


def covered_share(file: DicomFile, shape: tuple[int, int]) -> tuple[float, tuple[str, ...]]:
    """Share of the pixels (rows, columns) behind collimator or shutter, and notes on shapes that are not read.

    Terms are those of DICOM PS3.3 C.8.7.3 (X-Ray Collimator) and C.7.6.11 (Display Shutter); rows and columns count from 1.
    """
    row, col = np.arange(1, shape[0] + 1)[:, None], np.arange(1, shape[1] + 1)
    free, notes = np.ones(shape, bool), []
    for kind in ("Collimator", "Shutter"):
        for form in words(file.path, file.header, f"{kind}Shape"):
            found = [integer(file.path, file.header, f"{kind}{edge}Edge") for edge in _EDGES]
            edges = [edge for edge in found if edge is not None]
            centre = numbers(file.path, file.header, f"CenterOfCircular{kind}", 2)
            radius = number(file.path, file.header, f"RadiusOfCircular{kind}")
            if form == "RECTANGULAR" and len(edges) == len(_EDGES):
                top, bottom, left, right = edges
                free &= (row >= top) & (row <= bottom) & (col >= left) & (col <= right)
            elif form == "CIRCULAR" and centre is not None and radius is not None:
                free &= (row - centre[0]) ** 2 + (col - centre[1]) ** 2 <= radius**2
            else:
                notes.append(f"{kind}Shape {form[:20]} is not read: that nothing is covered by it was assumed")
    return float(1 - free.mean()), tuple(notes)
