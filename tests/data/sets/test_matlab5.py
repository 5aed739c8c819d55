"""MATLAB 5 files as scipy writes and reads them; what is damaged is refused, and nothing loops or crashes."""

import io
import struct

import numpy as np
import pytest
import scipy.io

from taskct.core.errors import FileFormatError
from taskct.data.sets.matlab5 import read_matlab5

DTYPES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
VALUES = {
    "text": "a scanner",
    "one": 3.5,
    "table": {"numbers": np.arange(12.0).reshape(3, 4), "row": np.arange(5, dtype=np.int8), "inner": {"deep": np.int32(7)}},
    **{f"as_{name}": (np.arange(24).reshape(2, 3, 4) % 100).astype(name) for name in DTYPES},
}
OTHERS = {"complex": np.ones(3) * 1j, "cells": np.array([1.0, "x"], dtype=object), "z": 1.0}


def packed(values, **options) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, values, **options)
    return stream.getvalue()


def read(raw: bytes, limit_bytes: int = 2**20):
    return read_matlab5(raw, "a.mat", limit_bytes=limit_bytes)


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_texts_and_structs_are_what_scipy_reads(compressed):
    raw = packed(VALUES, do_compression=compressed)
    found, wanted = read(raw), scipy.io.loadmat(io.BytesIO(raw), squeeze_me=True, struct_as_record=False)
    for name in VALUES.keys() - {"table"}:
        assert (
            np.array_equal(found[name], wanted[name])
            and np.asarray(found[name]).dtype.kind == np.asarray(wanted[name]).dtype.kind
        )
    table = found["table"]
    assert np.array_equal(table["numbers"], VALUES["table"]["numbers"]) and table["row"].tolist() == [0, 1, 2, 3, 4]
    assert table["inner"]["deep"] == 7


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("stored", "coding"), [(4, "utf-16"), (17, "utf-16"), (16, "utf-8"), (1, "latin-1")])
def test_texts_of_either_byte_order_are_read_in_the_coding_of_their_type(order: str, stored: int, coding: str):
    text = "Röntgen"
    stem = {"<": "-le", ">": "-be"}[order] if coding == "utf-16" else ""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(order + "II", kind, len(content)) + content + bytes(-len(content) % 8)

    head = element(6, struct.pack(order + "II", 4, 0)) + element(5, struct.pack(order + "ii", 1, len(text)))
    body = head + element(1, b"scanner") + element(stored, text.encode(coding + stem))
    raw = b"MATLAB 5.0".ljust(124) + struct.pack(order + "H", 0x0100) + {"<": b"IM", ">": b"MI"}[order] + element(14, body)
    assert read(raw) == {"scanner": text}


def test_what_is_not_read_is_passed_over():
    found = read(packed(OTHERS))
    assert found["complex"] is None and found["cells"] is None and found["z"] == 1.0


def test_lengths_that_the_file_does_not_hold_are_refused():
    raw = packed({"x": np.ones((3, 4))})
    place = raw.index(struct.pack("<ii", 3, 4))
    for shape in ((2**24, 2**24), (3, 5), (-3, -4)):
        with pytest.raises(FileFormatError, match=r"^a\.mat: declares x of"):
            read(raw[:place] + struct.pack("<ii", *shape) + raw[place + 8 :])
    number = raw.index(struct.pack("<II", 9, 96))
    with pytest.raises(FileFormatError, match="stores x as type 99"):
        read(raw[:number] + struct.pack("<I", 99) + raw[number + 4 :])
    for size in (200, len(raw) - 8):
        with pytest.raises(FileFormatError, match="truncated"):
            read(raw[:size])
    with pytest.raises(FileFormatError, match="no byte order"):
        read(raw[:126] + b"XX" + raw[128:])


def test_structs_whose_fields_are_missing_or_nested_too_deep_are_refused():
    deep: object = 1.0
    for _ in range(20):
        deep = {"a": deep}
    with pytest.raises(FileFormatError, match="nested deeper than"):
        read(packed({"x": deep}))
    raw = packed({"x": {"a": 1.0, "b": 2.0}})
    at = raw.index(b"a" + bytes(31)) if b"a" + bytes(31) in raw else raw.index(b"a\0")
    names = struct.unpack("<I", raw[at - 4 : at])[0]
    more = raw[: at - 4] + struct.pack("<I", names - 8) + raw[at:]
    with pytest.raises(FileFormatError, match=r"a\.mat: "):
        read(more)


def test_what_unpacks_beyond_the_limit_is_refused():
    raw = packed({"x": np.zeros(2**18)}, do_compression=True)
    assert len(raw) < 2**14
    with pytest.raises(FileFormatError, match="truncated, or larger than 1048576 bytes"):
        read(raw)
