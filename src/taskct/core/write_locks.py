"""One writer at a time: who works at an output or a run holds a lock that dies with its process."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from taskct.core.errors import BusyError
from taskct.core.leftovers import HELD, LOCK

_MAX_NAME_BYTES = 200
_BUSY = (errno.EACCES, errno.EAGAIN)
_claims = ExitStack()


@contextmanager
def one_writer(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold the right to write `path`, a file or a folder, until the block ends or the process dies.

    The lock is the file .lock-NAME beside it, removed at the end; folders above that have to be made for it are removed when
    they stay empty. A thread may hold it several times. Raises BusyError when another process or thread holds it.
    """
    target = Path(os.path.realpath(path))
    lock = target.parent / (LOCK + os.fsdecode(os.fsencode(target.name)[:_MAX_NAME_BYTES]))
    key, me = str(lock), (os.getpid(), threading.get_ident())
    before = HELD.get(key)
    if before and before[:2] == me:
        HELD[key] = (*me, before[2] + 1)
        try:
            yield
        finally:
            HELD[key] = (*me, HELD[key][2] - 1)
        return
    if before and before[0] == me[0]:
        raise _busy(path, "another thread of this process")
    made = _make_parents(lock.parent)
    try:
        descriptor = _lock(lock, path)
        HELD[key] = (*me, 1)
        try:
            yield
        finally:
            del HELD[key]
            if descriptor is not None:
                lock.unlink(missing_ok=True)
                os.close(descriptor)
    finally:
        for folder in made:
            try:
                folder.rmdir()
            except OSError:
                break


def claim(path: str | os.PathLike[str]) -> None:
    """`one_writer` until `release_claims`: what a command does before the work that makes its output."""
    _claims.enter_context(one_writer(path))


def release_claims() -> None:
    """Give up all claims of this process."""
    _claims.close()


def _lock(lock: Path, path: str | os.PathLike[str]) -> int | None:
    """Lock the file -> its descriptor; None where nothing can be locked."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError:
            return None  # what cannot be written there is said when it is written
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno in _BUSY:
                raise _busy(path, f"process {owner}" if owner.isdigit() else "another process") from error
            return None  # a file system without locks
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # its owner removed it in this moment: there may be a new one


def _busy(path: str | os.PathLike[str], owner: str) -> BusyError:
    return BusyError(f"{path}: is being written by {owner}; wait for it to end, or choose another name")


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder and those above it -> those that were made, the deepest first; none when that is not possible."""
    made = []
    for above in (folder, *folder.parents):
        if above.exists():
            break
        made.append(above)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return []
    return made
