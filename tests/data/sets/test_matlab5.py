"""Arrays that declare more fields or cells than they hold are refused; those of scipy pass at any depth."""

import io
import struct

import numpy as np
import pytest
import scipy.io

from taskct.core.errors import FileFormatError
from taskct.data.sets.matlab5 import check_matlab5_array

NESTED = {
    "a": np.ones((3, 4)),
    "b": {"c": "text", "d": np.array([{"e": 1.0}, "x"], dtype=object)},
    "long": np.arange(5, dtype=np.int8),
}
    "a": np.ones((3, 4)),
    "b": {"c": "text", "d": np.array([{"e": 1.0}, "x"], dtype=object)},
    "long": np.arange(5, dtype=np.int8),
}


def array_bytes(values) -> bytes:
    """What lies within the tag of the one array in a MATLAB 5 file."""
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"x": values})
    return stream.getvalue()[136:]


@pytest.mark.parametrize("values", [NESTED, np.zeros((2, 0)), "text", 1.0, np.array([[{}, {}]], dtype=object)])
def test_what_scipy_writes_passes(values):
    check_matlab5_array(array_bytes(values), "a.mat", order="<")


def test_declared_counts_are_compared_with_the_bytes():
    body = bytearray(array_bytes(NESTED))
    assert body[16:24] == struct.pack("<II", 5, 8)
    for shape in ((2**24, 2**24), (3, 1), (-1, 1)):
        body[24:32] = struct.pack("<ii", *shape)
        with pytest.raises(FileFormatError, match=r"a\.mat: declares"):
            check_matlab5_array(bytes(body), "a.mat", order="<")


def test_deep_nesting_and_short_names_are_refused():
    deep: object = 1.0
    for _ in range(40):
        deep = {"a": deep}
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"x": deep})
    with pytest.raises(FileFormatError, match="nested deeper than"):
        check_matlab5_array(stream.getvalue()[136:], "a.mat", order="<")
    body = array_bytes({"a": 1.0})
    (length,) = {n for n in (2, 4, 8, 16, 32) if body.count(struct.pack("<HHI", 5, 4, n)) == 1}
    nothing = body.replace(struct.pack("<HHI", 5, 4, length), struct.pack("<HHI", 5, 4, 0))
    with pytest.raises(FileFormatError, match="names of 0 bytes"):
        check_matlab5_array(nothing, "a.mat", order="<")
