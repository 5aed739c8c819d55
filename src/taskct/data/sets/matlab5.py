"""Structs of numbers and texts from MATLAB 5 files, read here: scipy's reader loops and crashes on damaged ones.

A file is 128 bytes of header and then elements: type, size, value. An array is an element whose value is elements again
(flags, shape, name, then its numbers, or for a struct the names of its fields and an array for each). "MAT-File Format",
The MathWorks, describes it. What else there is (cells, sparse and complex numbers, objects, functions) is passed over.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from taskct.core.errors import FileFormatError

_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _CHAR = 2, 4
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
_ORDERS: dict[bytes, Literal["<", ">"]] = {b"IM": "<", b"MI": ">"}
_CODINGS = {
    (4, "<"): "utf-16-le", (4, ">"): "utf-16-be", (17, "<"): "utf-16-le", (17, ">"): "utf-16-be", (16, "<"): "utf-8",
    (16, ">"): "utf-8",
}  # fmt: skip
_COMPLEX = 0x0800
_MOST_DEPTH = 16


def read_matlab5(raw: bytes, path: str | os.PathLike[str], *, limit_bytes: int) -> dict[str, Any]:
    """The variables of a MATLAB 5 file by name: arrays without axes of length 1, texts, structs as tables, None for others.

    FileFormatError for what is damaged or unpacks to more than `limit_bytes`.
    """
    order = _ORDERS.get(raw[126:128])
    if order is None:
        raise FileFormatError(f"{path}: the MATLAB header names no byte order")
    found: dict[str, Any] = {}
    left = limit_bytes
    for kind, value in _elements(raw[128:], order, path, padded=False):
        element: tuple[int, bytes] | None = (kind, value)
        if kind == _COMPRESSED:
            plain = _inflated(value, left, path)
            left = max(left - len(plain), 1)
            element = next(_elements(plain, order, path), None)
        if element is not None and element[0] == _MATRIX:
            name, content = _array(element[1], order, path, 0)
            if name in found and name:
                raise FileFormatError(f"{path}: holds two variables called {name!r}; the file is damaged")
            found[name] = content
    return found


def _array(body: bytes, order: Literal["<", ">"], path: str | os.PathLike[str], depth: int) -> tuple[str, Any]:
    """Name and content of an array."""
    if depth > _MOST_DEPTH:
        raise FileFormatError(f"{path}: arrays are nested deeper than {_MOST_DEPTH}; the file is damaged or hostile")
    elements = _elements(body, order, path)
    heads = [value for _, (_, value) in zip(range(3), elements, strict=False)]
    if len(heads) < 3 or len(heads[0]) < 4:
        return "", None
    flags = struct.unpack(order + "I", heads[0][:4])[0]
    shape = struct.unpack(f"{order}{len(heads[1]) // 4}i", heads[1][: len(heads[1]) // 4 * 4])
    name, kind = heads[2].decode("ascii", "replace"), flags & 0xFF
    if not shape or any(n < 0 for n in shape) or len(shape) > 32:
        raise FileFormatError(f"{path}: declares {name or 'an array'} of shape {shape[:8]}; the file is damaged")
    if kind == _STRUCT and math.prod(shape) == 1:
        return name, _fields(elements, order, path, depth)
    if (kind in _CLASSES and not flags & _COMPLEX) or kind == _CHAR:
        stored, value = next(elements, (0, b""))
        if stored not in _STORED:
            raise FileFormatError(f"{path}: stores {name or 'an array'} as type {stored}; the file is damaged")
        dtype = np.dtype(_STORED[stored]).newbyteorder(order)
        if kind == _CHAR:
            return name, value.decode(_CODINGS.get((stored, order), "latin-1"), "replace")
        if len(value) != math.prod(shape) * dtype.itemsize:
            raise FileFormatError(f"{path}: declares {name or 'an array'} of {shape} and stores {len(value)} bytes; damaged")
        values = np.frombuffer(value, dtype).reshape(shape, order="F").astype(_CLASSES[kind])
        return name, values.squeeze()
    return name, None


def _fields(
    elements: Iterator[tuple[int, bytes]], order: Literal["<", ">"], path: str | os.PathLike[str], depth: int
) -> dict[str, Any]:
    length, names = next(elements, (0, b""))[1], next(elements, (0, b""))[1]
    each = struct.unpack(order + "i", length[:4])[0] if len(length) >= 4 else 0
    if each <= 0 or len(names) % each:
        raise FileFormatError(f"{path}: declares names of fields of {each} bytes; the file is damaged")
    found = {}
    for start in range(0, len(names), each):
        kind, value = next(elements, (0, b""))
        if kind != _MATRIX:
            raise FileFormatError(f"{path}: a struct has fewer values than fields; the file is truncated or damaged")
        name = names[start : start + each].split(b"\0")[0].decode("ascii", "replace")
        found[name] = _array(value, order, path, depth + 1)[1]
    return found


def _elements(
    body: bytes, order: Literal["<", ">"], path: str | os.PathLike[str], *, padded: bool = True
) -> Iterator[tuple[int, bytes]]:
    """Type and value of each element, in the long form or the short one of at most 4 bytes."""
    place = 0
    while place + 8 <= len(body):
        kind, size = struct.unpack(order + "II", body[place : place + 8])
        if kind >> 16:
            size, kind = kind >> 16, kind & 0xFFFF
            value, place = body[place + 4 : place + 4 + min(size, 4)], place + 8
        else:
            value = body[place + 8 : place + 8 + size]
            place += 8 + size + (-size % 8 if padded else 0)
        if size > len(value):
            raise FileFormatError(f"{path}: truncated: an element of {size} bytes has only {len(value)}")
        yield kind, value


def _inflated(packed: bytes, limit_bytes: int, path: str | os.PathLike[str]) -> bytes:
    try:
        inflater = zlib.decompressobj()
        plain = inflater.decompress(packed, limit_bytes)
    except zlib.error as error:
        raise FileFormatError(f"{path}: a compressed element is damaged ({error})") from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise FileFormatError(f"{path}: a compressed element is truncated, or larger than {limit_bytes} bytes")
    return plain
