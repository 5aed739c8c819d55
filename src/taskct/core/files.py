"""Files that are never half-written, and sizes that are checked before anything is allocated."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taskct.core.errors import FileFormatError, InputError, OutputExistsError

MAX_VOLUME_BYTES = 16 * 2**30  # no clinical CT volume is larger; `limit_bytes` arguments raise it


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block succeeds it is flushed and renamed, else it is removed.

    Raises OutputExistsError when `path` exists and `overwrite` is False, InputError when its folder cannot be made.
    The temporary name keeps the suffixes of `path`, since some writers choose the format by them.
    """
    target = Path(path)
    refuse_existing(target, overwrite=overwrite)
    make_folder(target.parent)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix="-" + target.name, dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with open(part, "rb+") as f:
            os.fsync(f.fileno())
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Like `atomic_path`, for a folder of files that belong together (a DICOM series).

    With `overwrite` the old folder is moved aside before the new one takes its place and removed after.
    """
    target = Path(path)
    refuse_existing(target, overwrite=overwrite)
    make_folder(target.parent)
    part = Path(tempfile.mkdtemp(prefix=".part-", suffix="-" + target.name, dir=target.parent))
    try:
        yield part
        os.chmod(part, 0o777 & ~_umask())
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=".old-", dir=target.parent))
            os.replace(target, old / target.name)
            os.replace(part, target)
            shutil.rmtree(old)
        else:
            os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = False) -> None:
    """Write UTF-8 text through `atomic_path`."""
    with atomic_path(path, overwrite=overwrite) as part:
        part.write_text(text, encoding="utf-8")


def refuse_existing(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise OutputExistsError when `path` exists and may not be replaced (an empty folder may)."""
    target = Path(path)
    if overwrite or not (target.exists() or target.is_symlink()):
        return
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
        return
    raise OutputExistsError(f"{target}: exists already; choose another name or say --overwrite (overwrite=True)")


def make_folder(path: str | os.PathLike[str]) -> None:
    """Create a folder and its parents, with a one-line error when that is not possible."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot make this folder ({error.strerror}); choose another place") from error


def existing_path(path: str | os.PathLike[str], *, what: str = "input") -> Path:
    """`path` as a Path; InputError when nothing is there."""
    found = Path(path)
    if not found.exists():
        raise InputError(f"{found}: no such file or folder; check the path of the {what}")
    return found


def check_array_size(
    path: str | os.PathLike[str], shape: tuple[int, ...], itemsize: int, *, limit_bytes: int = MAX_VOLUME_BYTES
) -> int:
    """Bytes of an array of `shape`, as its file declares it; FileFormatError if that is impossible or above the limit."""
    size = itemsize
    for n in shape:
        if int(n) <= 0:
            raise FileFormatError(f"{path}: declares an impossible array shape {tuple(shape)}; the file is damaged")
        size *= int(n)
    if size > limit_bytes:
        raise FileFormatError(
            f"{path}: declares an array of {tuple(shape)}, {size / 2**30:.1f} GiB, above the limit of "
            f"{limit_bytes / 2**30:.1f} GiB; the file is damaged or hostile, or raise limit_bytes"
        )
    return size


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
