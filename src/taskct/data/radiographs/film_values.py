"""A radiograph from a file: DICOM, PNG (8 or 16 bits) or NIfTI, as stored numbers with the picture's first row first."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.open_files import open_binary, parsing, read_start, regular_file
from taskct.data.radiographs.film_aperture import covered_share
from taskct.data.radiographs.film_header import FilmHeader, film_header

MOST_PIXELS = 8192 * 8192
_PNG = b"\x89PNG\r\n\x1a\n"
_HIGHEST = {"L": 255.0, "I;16": 65535.0, "I;16B": 65535.0, "I": 65535.0}


@dataclass(frozen=True, eq=False)
class Film:
    """Stored numbers (rows, columns) as float64, rows downwards as the picture is shown, and the header if there is one.

    `highest` is the largest number that the file can hold, as `values` are; None for real numbers. `padded` is the share of
    the pixels that the header declares to be no measurement (PixelPaddingValue), `covered` that behind collimator or shutter.
    """

    path: Path
    values: np.ndarray
    highest: float | None
    header: FilmHeader | None = None
    notes: tuple[str, ...] = ()
    padded: float = 0.0
    covered: float = 0.0


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
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise UnsupportedDataError(f"{path}: an animated PNG of {frames} pictures; save the one to be used by itself")
        if image.mode not in _HIGHEST:
            raise UnsupportedDataError(
                f"{path}: a PNG of mode {image.mode}; expected grey levels of 8 or 16 bits without transparency or palette"
            )
        return Film(path, np.asarray(image).astype(np.float64), _HIGHEST[image.mode])


def _nifti(path: Path) -> Film:
    from taskct.data.nifti import open_nifti

    stored = open_nifti(path)
    z, y, x = stored.shape
    if z != 1 or y * x > MOST_PIXELS:
        raise UnsupportedDataError(f"{path}: {x} x {y} x {z} values; expected one radiograph, columns x rows")
    values = np.asarray(stored.read_first(1)[0], dtype=np.float64)
    if not np.isfinite(values).all():
        raise FileFormatError(f"{path}: holds NaN or infinite values; mend them first")
    note = "NIfTI: the first row in the file was taken as the top of the picture, its orientation was not used"
    return Film(path, values, None, notes=(note,))


def _dicom(path: Path) -> Film:
    from taskct.data.dicom.dicom_padding import declared_padding
    from taskct.data.dicom.parse import open_header
    from taskct.data.dicom.pixels import stored_values
    from taskct.data.dicom.values import integer

    file = open_header(path)
    facts = film_header(file)
    rows, cols = (integer(path, file.header, name) for name in ("Rows", "Columns"))
    if not rows or not cols or rows * cols > MOST_PIXELS:
        raise FileFormatError(f"{path}: declares {rows} x {cols} pixels; expected a radiograph")
    stored, notes = stored_values(file, 1, (rows, cols))
    with np.errstate(over="ignore"):
        values = stored[0].astype(np.float64) * facts.slope + facts.intercept
    if not np.isfinite(values).all():
        raise FileFormatError(
            f"{path}: values rescaled by {facts.slope:g} * stored + {facts.intercept:g} are not finite; the file is damaged"
        )
    padding = declared_padding(file, slope=facts.slope, intercept=facts.intercept)
    padded = 0.0 if padding is None else float(((values >= padding[0]) & (values <= padding[1])).mean())
    if (facts.slope, facts.intercept) != (1.0, 0.0):
        notes = (*notes, f"values were rescaled as the header says: {facts.slope:g} * stored + {facts.intercept:g}")
    bits = integer(path, file.header, "BitsStored") or 16
    signed = bool(integer(path, file.header, "PixelRepresentation"))
    ends = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    highest = max(facts.slope * end + facts.intercept for end in ends)
    covered, unread = covered_share(file, (rows, cols))
    return Film(path, values, highest, facts, (*facts.notes, *notes, *unread), padded, covered)
