"""Moves that other processes see as one step: two names exchanged, and a file put where nothing may lie."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM, errno.EMLINK)
_AT_FDCWD, _EXCHANGE = -100, 2  # of Linux' renameat2; RENAME_SWAP of macOS' renamex_np has the same number


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names that both exist, in one step; False where the system or the file system cannot do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_EXCHANGE))
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, ctypes.c_uint(_EXCHANGE))
    else:
        return False
    if failed and (number := ctypes.get_errno()) not in _CANNOT:
        raise OSError(number, os.strerror(number), str(other))
    return not failed


def put_new(part: Path, target: Path) -> None:
    """Give the file `part` the name `target`; FileExistsError when there is one already, whoever made it and however late."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # a file system without hard links
        os.replace(part, target)
        return
    os.unlink(part)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # some file systems cannot flush a folder
            raise
    finally:
        os.close(descriptor)
