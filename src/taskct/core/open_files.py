"""The one place through which taskct opens files to read them: a regular file of a bearable size, or an error that names it.

`open_binary`, `read_bytes`, `read_text`, `read_json` and `read_toml_tables` open; `regular_file` is for libraries that want a
path. A pipe, a device or a socket would hang or never end; a folder cannot be read. What a foreign parser raises on a
damaged file is turned into one of our errors by `parsing`, whatever it is.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from taskct.core.errors import FileFormatError, InputError, ResourceError, TaskctError, UnsupportedDataError
from taskct.core.leftovers import restore
from taskct.core.memory import says_out_of_memory

PathLike = str | os.PathLike[str]
MAX_TEXT_BYTES = 64 * 2**20
_MAX_REASON = 160
FULL = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EFBIG)
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def regular_file(path: PathLike, *, what: str = "input") -> Path:
    """`path` as a Path when a regular file lies there that may be read, through symbolic links or not.

    Raises InputError when nothing or a folder lies there, UnsupportedDataError for a pipe, a device or a socket,
    FileFormatError when the system does not let it be read.
    """
    with open_binary(path, what=what):
        return Path(path)


def open_binary(path: PathLike, *, what: str = "input") -> BinaryIO:
    """A regular file, opened to be read as bytes; raises as `regular_file` does and never waits for a writer."""
    found = Path(path)
    try:
        restore(found)
        _refuse_kind(found, os.stat(found).st_mode)
        stream = open(found, "rb", opener=_without_waiting)  # noqa: SIM115  (handed to the caller)
    except TaskctError:
        raise
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise InputError(f"{found}: no such file or folder; check the path of the {what}") from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise FileFormatError(f"{found}: cannot be read ({error.strerror}); check the path and its permissions") from error
    try:
        _refuse_kind(found, os.fstat(stream.fileno()).st_mode)  # what was opened may be another than what was looked at
    except TaskctError:
        stream.close()
        raise
    return stream


def file_size(path: PathLike, *, what: str = "input") -> int:
    """Bytes of a regular file."""
    with open_binary(path, what=what) as stream:
        return os.fstat(stream.fileno()).st_size


def read_start(path: PathLike, size: int, *, what: str = "input") -> bytes:
    """The first `size` bytes, or fewer when the file is shorter."""
    with open_binary(path, what=what) as stream, parsing(path, "a file"):
        return stream.read(size)


def read_bytes(path: PathLike, *, limit_bytes: int = MAX_TEXT_BYTES, what: str = "input") -> bytes:
    """All bytes of a file of at most `limit_bytes`; FileFormatError when there are more, whatever its size claims."""
    with open_binary(path, what=what) as stream, parsing(path, "a file"):
        content = stream.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise FileFormatError(f"{path}: larger than the limit of {_size(limit_bytes)} for this kind of file")
    return content


def read_text(
    path: PathLike,
    *,
    limit_bytes: int = MAX_TEXT_BYTES,
    what: str = "input",
    error: type[TaskctError] = FileFormatError,
) -> str:
    """UTF-8 text of at most `limit_bytes`, line ends as they are; damage is raised as `error`."""
    try:
        content = read_bytes(path, limit_bytes=limit_bytes, what=what)
    except FileFormatError as known:
        raise error(str(known)) from known
    with parsing(path, "UTF-8 text", error=error):
        return content.decode("utf-8-sig")


def read_json(path: PathLike, *, limit_bytes: int = MAX_TEXT_BYTES, what: str = "input") -> dict[str, Any]:
    """The object in a JSON file; FileFormatError when it is damaged or holds anything but an object."""
    return parse_json(read_text(path, limit_bytes=limit_bytes, what=what), str(path))


def read_toml_tables(
    path: PathLike,
    *,
    limit_bytes: int = MAX_TEXT_BYTES,
    what: str = "input",
    error: type[TaskctError] = FileFormatError,
) -> dict[str, Any]:
    """The tables of a TOML file; what is wrong with its text is raised as `error`."""
    text = read_text(path, limit_bytes=limit_bytes, what=what, error=error)
    with parsing(path, "TOML", error=error):
        return tomllib.loads(text)


def parse_json(text: str, where: str) -> dict[str, Any]:
    """The object that JSON text holds; FileFormatError otherwise, its message beginning with `where`."""
    with parsing(where, "JSON"):
        values = json.loads(text)
    if not isinstance(values, dict):
        raise FileFormatError(f"{where}: expected a JSON object, got {type(values).__name__}")
    return values


@contextmanager
def parsing(path: PathLike, what: str, *, error: type[TaskctError] = FileFormatError) -> Iterator[None]:
    """Turn whatever is raised while a file is read as `what` into `error`, in one line that begins with the path.

    Errors of ours pass as they are; memory that runs out becomes a ResourceError that names the file.
    """
    try:
        yield
    except TaskctError:
        raise
    except BaseException as raised:
        if not isinstance(raised, Exception) and type(raised).__name__ != "PanicException":  # which safetensors' Rust raises
            raise
        if says_out_of_memory(raised):
            raise ResourceError(f"{path}: the memory of this machine ran out while the file was read; {_LESS}") from raised
        if isinstance(raised, OSError) and raised.errno in FULL:
            raised.filename = raised.filename or os.fspath(path)
            raise
        raise error(f"{path}: cannot be read as {what} ({one_line(raised)}); the file is damaged") from raised


def one_line(error: BaseException) -> str:
    """Why a call failed, as part of one line of printable text.

    >>> one_line(KeyError("a\\nb")), one_line(ValueError())
    ("KeyError: 'a\\\\nb'", 'ValueError')
    """
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = re.sub(r"<[\w.]+ (object at|name=)[^>]*>", "it", str(error))  # a stream, as Python shows it
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 3] + "..."
    if text and not isinstance(error, LookupError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_LESS = "close other programs, or use a machine with more memory"


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)


def _refuse_kind(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder, and a file is expected here; name a file in it")
    kind = next((word for test, word in _KINDS if test(mode)), "not a regular file")
    raise UnsupportedDataError(f"{path}: is {kind}, not a regular file; copy its content into a file first")


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 2**20 else f"{count} bytes"
