"""A radiograph from a file: DICOM, PNG (8 or 16 bits) or NIfTI, as stored numbers with the picture's first row first."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.open_files import open_binary, parsing, read_start, regular_file
from taskct.data.radiographs.film_header import FilmHeader, film_header

MOST_PIXELS = 8192 * 8192
_PNG = b"\x89PNG\r\n\x1a\n"
_MODES = {"L": 8, "I;16": 16, "I;16B": 16, "I": 16}


@dataclass(frozen=True, eq=False)
class Film:
    """Stored numbers (rows, columns) as float64, rows downwards as the picture is shown, and the header if there is one.

    `bits` is the depth of the numbers, None for real numbers.
    """

    path: Path
    values: np.ndarray
    bits: int | None
    header: FilmHeader | None = None
    notes: tuple[str, ...] = ()


def read_film(path: str | os.PathLike[str]) -> Film:
    """One radiograph; FileFormatError for damage, UnsupportedDataError for colour, runs of frames and other kinds of file."""
    from taskct.data.bounded import read_head
    from taskct.data.dicom.parse import looks_like_dicom
    from taskct.data.nifti import is_nifti_head

    found = regular_file(path, what="radiograph")
    if read_start(found, 8) == _PNG:
        return _png(found)
    if is_nifti_head(read_head(found, 540)):
        return _nifti(found)
    if looks_like_dicom(found):
        return _dicom(found)
    raise UnsupportedDataError(f"{found}: expected a radiograph as DICOM (XA, RF, DX, CR), PNG or NIfTI")


def _png(path: Path) -> Film:
    from PIL import Image

    with open_binary(path) as stream, parsing(path, "PNG"), Image.open(stream, formats=["PNG"]) as image:
        if image.width * image.height > MOST_PIXELS:
            raise FileFormatError(f"{path}: {image.height} x {image.width} pixels; more than a radiograph has")
        if image.mode not in _MODES:
            raise UnsupportedDataError(
                f"{path}: a PNG of mode {image.mode}; expected grey levels of 8 or 16 bits without transparency or palette"
            )
        return Film(path, np.asarray(image).astype(np.float64), _MODES[image.mode])


def _nifti(path: Path) -> Film:
    from taskct.data.nifti import open_nifti

    stored = open_nifti(path)
    z, y, x = stored.shape
    if z != 1 or y * x > MOST_PIXELS:
        raise UnsupportedDataError(f"{path}: {x} x {y} x {z} values; expected one radiograph, columns x rows")
    values = np.asarray(stored.read_first(1)[0], dtype=np.float64)
    if not np.isfinite(values).all():
        raise FileFormatError(f"{path}: holds NaN or infinite values; mend them first")
    bits = 8 * stored.dtype.itemsize if stored.dtype.kind in "iu" else None
    note = "NIfTI: the first row in the file was taken as the top of the picture, its orientation was not used"
    return Film(path, values, bits, notes=(note,))


def _dicom(path: Path) -> Film:
    from taskct.data.dicom.parse import open_header
    from taskct.data.dicom.pixels import stored_values
    from taskct.data.dicom.values import integer

    file = open_header(path)
    facts = film_header(file)
    rows, cols = (integer(path, file.header, name) for name in ("Rows", "Columns"))
    if not rows or not cols or rows * cols > MOST_PIXELS:
        raise FileFormatError(f"{path}: declares {rows} x {cols} pixels; expected a radiograph")
    stored, notes = stored_values(file, 1, (rows, cols))
    values = stored[0].astype(np.float64) * facts.slope + facts.intercept
    if (facts.slope, facts.intercept) != (1.0, 0.0):
        notes = (*notes, f"values were rescaled as the header says: {facts.slope:g} * stored + {facts.intercept:g}")
    bits = integer(path, file.header, "BitsStored")
    return Film(path, values, bits, facts, (*facts.notes, *notes))
