"""Bytes of a file, packed or not, from any offset, and never more than are there."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from taskct.core.errors import FileFormatError
from taskct.data.bounded import read_exactly

CONTENT = bytes(range(40))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("offset", [0, 1, 2, 17, 39])
def test_values_begin_exactly_at_their_offset_and_what_follows_is_noted(tmp_path, packed: bool, offset: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(gzip.compress(CONTENT) if packed else CONTENT)
    values, note = read_exactly(path, offset=offset, size=40 - offset)
    assert values.tolist() == list(CONTENT[offset:]) and note is None
    values, note = read_exactly(path, offset=offset, size=1)
    assert values.tolist() == [offset] and (note is None) == (offset == 39)
    assert isinstance(values, np.ndarray) and values.dtype == np.uint8


@pytest.mark.parametrize(("offset", "size"), [(0, 41), (1, 40), (40, 1), (41, 1)])
def test_packed_values_that_are_not_all_there_are_refused(tmp_path, offset: int, size: int) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(CONTENT))
    with pytest.raises(FileFormatError, match=r"a\.gz: truncated"):
        read_exactly(path, offset=offset, size=size)
