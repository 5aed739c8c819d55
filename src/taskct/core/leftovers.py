"""What killed processes leave beside their outputs, and how the next command puts it right.

    .part-XXXXXXXX-NAME    being written, beside NAME: removed
    .old-XXXXXXXX/NAME     the older NAME, moved aside: put back when there is no NAME, else removed
    .commit-XXXXXXXX/      files that were written together and complete: moved to their places
    .lock-NAME             held by the one writer of NAME: removed

Each is locked by the process that works at it, and a lock dies with its process, so nothing that is in use is touched.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
import warnings
from pathlib import Path

from taskct.core.errors import FileFormatError

PART, OLD, COMMIT, LOCK = ".part-", ".old-", ".commit-", ".lock-"
GONE = ".gone-"  # in a commit, an empty file before whose name this stands: NAME is to be removed
_OURS = re.compile(r"\.part-[a-z0-9_]{8}-.+|\.old-[a-z0-9_]{8}|\.commit-[a-z0-9_]{8}|\.lock-.+", re.DOTALL)
_AGE_S = 3600.0  # where the file system knows no locks, only what is older counts as left behind
_MAX_LOCK_BYTES = 20  # a process number
_WAIT_S = 10.0  # a commit is a few renames
HELD: dict[str, tuple[int, int, int]] = {}  # lock files that this process holds; `core.writers` keeps it


class LeftoverWarning(UserWarning):
    """An earlier command was interrupted, and what it left behind was put right."""


def hold(path: Path) -> int:
    """Lock a part for this process -> a descriptor to close when done. The lock stays with it when it is renamed.

    Raises FileNotFoundError when another process has swept it, or is about to.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    return descriptor  # where a file system knows no locks, its age protects it


def tidy(folder: Path) -> None:
    """Put right what killed processes left in `folder`; a LeftoverWarning says what was done.

    A commit that another process is at is waited for. Raises FileFormatError when a commit cannot be finished.
    """
    said = []
    try:
        names = sorted(name for name in os.listdir(folder) if _OURS.fullmatch(name))
    except OSError:
        return
    for name in names:
        path = folder / name
        if name.startswith(LOCK):
            _drop_lock(path)
            continue
        descriptor = _take(path, wait_s=_WAIT_S if name.startswith(COMMIT) else 0.0)
        if descriptor is None:
            continue
        try:
            said.append(_put_right(folder, path))
        except FileNotFoundError:
            continue  # its owner, or another sweeper, was faster
        except OSError as error:
            if name.startswith(COMMIT):
                raise FileFormatError(
                    f"{folder}: an interrupted write waits to be finished, and the folder cannot be written to "
                    f"({error.strerror}); open it once where it can"
                ) from error
        finally:
            os.close(descriptor)
    if any(said):
        warnings.warn(
            f"{folder}: after an interrupted command, {', '.join(s for s in said if s)}", LeftoverWarning, stacklevel=3
        )


def restore(path: Path) -> bool:
    """Whether something lies at `path`, if need be after putting right what a killed process left beside it."""
    if os.path.lexists(path):
        return True
    tidy(path.absolute().parent)
    return os.path.lexists(path)


def finish_commit(folder: Path, commit: Path) -> None:
    """Move the files of a commit to their places; begun again at any point it ends the same."""
    for name in sorted(os.listdir(commit)):
        if name.startswith(GONE):
            (folder / name.removeprefix(GONE)).unlink(missing_ok=True)
            (commit / name).unlink()
        else:
            os.replace(commit / name, folder / name)
    commit.rmdir()


def _put_right(folder: Path, path: Path) -> str:
    """Do it -> what was done, in words."""
    if path.name.startswith(COMMIT):
        finish_commit(folder, path)
        return "finished writing files that belong together"
    if path.name.startswith(OLD):
        inside = os.listdir(path)
        if len(inside) == 1 and not os.path.lexists(folder / inside[0]):
            os.replace(path / inside[0], folder / inside[0])
            path.rmdir()
            return f"put {inside[0]} back"
        if len(inside) > 1:
            return ""  # not one of ours
        shutil.rmtree(path)
        return f"removed the older {inside[0]}" if inside else ""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    return f"removed the unfinished {path.name.split('-', 2)[2]}"


def _drop_lock(path: Path) -> None:
    """Remove a lock file that no process holds."""
    if str(path) in HELD or path.is_symlink():  # opening and closing it here would give up our own lock
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_size <= _MAX_LOCK_BYTES and os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            path.unlink()
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _take(path: Path, *, wait_s: float) -> int | None:
    """Lock what no process works at -> its descriptor; None when somebody does, or it is gone."""
    if path.is_symlink():
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                if time.monotonic() < until:
                    time.sleep(0.01)
                    continue
            elif time.time() - os.fstat(descriptor).st_mtime > _AGE_S:
                break
            os.close(descriptor)
            return None
    try:
        if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
