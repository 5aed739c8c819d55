"""How much memory this process may still take, and refusing what cannot fit before it is tried."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from taskct.core.errors import ResourceError

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "unable to allocate")
_CGROUPS = (  # limit and use of a container, version 2 and version 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def require_memory(path: str | os.PathLike[str], needed_bytes: int, *, what: str = "reading it") -> None:
    """ResourceError that names the file when `needed_bytes`, the peak of the work, exceeds what the machine has free."""
    free = free_bytes()
    if free is not None and needed_bytes > free:
        raise ResourceError(
            f"{path}: {what} takes about {needed_bytes / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free; "
            "close other programs, take part of the data, or use a machine with more memory"
        )


def free_bytes() -> int | None:
    """Bytes that this process may still allocate: of the machine, of its container, of its own limit; None when unknown."""
    found = [f for f in (_of_machine(), *(_of_container(*files) for files in _CGROUPS), _of_process()) if f is not None]
    return max(0, min(found)) if found else None


def says_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: torch says so in a RuntimeError, numpy in a MemoryError."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def _of_machine() -> int | None:
    kilobytes = _field("/proc/meminfo", "MemAvailable:")
    if kilobytes is not None:
        return kilobytes * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _of_container(limit: str, use: str, stat: str) -> int | None:
    most, now = _number(limit), _number(use)
    if most is None or now is None:
        return None
    cached = _field(stat, "inactive_file") or 0  # given back as soon as somebody asks for memory
    return most - now + cached


def _of_process() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    pages = (_system_text("/proc/self/statm") or "0").split()[0]
    return limit - int(pages) * os.sysconf("SC_PAGE_SIZE")


def _number(path: str) -> int | None:
    text = (_system_text(path) or "").strip()
    return int(text) if text.isdigit() else None


def _field(path: str, name: str) -> int | None:
    for line in (_system_text(path) or "").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None


def _system_text(path: str) -> str | None:
    """A file of the kernel; None where this system has none."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
