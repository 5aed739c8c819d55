"""Files that are never half-written, and sizes that are checked before anything is allocated."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from taskct.core.errors import FileFormatError, InputError, OutputExistsError
from taskct.core.exchange import exchange, flush, put_new
from taskct.core.leftovers import COMMIT, GONE, OLD, PART, finish_commit, hold, restore, tidy
from taskct.core.open_files import FULL

MAX_VOLUME_BYTES = 16 * 2**30  # no clinical CT volume is larger; `limit_bytes` arguments raise it
NO_LIMIT = 2**62
_MAX_NAME_BYTES = 255  # of one name, on all common file systems


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block succeeds it is flushed and renamed, else it is removed.

    Raises OutputExistsError when `path` exists and `overwrite` is False, also when another process made it in the meantime;
    InputError when it cannot be written there. The temporary name keeps the suffixes of `path`, since some writers choose
    the format by them. What killed processes left in that folder is put right first.
    """
    target = Path(path)
    refuse_existing(target, overwrite=overwrite)
    with _part_of(target, folder=False) as part:
        yield part
        flush(part)
        os.chmod(part, 0o666 & ~_umask())
        if overwrite:
            os.replace(part, target)
        else:
            _refusing(put_new, part, target)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Like `atomic_path`, for a folder of files that belong together (a DICOM series).

    An empty folder is replaced. With `overwrite` a full one and the new one exchange their places in one step and the older is
    removed; where the system cannot do that, the older is moved aside first, and put back by the next command if this one is
    killed in between. Where `path` is a symbolic link, the folder that it leads to is replaced, and the link stays. Whether
    it may be replaced is for the caller to know.
    """
    target = Path(path)
    refuse_existing(target, overwrite=overwrite, folder=True)
    if target.is_symlink():
        target = Path(os.path.realpath(target))
    if target.name.startswith(PART) and target.is_dir():  # the part of another atomic_folder, which renames it
        yield target
        return
    with _part_of(target, folder=True) as part:
        yield part
        for file in sorted(part.rglob("*")):
            flush(file)
        flush(part)
        os.chmod(part, 0o777 & ~_umask())
        if overwrite and target.exists():
            _replace_folder(part, target)
        else:
            _refusing(os.rename, part, target)  # refused when somebody filled the folder in the meantime


@contextmanager
def atomic_files(
    folder: str | os.PathLike[str], names: Iterable[str], *, removed: Iterable[str] = (), overwrite: bool = False
) -> Iterator[Path]:
    """Give a folder to write files `names` into, which then replace those of `folder` together: all of them or none.

    Files `removed` go with the older ones. A process that is killed in between leaves either the old files or a complete
    set of new ones that the next command moves to their places. Raises what `atomic_path` raises.
    """
    place, names = Path(folder), list(names)
    for name in names:
        refuse_existing(place / name, overwrite=overwrite)
    with _part_of(place / "files", folder=True, flush_parent=False) as part:
        yield part
        extra = sorted(set(os.listdir(part)) - set(names))
        if extra:
            raise InputError(f"{place}: expected the files {', '.join(names)}, got {extra[0]} as well")
        for name in removed:
            (part / f"{GONE}{name}").touch()
        for file in part.iterdir():
            os.chmod(file, 0o666 & ~_umask())
            flush(file)
        flush(part)
        commit = place / (COMMIT + part.name.split("-")[1])
        os.rename(part, commit)  # from here on the new files are the files
        flush(place)
        finish_commit(place, commit)
        flush(place)


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = False) -> None:
    """Write UTF-8 text through `atomic_path`."""
    with atomic_path(path, overwrite=overwrite) as part:
        part.write_bytes(encoded(text))


def write_texts(folder: str | os.PathLike[str], texts: Mapping[str, str], *, overwrite: bool = False) -> None:
    """Write UTF-8 texts by name through `atomic_files`: all of them or none."""
    with atomic_files(folder, texts, overwrite=overwrite) as part:
        for name, text in texts.items():
            (part / name).write_bytes(encoded(text))


def encoded(text: str) -> bytes:
    """Text as UTF-8; a byte of a file's name that is not UTF-8 stands in it as an escape such as \\udcff."""
    return text.encode("utf-8", "backslashreplace")


def refuse_existing(path: str | os.PathLike[str], *, overwrite: bool, folder: bool = False) -> None:
    """Refuse an output before the work that makes it, writing nothing: `folder` says what is to be written there.

    Raises OutputExistsError when `path` exists and may not be replaced (an empty folder may), InputError when it has no
    name, is a file where a folder is wanted or the other way round, or lies where nothing can be written.
    """
    target = Path(path)
    restore(target)
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


def refuse_others(
    path: str | os.PathLike[str], ours: Collection[str], *, sources: Iterable[str | os.PathLike[str]] = ()
) -> None:
    """Refuse a folder that is to be replaced whole: only one that holds nothing but entries of the names `ours` may be.

    Raises OutputExistsError for other entries in it, InputError where one of `sources` is the folder or lies in it.
    """
    target = Path(path)
    refuse_sources(target, sources)
    other = next((e for e in sorted(target.iterdir()) if e.name not in ours), None) if target.is_dir() else None
    if other is not None:
        raise OutputExistsError(
            f"{target}: holds {other.name}, which is not written there, so the folder is not replaced; choose another name"
        )


def refuse_sources(path: str | os.PathLike[str], sources: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse an output that is one of the inputs `sources`, or a folder that holds one: InputError."""
    target = Path(path)
    place = target.resolve()
    for source in map(Path, sources):
        there = source.resolve()
        if os.path.exists(there) and (place == there or place in there.parents):
            raise InputError(f"{target}: {'is' if place == there else 'holds'} the input {source}; choose another name")


def make_folder(path: str | os.PathLike[str]) -> None:
    """Create a folder and its parents, with a one-line error when that is not possible."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot make this folder ({error.strerror}); choose another place") from error


def existing_path(path: str | os.PathLike[str], *, what: str = "input") -> Path:
    """`path` as a Path, put back or swept if a killed process left it half done; InputError when nothing is there."""
    found = Path(path)
    if not (restore(found) and os.path.exists(found)):  # `Path` raises for names that are too long
        raise InputError(f"{found}: no such file or folder; check the path of the {what}")
    if found.is_dir():
        tidy(found)
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
        raise InputError(f"{target}: cannot make this folder or file, since {above} is not a folder; choose another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{target}: cannot be written, since {above} may not be written to; choose another place")
    longest = max(len(os.fsencode(part)) for part in target.parts)
    if longest > _MAX_NAME_BYTES:
        raise InputError(f"{target}: a name of {longest} bytes is longer than a disk holds; choose a shorter one")


@contextmanager
def _part_of(target: Path, *, folder: bool, flush_parent: bool = True) -> Iterator[Path]:
    """A locked temporary file or folder beside `target`, removed unless it was renamed; errors speak of the target."""
    make_folder(target.parent)
    tidy(target.parent.absolute())
    with _names_target(target):
        part, descriptor = _new_part(target, folder)
    try:
        with _names_target(target, part):
            yield part
            if flush_parent:
                flush(target.parent)
    finally:
        if folder:
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
        os.close(descriptor)


def _new_part(target: Path, folder: bool) -> tuple[Path, int]:
    while True:
        if folder:
            part = Path(tempfile.mkdtemp(prefix=PART, suffix=_suffix(target), dir=target.parent))
        else:
            handle, name = tempfile.mkstemp(prefix=PART, suffix=_suffix(target), dir=target.parent)
            os.close(handle)
            part = Path(name)
        try:
            descriptor = hold(part)
        except FileNotFoundError:
            continue  # swept before it was locked
        if part.exists():
            return part, descriptor
        os.close(descriptor)


def _replace_folder(part: Path, target: Path) -> None:
    """Put `part` where the full folder `target` is."""
    if exchange(part, target):
        return  # `part` is the older one now
    old = Path(tempfile.mkdtemp(prefix=OLD, dir=target.parent))
    descriptor = hold(old)
    try:
        os.replace(target, old / target.name)
        try:
            os.replace(part, target)
        except OSError:
            os.replace(old / target.name, target)
            raise
        shutil.rmtree(old)
    finally:
        os.close(descriptor)


def _refusing(move: Callable[[Path, Path], object], part: Path, target: Path) -> None:
    try:
        move(part, target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR):
            raise
        raise OutputExistsError(
            f"{target}: was written by another process in the meantime, and is kept; choose another name or say --overwrite"
        ) from error


@contextmanager
def _names_target(target: Path, part: Path | None = None) -> Iterator[None]:
    """Let errors speak of the file that was asked for, not of the temporary one or of none."""
    try:
        yield
    except OSError as error:
        full = error.errno in FULL
        if part is None or str(error.filename or "").startswith(str(part)) or (full and error.filename is None):
            error.filename, error.filename2 = str(target), None
        raise


def _suffix(target: Path) -> str:
    return "-" + target.name[-40:]  # the end decides the format; the whole name might not fit


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
