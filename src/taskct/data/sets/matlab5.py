"""What a MATLAB 5 array declares of itself, checked before scipy builds it: a damaged length would let it loop for ever."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator

from taskct.core.errors import FileFormatError

_MATRIX = 14
_CELL, _STRUCT, _OBJECT = 1, 2, 3
_LEAST_ELEMENT = 8  # bytes: an array without anything
_MOST_DEPTH = 32


def check_matlab5_array(body: bytes, path: str | os.PathLike[str], *, order: str, depth: int = 0) -> None:
    """FileFormatError unless the cells and fields that an array (the bytes within its tag) declares lie in it, at any depth.

    `order` is "<" or ">" of the file. Numbers are left to scipy: their bytes are counted, not looped over.
    """
    if depth > _MOST_DEPTH:
        raise FileFormatError(f"{path}: arrays are nested deeper than {_MOST_DEPTH}; the file is damaged or hostile")
    elements = _elements(body, order, path)
    heads = [value for _, (_, value) in zip(range(3), elements, strict=False)]
    if len(heads) < 3:  # an empty array
        return
    flags, dims, _ = heads
    kind = struct.unpack(order + "I", flags[:4])[0] & 0xFF if len(flags) >= 4 else 0
    if kind not in (_CELL, _STRUCT, _OBJECT):
        return
    shape = struct.unpack(f"{order}{len(dims) // 4}i", dims[: len(dims) // 4 * 4])
    count = math.prod(shape)
    if any(n < 0 for n in shape):
        raise FileFormatError(f"{path}: declares an array of {shape}; the file is damaged")
    if kind != _CELL:
        if kind == _OBJECT:
            next(elements, None)
        length, names = next(elements, (0, b""))[1], next(elements, (0, b""))[1]
        each = struct.unpack(order + "i", length[:4])[0] if len(length) >= 4 else 0
        if each <= 0:
            raise FileFormatError(f"{path}: declares names of {each} bytes; the file is damaged")
        count *= len(names) // each
    if count * _LEAST_ELEMENT > len(body):
        raise FileFormatError(f"{path}: declares {count} fields or cells in {len(body)} bytes; the file is damaged")
    found = 0
    for number, value in elements:
        if number != _MATRIX:
            raise FileFormatError(f"{path}: holds an element of type {number} among its fields; the file is damaged")
        check_matlab5_array(value, path, order=order, depth=depth + 1)
        found += 1
    if found < count:
        raise FileFormatError(f"{path}: declares {count} fields or cells and holds {found}; the file is damaged")


def _elements(body: bytes, order: str, path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """Type and value of each element, in the long form or the short one of at most 4 bytes."""
    place = 0
    while place + 8 <= len(body):
        number, size = struct.unpack(order + "II", body[place : place + 8])
        if number >> 16:
            size, number = number >> 16, number & 0xFFFF
            value, place = body[place + 4 : place + 4 + min(size, 4)], place + 8
        else:
            value = body[place + 8 : place + 8 + size]
            place += 8 + size + (-size % 8)
        if size > len(value):
            raise FileFormatError(f"{path}: truncated: an element of {size} bytes has only {len(value)}")
        yield number, value
