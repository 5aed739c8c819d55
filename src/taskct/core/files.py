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
_MAX_NAME_BYTES = 255  # of one name, on all common file systems


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block succeeds it is flushed and renamed, else it is removed.

    Raises OutputExistsError when `path` exists and `overwrite` is False, InputError when it cannot be written there.
    The temporary name keeps the suffixes of `path`, since some writers choose the format by them.
    """
    target = Path(path)
    refuse_existing(target, overwrite=overwrite)
    make_folder(target.parent)
    with _names_target(target):
        handle, name = tempfile.mkstemp(prefix=".part-", suffix=_suffix(target), dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        with _names_target(target, part):
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

    An empty folder is replaced. With `overwrite` a full one is moved aside before the new one takes its place and removed
    after; whether it may be is for the caller to know.
    """
    target = Path(path)
    refuse_existing(target, overwrite=overwrite, folder=True)
    make_folder(target.parent)
    with _names_target(target):
        part = Path(tempfile.mkdtemp(prefix=".part-", suffix=_suffix(target), dir=target.parent))
    try:
        with _names_target(target, part):
            yield part
            os.chmod(part, 0o777 & ~_umask())
            if overwrite and target.exists():
                old = Path(tempfile.mkdtemp(prefix=".old-", dir=target.parent))
                os.replace(target, old / target.name)
                os.replace(part, target)
                shutil.rmtree(old)
            else:
                os.replace(part, target)  # fails, as it should, when somebody filled the folder in the meantime
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = False) -> None:
    """Write UTF-8 text through `atomic_path`."""
    with atomic_path(path, overwrite=overwrite) as part:
        part.write_text(text, encoding="utf-8")


def refuse_existing(path: str | os.PathLike[str], *, overwrite: bool, folder: bool = False) -> None:
    """Refuse an output before the work that makes it, touching nothing: `folder` says what is to be written there.

    Raises OutputExistsError when `path` exists and may not be replaced (an empty folder may), InputError when it has no
    name, is a file where a folder is wanted or the other way round, or lies where nothing can be written.
    """
    target = Path(path)
    if target.name in ("", "..") or (folder and target.resolve() == Path.cwd()):
        raise InputError(f"{target}: expected the name of a new {'folder' if folder else 'file'}, not a folder to put it in")
    if folder and os.path.isfile(target):  # `Path` raises for names that are too long
        raise InputError(f"{target}: is a file, and a folder is to be written; choose another name")
    if not folder and os.path.isdir(target):
        raise InputError(f"{target}: is a folder, and a file is to be written; choose another name, inside it perhaps")
    empty = folder and os.path.isdir(target) and not target.is_symlink() and not any(target.iterdir())
    if os.path.lexists(target) and not (overwrite or empty):
        raise OutputExistsError(f"{target}: exists already; choose another name or say --overwrite (overwrite=True)")
    _refuse_place(target)


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


def _refuse_place(target: Path) -> None:
    """InputError unless the nearest folder that exists above `target` can be written to."""
    above = target.absolute().parent
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise InputError(f"{target}: cannot make this folder or file, since {above} is no folder; choose another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{target}: cannot be written, since {above} may not be written to; choose another place")
    longest = max(len(os.fsencode(part)) for part in target.parts)
    if longest > _MAX_NAME_BYTES:
        raise InputError(f"{target}: a name of {longest} bytes is longer than a disk holds; choose a shorter one")


@contextmanager
def _names_target(target: Path, part: Path | None = None) -> Iterator[None]:
    """Let errors speak of the file that was asked for, not of the temporary one."""
    try:
        yield
    except OSError as error:
        if part is None or str(error.filename or "").startswith(str(part)):
            error.filename, error.filename2 = str(target), None
        raise


def _suffix(target: Path) -> str:
    return "-" + target.name[-40:]  # the end decides the format; the whole name might not fit


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
