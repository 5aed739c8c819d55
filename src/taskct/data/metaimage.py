"""MetaImage (.mha, .mhd): a short text header and plain or zlib-packed values, as ITK writes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, NO_LIMIT, check_array_size
from taskct.core.names import plural
from taskct.core.open_files import file_size, read_start, regular_file
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.bounded import sibling
from taskct.data.case import Case
from taskct.data.volume import NO_ORIENTATION, NO_POSITION, StoredVolume, Volume, case_from_volume

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_MOST_HEADER_BYTES = 2**16
_FIRST_KEYS = ("ObjectType", "NDims", "Comment", "ObjectSubType", "TransformType", "BinaryData")
_REVERSED = [2, 1, 0, 3]  # x, y, z <-> z, y, x


def read_metaimage(
    path: str | os.PathLike[str],
    *,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> Case:
    """A .mha, or .mhd with its data file beside it, of HU -> Case.

    Raises FileFormatError (damaged, truncated, lying) and UnsupportedDataError (several channels, lists of files, data in
    another folder, sheared axes).
    """
    volume = read_metaimage_volume(path, limit_bytes=limit_bytes)
    return case_from_volume(path, volume, format_name="MetaImage", mu_water_per_mm=mu_water_per_mm)


def read_metaimage_volume(path: str | os.PathLike[str], *, limit_bytes: int = MAX_VOLUME_BYTES) -> Volume:
    """The values of a MetaImage in our orientation."""
    return open_metaimage(path).read(limit_bytes=limit_bytes)


def open_metaimage(path: str | os.PathLike[str]) -> StoredVolume:
    """What the header of a MetaImage says; nothing of its values is read."""
    path = regular_file(path)
    header, header_bytes = _read_header(path)
    _refuse_unsupported(header, path)
    columns, rows, slices = _whole(header, "DimSize", 3, path)
    kind = header.get("ElementType", "")
    if kind not in _TYPES:
        raise UnsupportedDataError(f"{path}: element type {kind or 'missing'!r}; expected one of {', '.join(_TYPES)}")
    big = _flag(header, "BinaryDataByteOrderMSB") or _flag(header, "ElementByteOrderMSB")
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")
    shape = slices, rows, columns
    size = check_array_size(path, shape, dtype.itemsize, limit_bytes=NO_LIMIT)
    affine, notes = _affine(header, path)
    place = _place(header, path, header_bytes, size)
    return StoredVolume(path, shape, dtype, affine[np.ix_(_REVERSED, _REVERSED)], tuple(notes), place)


def is_metaimage_head(head: bytes) -> bool:
    """True when the first bytes are a line `Key = value` of a MetaImage header."""
    line = head.split(b"\n", 1)[0].split(b"=")
    return len(line) == 2 and line[0].strip().decode("ascii", "replace") in _FIRST_KEYS


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    """The keys of the header, and where it ends."""
    head = read_start(path, _MOST_HEADER_BYTES)
    if not is_metaimage_head(head):
        raise FileFormatError(f"{path}: expected a MetaImage file, but the content is not MetaImage")
    header: dict[str, str] = {}
    end = 0
    while "ElementDataFile" not in header:
        stop = head.find(b"\n", end)
        line = head[end : stop if stop >= 0 else len(head)].decode("ascii", "replace")
        key, equals, value = line.partition("=")
        if (line.strip() and not equals) or (stop < 0 and key.strip() != "ElementDataFile"):
            raise FileFormatError(f"{path}: the header is damaged or has no ElementDataFile within 64 KiB")
        if equals:
            header[key.strip()] = value.strip()
        end = stop + 1 if stop >= 0 else len(head)
    return header, end


def _refuse_unsupported(header: dict[str, str], path: Path) -> None:
    if header.get("ObjectType", "Image").lower() != "image":
        raise UnsupportedDataError(f"{path}: holds a {header['ObjectType']}, not an image")
    if header.get("NDims") != "3":
        raise UnsupportedDataError(f"{path}: has {header.get('NDims', 'no')} dimensions; expected a volume of 3")
    if header.get("ElementNumberOfChannels", "1") != "1":
        raise UnsupportedDataError(f"{path}: has {header['ElementNumberOfChannels']} values per voxel; expected 1")
    if "BinaryData" in header and not _flag(header, "BinaryData"):
        raise UnsupportedDataError(f"{path}: keeps its values as text; expected binary data")


def _place(header: dict[str, str], path: Path, header_bytes: int, size: int) -> dict[str, Any]:
    """Where the values lie, as arguments of `read_exactly`."""
    data_file = header["ElementDataFile"]
    packed = _flag(header, "CompressedData")
    if data_file.upper() in ("LOCAL", "LOCALE"):
        if packed:
            return {"path": path, "offset": 0, "packed_from": header_bytes, "zlib_stream": True}
        return {"path": path, "offset": header_bytes, "plain": True}
    if data_file.upper().startswith("LIST") or "%" in data_file:
        raise UnsupportedDataError(f"{path}: keeps its slices in many files ({data_file!r}); convert it to one .mha")
    skip = _whole(header, "HeaderSize", 1, path)[0] if "HeaderSize" in header else 0
    beside = sibling(path, data_file)
    if packed:
        return {"path": beside, "offset": 0, "packed_from": max(skip, 0), "zlib_stream": True}
    if skip == -1:  # the values are the end of the file
        skip = max(file_size(beside) - size, 0)
    if skip < 0:
        raise FileFormatError(f"{path}: HeaderSize {skip}; expected 0, more, or -1")
    return {"path": beside, "offset": skip, "plain": True}


def _affine(header: dict[str, str], path: Path) -> tuple[np.ndarray, list[str]]:
    """Voxel (x, y, z, 1) -> LPS position (x, y, z, 1) in mm; row i of TransformMatrix is the direction of axis i."""
    notes = []
    spacing_key = "ElementSpacing" if "ElementSpacing" in header else "ElementSize"
    if spacing_key not in header:
        raise FileFormatError(f"{path}: names no ElementSpacing, so distances are unknown")
    spacing = _numbers(header, spacing_key, 3, path)
    if not (spacing > 0).all():
        raise FileFormatError(f"{path}: {spacing_key} {spacing.tolist()}; expected positive numbers of mm")
    matrix = np.eye(3)
    direction_key = next((k for k in ("TransformMatrix", "Rotation", "Orientation") if k in header), None)
    if direction_key:
        matrix = _numbers(header, direction_key, 9, path).reshape(3, 3)
    else:
        notes.append(f"{NO_ORIENTATION}; axes were taken as left, posterior, superior")
    origin_key = next((k for k in ("Offset", "Position", "Origin") if k in header), None)
    affine = np.eye(4)
    affine[:3, :3] = matrix.T * spacing
    if origin_key:
        affine[:3, 3] = _numbers(header, origin_key, 3, path)
    else:
        notes.append(NO_POSITION)
    return affine, notes


def _numbers(header: dict[str, str], key: str, count: int, path: Path) -> np.ndarray:
    try:
        values = np.array([float(v) for v in header.get(key, "").split()])
    except ValueError:
        values = np.array([])
    if len(values) != count or not np.isfinite(values).all():
        raise FileFormatError(f"{path}: expected {count} finite numbers as {key}, got {header.get(key, 'none')[:80]!r}")
    return values


def _whole(header: dict[str, str], key: str, count: int, path: Path) -> list[int]:
    values = _numbers(header, key, count, path)
    if (values != np.rint(values)).any():
        raise FileFormatError(f"{path}: expected {plural(count, 'whole number')} as {key}, got {header[key][:80]!r}")
    return [int(v) for v in values]


def _flag(header: dict[str, str], key: str) -> bool:
    return header.get(key, "False").lower() in ("true", "1")
