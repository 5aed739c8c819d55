"""Reading the folder of a step once a process, and anew when it was made anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

T = TypeVar("T")
P = ParamSpec("P")


def read_once(kept: int) -> Callable[[Callable[Concatenate[Path, P], T]], Callable[Concatenate[Path, P], T]]:
    """Keep the last `kept` values of a function of a folder and of further arguments, as long as the folder stays the same.

    Everything is written into a folder by renaming, so its own time changes with each of its files. By its path alone an
    experiment that is begun again in its place would be given what was read of the one before.
    """

    def cached(read: Callable[Concatenate[Path, P], T]) -> Callable[Concatenate[Path, P], T]:
        @lru_cache(maxsize=kept)
        def of_version(folder: Path, version: tuple[int, int], *args: P.args, **options: P.kwargs) -> T:
            del version
            return read(folder, *args, **options)

        @wraps(read)
        def now(folder: Path, *args: P.args, **options: P.kwargs) -> T:
            try:
                found = folder.stat()
            except OSError:
                return read(folder, *args, **options)  # which says what is missing
            return of_version(folder.resolve(), (found.st_ino, found.st_mtime_ns), *args, **options)  # type: ignore[arg-type]

        return cast(Callable[Concatenate[Path, P], T], now)

    return cached
