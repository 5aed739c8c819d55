"""NRRD (.nrrd, .nhdr): the header is read by pynrrd, the values here, after their size was checked."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, NO_LIMIT, check_array_size
from taskct.core.open_files import file_size, parsing, read_start, regular_file
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.bounded import sibling
from taskct.data.case import Case
from taskct.data.volume import NO_ORIENTATION, NO_POSITION, StoredVolume, Volume, case_from_volume

_TYPES = {
    "signed char": "i1", "int8": "i1", "int8_t": "i1", "uchar": "u1", "unsigned char": "u1", "uint8": "u1", "uint8_t": "u1",
    "short": "i2", "short int": "i2", "signed short": "i2", "signed short int": "i2", "int16": "i2", "int16_t": "i2",
    "ushort": "u2", "unsigned short": "u2", "unsigned short int": "u2", "uint16": "u2", "uint16_t": "u2",
    "int": "i4", "signed int": "i4", "int32": "i4", "int32_t": "i4", "uint": "u4", "unsigned int": "u4", "uint32": "u4",
    "uint32_t": "u4", "longlong": "i8", "long long": "i8", "long long int": "i8", "int64": "i8", "int64_t": "i8",
    "ulonglong": "u8", "unsigned long long": "u8", "unsigned long long int": "u8",
    "signed long long": "i8", "signed long long int": "i8", "uint64": "u8", "uint64_t": "u8", "float": "f4", "double": "f8",
}  # fmt: skip
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_MOST_HEADER_BYTES = 2**20
_REVERSED = [2, 1, 0, 3]  # x, y, z <-> z, y, x


def read_nrrd(
    path: str | os.PathLike[str],
    *,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> Case:
    """A .nrrd, or .nhdr with its data file beside it, of HU -> Case; raw and gzip encodings.

    Raises FileFormatError (damaged, truncated, lying) and UnsupportedDataError (other encodings, more than one value per
    voxel, data in another folder or in many files, sheared axes).
    """
    volume = read_nrrd_volume(path, limit_bytes=limit_bytes)
    return case_from_volume(path, volume, format_name="NRRD", mu_water_per_mm=mu_water_per_mm)


def read_nrrd_volume(path: str | os.PathLike[str], *, limit_bytes: int = MAX_VOLUME_BYTES) -> Volume:
    """The values of an NRRD file in our orientation."""
    return open_nrrd(path).read(limit_bytes=limit_bytes)


def open_nrrd(path: str | os.PathLike[str]) -> StoredVolume:
    """What the header of an NRRD file says; nothing of its values is read."""
    path = regular_file(path)
    header, header_bytes = _read_header(path)
    sizes = [int(n) for n in header["sizes"]]
    if int(header["dimension"]) != 3 or len(sizes) != 3:
        raise UnsupportedDataError(f"{path}: has sizes {sizes}; expected one volume of 3 dimensions")
    kind = str(header["type"]).lower()
    if kind not in _TYPES:
        raise UnsupportedDataError(f"{path}: holds values of type {kind!r}; expected whole or real numbers")
    dtype = np.dtype(_TYPES[kind])
    _encoding(header, path)
    if dtype.itemsize > 1:
        endian = str(header.get("endian", "")).lower()
        if endian not in ("little", "big"):
            raise FileFormatError(f"{path}: names no byte order (endian) for values of {dtype.itemsize} bytes")
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    shape = sizes[2], sizes[1], sizes[0]
    size = check_array_size(path, shape, dtype.itemsize, limit_bytes=NO_LIMIT)
    affine, notes = _affine(header, path)
    place = _place(header, path, header_bytes, size)
    return StoredVolume(path, shape, dtype, affine[np.ix_(_REVERSED, _REVERSED)], tuple(notes), place)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    import nrrd

    head = io.BytesIO(read_start(path, _MOST_HEADER_BYTES))
    if head.getvalue()[:7] != b"NRRD000":
        raise FileFormatError(f"{path}: expected an NRRD file, but the content is not NRRD")
    with parsing(path, "an NRRD header"):
        header = dict(nrrd.read_header(head))
    missing = [key for key in ("dimension", "type", "sizes", "encoding") if key not in header]
    if missing:
        raise FileFormatError(f"{path}: the NRRD header has no {missing[0]!r}")
    return header, head.tell()


def _encoding(header: dict[str, Any], path: Path) -> str:
    encoding = str(header["encoding"]).lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise UnsupportedDataError(f"{path}: encoding {encoding!r}; expected raw or gzip; save it as raw")
    return encoding


def _place(header: dict[str, Any], path: Path, header_bytes: int, size: int) -> dict[str, Any]:
    """Where the values lie, as arguments of `read_exactly`."""
    encoding = _encoding(header, path)
    line_skip = int(header.get("line skip", header.get("lineskip", 0)))
    skip = int(header.get("byte skip", header.get("byteskip", 0)))
    if line_skip != 0 or skip < -1 or (skip != 0 and encoding != "raw"):
        raise UnsupportedDataError(f"{path}: skips {line_skip} lines and {skip} bytes before its values; expected none")
    data_file = header.get("data file", header.get("datafile"))
    where, start = path, header_bytes
    if data_file is not None:
        if not isinstance(data_file, str) or data_file.upper().startswith("LIST") or "%" in data_file:
            raise UnsupportedDataError(f"{path}: keeps its slices in many files ({data_file!r}); convert it to one .nrrd")
        where, start = sibling(path, data_file), 0
    if encoding != "raw":
        return {"path": where, "offset": 0, "packed_from": start}
    if skip == -1:  # the values are the end of the file
        start, skip = max(file_size(where) - size, start), 0
    return {"path": where, "offset": start + skip, "plain": True}


def _affine(header: dict[str, Any], path: Path) -> tuple[np.ndarray, list[str]]:
    """Voxel (x, y, z, 1) -> LPS position (x, y, z, 1) in mm."""
    notes: list[str] = []
    affine = np.eye(4)
    directions = header.get("space directions")
    if directions is None:
        spacings = np.asarray(header.get("spacings", [np.nan]), dtype=np.float64)
        if spacings.shape != (3,) or not (np.isfinite(spacings) & (spacings > 0)).all():
            raise FileFormatError(f"{path}: names neither space directions nor three spacings, so distances are unknown")
        affine[:3, :3] = np.diag(spacings)
        notes.append(f"{NO_ORIENTATION}; axes were taken as left, posterior, superior")
        notes.append(NO_POSITION)
        return affine, notes
    space = str(header.get("space", "")).lower()
    if space not in _TO_LPS:
        raise UnsupportedDataError(f"{path}: space {space or 'not named'!r}; expected one of {', '.join(list(_TO_LPS)[::2])}")
    directions = np.asarray(directions, dtype=np.float64)
    origin = np.asarray(header.get("space origin", np.zeros(3)), dtype=np.float64)
    if directions.shape != (3, 3) or origin.shape != (3,) or not np.isfinite(origin).all():
        raise FileFormatError(
            f"{path}: space directions {directions.shape} and origin {origin.tolist()}; expected 3 x 3 and 3"
        )
    units = header.get("space units")
    if units is not None and any(str(u).strip('"').lower() not in ("mm", "millimeter", "millimeters") for u in units):
        raise UnsupportedDataError(f"{path}: lengths in {list(units)}; expected mm")
    affine[:3, :3] = directions.T
    affine[:3, 3] = origin
    notes += [] if "space origin" in header else [NO_POSITION]
    return np.diag([*_TO_LPS[space], 1.0]) @ affine, notes
