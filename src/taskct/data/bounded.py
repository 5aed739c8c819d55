"""Reading exactly as many bytes as a header declares, from plain or gzipped files: neither fewer nor without end."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.open_files import file_size, open_binary, parsing, read_start

GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_MOST = 1032  # the largest ratio deflate can reach, so a size that cannot be there is known before unpacking
_SLACK_BYTES = 2**20  # some writers pad or append; more than this behind the values is not padding
_STEP = 2**24


def open_maybe_gzip(path: str | os.PathLike[str]) -> IO[bytes] | gzip.GzipFile:
    """A byte stream of the file, unpacked on the fly if it is gzipped."""
    stream = open_binary(path)
    with parsing(path, "a file"):
        magic = stream.read(2)
        stream.seek(0)
    return _OwningGzip(stream) if magic == GZIP_MAGIC else stream


def read_head(path: str | os.PathLike[str], size: int) -> bytes:
    """The first `size` bytes (unpacked), or fewer if the file is shorter."""
    with open_maybe_gzip(path) as stream, parsing(path, "a gzip stream"):
        return stream.read(size)


def read_exactly(
    path: str | os.PathLike[str],
    *,
    offset: int,
    size: int,
    packed_from: int | None = None,
    zlib_stream: bool = False,
    plain: bool = False,
    to_the_end: bool = True,
) -> tuple[np.ndarray, str | None]:
    """`size` bytes from `offset` of the (unpacked) file as uint8, and a note if a few bytes follow them.

    `packed_from` says that gzip data begin at that byte of the file (behind a text header), `zlib_stream` that they are raw
    zlib, `plain` that the file is not packed whatever its first bytes. Without `to_the_end` what follows is not looked at.
    FileFormatError when the bytes are not all there, when more than 1 MiB follows, or a check sum is wrong.
    """
    packed = check_room(path, offset=offset, size=size, packed_from=packed_from, plain=plain)
    with open_binary(path) as raw:
        if packed_from is not None:
            raw.seek(packed_from)
        if zlib_stream:
            stream: IO[bytes] = _ZlibReader(raw)  # type: ignore[assignment]
        else:
            stream = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        try:
            _skip(stream, offset, path)
            values = np.empty(size, dtype=np.uint8)
            view, filled = values.data, 0
            while filled < size:
                part = stream.read(min(_STEP, size - filled))
                if not part:
                    raise FileFormatError(f"{path}: truncated: expected {size} bytes of values, got {filled}")
                view[filled : filled + len(part)] = part
                filled += len(part)
            extra = stream.read(_SLACK_BYTES + 1) if to_the_end else b""
        except (OSError, EOFError, zlib.error) as error:
            raise FileFormatError(f"{path}: the compressed stream is damaged or truncated ({error})") from error
    if len(extra) > _SLACK_BYTES:
        raise FileFormatError(
            f"{path}: holds more than its header declares ({size} bytes of values, then over 1 MiB); "
            "the file is inconsistent or hostile"
        )
    return values, f"{len(extra)} bytes follow the values and were ignored" if extra else None


def check_room(
    path: str | os.PathLike[str],
    *,
    offset: int,
    size: int,
    packed_from: int | None = None,
    zlib_stream: bool = False,
    plain: bool = False,
) -> bool:
    """Whether the values are packed; FileFormatError when the length of the file cannot hold them. The rest as above."""
    length = file_size(path)
    packed = packed_from is not None or (not plain and read_magic(path) == GZIP_MAGIC)
    most = length * _DEFLATE_MOST if packed else length
    if offset + size > most:
        raise FileFormatError(
            f"{path}: its header declares {offset + size} bytes, but its {length} bytes cannot hold more than {most}; "
            "the file is truncated or damaged"
        )
    return packed


def sibling(path: str | os.PathLike[str], name: str) -> Path:
    """The file `name` that a header names, if it lies in the header's own folder; anything else is refused."""
    header = Path(path)
    if not name or name in (".", "..") or Path(name).name != name or "\\" in name or "\0" in name:
        raise UnsupportedDataError(f"{header}: names the data file {name!r}; only a file in the same folder is read")
    found = header.with_name(name)
    if not os.path.isfile(found) or found.resolve().parent != header.resolve().parent:
        raise FileFormatError(f"{header}: its data file {name!r} is not in the same folder")
    return found


def read_magic(path: str | os.PathLike[str]) -> bytes:
    """The first two bytes as they are."""
    return read_start(path, 2)


def _skip(stream: IO[bytes], size: int, path: str | os.PathLike[str]) -> None:
    while size > 0:
        part = stream.read(min(_STEP, size))
        if not part:
            raise FileFormatError(f"{path}: truncated before its values begin")
        size -= len(part)


class _OwningGzip(gzip.GzipFile):
    """A gzip stream that closes the file below it."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._raw_file = raw

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._raw_file.close()


class _ZlibReader:
    """Just `read` of a zlib stream, at most as many bytes as asked for."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._inflater, self._left = raw, zlib.decompressobj(), b""

    def read(self, size: int) -> bytes:
        while not self._inflater.eof:
            packed = self._left or self._raw.read(65536)
            if not packed:
                raise EOFError("the stream ends too early")
            part = self._inflater.decompress(packed, size)
            self._left = self._inflater.unconsumed_tail
            if part:
                return part
        return b""
