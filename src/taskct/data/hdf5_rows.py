"""Rows of an HDF5 data set, read straight from the file: fast, from any thread or process, and never two at a time in memory.

HDF5 itself is asked once where the values lie. After that a row is one `preadv` of the file, or one for each of its chunks:
no handle that would not survive a fork, no global lock, nothing mapped that would count as memory of the process.
"""

from __future__ import annotations

import itertools
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.errors import FileFormatError
from taskct.core.open_files import open_binary
from taskct.data.hdf5_guard import open_hdf5, plain_dataset, read_array

_DEFLATE, _SHUFFLE = 1, 2


@dataclass(frozen=True)
class Chunk:
    """A stored piece: its first row and column (and so on), where its bytes lie, and which filters were left out."""

    start: tuple[int, ...]
    offset: int
    size: int
    filter_mask: int


class Hdf5Rows:
    """`rows.read([3, 0])` -> (2, ...) of the data set `name` (n, ...) of a file, in native byte order.

    Uncompressed data sets, chunked or not, and those packed by deflate and shuffle are read directly, others through HDF5.
    Raises what `open_hdf5` and `read_array` do, and FileFormatError when the file is no longer the one that was looked at.
    """

    def __init__(self, path: str | os.PathLike[str], name: str = "data") -> None:
        self.path, self.name = Path(path), name
        self._stat = _state(os.stat(self.path)) if self.path.exists() else (0, 0)
        with open_hdf5(self.path) as file:
            dataset = plain_dataset(file, name)
            self.shape: tuple[int, ...] = tuple(dataset.shape)
            self.dtype: np.dtype[Any] = dataset.dtype
            self.chunk_shape: tuple[int, ...] = tuple(dataset.chunks or self.shape)
            self._filters = _filters(dataset)
            self._chunks = _chunks(dataset, self.chunk_shape) if self._filters is not None else None
            if self._chunks is not None and not self._agrees(read_array(file, name, index=self.shape[0] - 1)):
                self._chunks = None  # addresses of a kind that is not known here

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def direct(self) -> bool:
        """Whether rows are read without HDF5."""
        return self._chunks is not None

    def read(self, rows: Sequence[int]) -> np.ndarray:
        """Some rows, in this order."""
        for row in rows:
            if not 0 <= row < len(self):
                raise IndexError(f"{self.path}: data set {self.name!r} has rows 0 to {len(self) - 1}, asked for {row}")
        native = self.dtype.newbyteorder("=")
        out = np.empty((len(rows), *self.shape[1:]), native)
        if self._chunks is None:
            with open_hdf5(self.path) as file:
                self._refuse_other(os.stat(self.path))
                for k, row in enumerate(rows):
                    out[k] = read_array(file, self.name, index=row)
            return out
        with open_binary(self.path) as stream:
            self._refuse_other(os.fstat(stream.fileno()))
            for k, row in enumerate(rows):
                self._read_row(stream.fileno(), row, out[k : k + 1])
        return out

    def _read_row(self, file: int, row: int, out: np.ndarray) -> None:
        """Row `row` into `out` (1, ...)."""
        assert self._chunks is not None
        plain, whole = not self._filters, self.chunk_shape[1:] == self.shape[1:]
        for chunk in self._chunks[row // self.chunk_shape[0]]:
            inside = row - chunk.start[0]
            if plain and whole:
                step = math.prod(self.shape[1:]) * self.dtype.itemsize
                straight = self.dtype.isnative
                target = out if straight else np.empty(out.shape, self.dtype)
                self._fill(file, chunk.offset + inside * step, target.reshape(-1).view(np.uint8).data)
                if not straight:
                    out[...] = target
                return
            values = self._unpacked(file, chunk)[inside]
            place = tuple(slice(a, a + n) for a, n in zip(chunk.start[1:], self.chunk_shape[1:], strict=True))
            room = out[0][place]
            room[...] = values[tuple(slice(0, n) for n in room.shape)]

    def _unpacked(self, file: int, chunk: Chunk) -> np.ndarray:
        assert self._filters is not None
        content: bytes | bytearray = bytearray(chunk.size)
        self._fill(file, chunk.offset, memoryview(content))
        size = math.prod(self.chunk_shape) * self.dtype.itemsize
        for place in reversed(range(len(self._filters))):
            if chunk.filter_mask & (1 << place):
                continue
            if self._filters[place] == _DEFLATE:
                try:
                    content = zlib.decompressobj().decompress(content, size + 1)  # what inflates beyond its size is refused
                except zlib.error as error:
                    raise FileFormatError(f"{self.path}: a chunk of data set {self.name!r} is damaged ({error})") from error
            else:
                each = np.frombuffer(content, np.uint8)
                if each.size == size:
                    content = each.reshape(self.dtype.itemsize, -1).T.tobytes()
        if len(content) != size:
            raise FileFormatError(
                f"{self.path}: a chunk of data set {self.name!r} holds {len(content)} bytes or more, expected {size}; damaged"
            )
        return np.frombuffer(content, self.dtype).reshape(self.chunk_shape)

    def _fill(self, file: int, offset: int, view: memoryview) -> None:
        """All bytes of `view` from the file."""
        while view:
            got = os.preadv(file, [view], offset)
            if got <= 0:
                raise FileFormatError(f"{self.path}: ends within data set {self.name!r}; the file is truncated")
            view, offset = view[got:], offset + got

    def _agrees(self, last: np.ndarray) -> bool:
        """Whether the last row is read as HDF5 reads it."""
        try:
            return bool(np.array_equal(self.read([len(self) - 1])[0], last, equal_nan=self.dtype.kind == "f"))
        except FileFormatError:
            return False

    def _refuse_other(self, now: os.stat_result) -> None:
        if _state(now) != self._stat:
            raise FileFormatError(f"{self.path}: was changed while it was in use; open the images anew")


def _state(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _filters(dataset: Any) -> list[int] | None:
    """Filter codes in the order of writing; None where one is not among those that are undone here."""
    plist = dataset.id.get_create_plist()
    codes = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    return codes if set(codes) <= {_DEFLATE, _SHUFFLE} else None


def _chunks(dataset: Any, chunk_shape: tuple[int, ...]) -> list[list[Chunk]] | None:
    """Chunks by their first row; None when some are not stored, or where HDF5 does not tell."""
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        whole = math.prod(dataset.shape) * dataset.dtype.itemsize
        return None if offset is None else [[Chunk((0,) * dataset.ndim, int(offset), whole, 0)]]
    found = []
    for first in range(0, dataset.shape[0], chunk_shape[0]):
        row = []
        for rest in _starts(dataset.shape[1:], chunk_shape[1:]):
            info = dataset.id.get_chunk_info_by_coord((first, *rest))
            if info.byte_offset is None or info.size > 2 * math.prod(chunk_shape) * dataset.dtype.itemsize + 1024:
                return None
            row.append(Chunk((first, *rest), int(info.byte_offset), int(info.size), int(info.filter_mask)))
        found.append(row)
    return found


def _starts(shape: Sequence[int], chunk: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(0, n, c) for n, c in zip(shape, chunk, strict=True)))
