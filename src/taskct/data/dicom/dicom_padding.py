"""Pixels outside the scanned circle -> air, by the rule of data/padding.py and what a DICOM header declares.

Scanners mark the corners of the square that no ray crossed with numbers such as -2000, -2048 or -3024 HU. They are not
attenuation, and as such would count in every mean and every noise figure. Two rules, both reported with a count:

- below -1500 HU nothing is tissue or noise of air: it becomes -1000 HU;
- a declared PixelPaddingValue (to its PixelPaddingRangeLimit) between -1500 and -1024 HU becomes -1000 HU as well.

A declared value at or above -1024 HU could be air or tissue (files exist that declare 0 HU); it is left alone and noted.
Series that taskct wrote have no padding and are read as they are.
"""

from __future__ import annotations

import numpy as np

from taskct.data.case import AIR_HU
from taskct.data.dicom.parse import DicomFile
from taskct.data.dicom.values import integer
from taskct.data.padding import LOWEST_AIR_HU, PADDING_BELOW_HU

_ROUNDING_HU = 0.01  # of float32 at 32768; stored steps are larger


def fill_outside(hu: np.ndarray, *, declared_hu: tuple[float, float] | None = None) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """HU with padding -> HU of the same shape with air instead, the number of pixels changed, and notes.

    >>> fill_outside(np.array([-3024.0, -1010.0, 40.0], np.float32))[:2]
    (array([-1000., -1010.,    40.], dtype=float32), 1)
    """
    outside = hu < PADDING_BELOW_HU
    notes: list[str] = []
    if declared_hu is not None:
        low, high = declared_hu
        declared = (hu >= low - _ROUNDING_HU) & (hu <= high + _ROUNDING_HU)
        if high < LOWEST_AIR_HU:
            outside |= declared
        elif declared.any():
            notes.append(
                f"PixelPaddingValue stands for {high:g} HU, which may be air or tissue: such pixels were left as they are"
            )
    count = int(outside.sum())
    if count:
        hu = np.where(outside, np.float32(AIR_HU), hu)
    return hu, count, tuple(notes)


def declared_padding(file: DicomFile, *, slope: float, intercept: float) -> tuple[float, float] | None:
    """PixelPaddingValue and PixelPaddingRangeLimit in HU, lower first; None when not declared."""
    first = integer(file.path, file.header, "PixelPaddingValue")
    if first is None:
        return None
    last = integer(file.path, file.header, "PixelPaddingRangeLimit")
    signed = integer(file.path, file.header, "PixelRepresentation") == 1
    stored = [_as_signed(v) if signed else v for v in (first, first if last is None else last)]
    low, high = sorted(v * slope + intercept for v in stored)
    return low, high


def _as_signed(stored: int) -> int:
    """A 16-bit number that some files write as unsigned although the pixels are signed."""
    return stored - 65536 if stored > 32767 else stored
