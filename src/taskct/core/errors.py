"""Every error taskct raises on purpose.

    TaskctError
    ├── InputError (also ValueError)      the caller's input is wrong           exit code 2
    │   ├── GeometryError                 an impossible grid, beam or shape
    │   ├── UnitsError                    a number in the wrong unit
    │   ├── ConfigError                   an unknown or impossible setting
    │   ├── OutputExistsError             refusing to overwrite
    │   └── BusyError                     another process is writing there
    ├── DataError                         a file is bad, odd or hostile         exit code 3
    │   ├── FileFormatError               truncated, oversized, inconsistent
    │   └── UnsupportedDataError          well-formed, but not what taskct reads (the message says why)
    └── ResourceError                     memory, disk or a device ran out      exit code 4

A message says what was expected, what came, and what to do. Anything else that escapes is a bug of ours (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Chosen = TypeVar("Chosen")
_MOST_CHARACTERS = 2000
_LEAST_PART = 3  # letters of a name that tell which one is meant


class TaskctError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1

    def __init__(self, message: str = "", *more: object) -> None:
        super().__init__(_bearable(message) if isinstance(message, str) else message, *more)


class InputError(TaskctError, ValueError):
    """The caller's input is wrong."""

    exit_code = 2


class GeometryError(InputError):
    """An impossible grid or beam, or a tensor whose shape does not fit them."""


class UnitsError(InputError):
    """A number in the wrong unit, such as HU where 1/mm is wanted."""


class ConfigError(InputError):
    """An unknown or impossible setting."""


class OutputExistsError(InputError):
    """An output file exists and overwriting was not asked for."""


class BusyError(InputError):
    """An output or a run is being written by another process."""


class DataError(TaskctError):
    """A file is bad; the message begins with its path, and is one line whatever the file holds."""

    exit_code = 3

    def __init__(self, message: str = "", *more: object) -> None:
        super().__init__(message.replace("\n", " ") if isinstance(message, str) else message, *more)


class FileFormatError(DataError):
    """A file is truncated, oversized or inconsistent with itself."""


class UnsupportedDataError(DataError):
    """A file is well-formed but holds something taskct does not read."""


class ResourceError(TaskctError):
    """Memory, disk space or a device ran out."""

    exit_code = 4


def _bearable(message: str) -> str:
    """A message without control characters and of at most 2,000 characters: parts of it may be what a hostile file says."""
    plain = "".join(c if c.isprintable() or c in "\n\u202f\xa0" or 0xDC80 <= ord(c) <= 0xDCFF else " " for c in message)
    return plain if len(plain) <= _MOST_CHARACTERS else f"{plain[: _MOST_CHARACTERS - 500]} ... {plain[-400:]}"


def choose(kind: str, name: object, legal: Mapping[str, Chosen], error: type[InputError] = ConfigError) -> Chosen:
    """`legal[name]`; an error that lists the legal names for any other value, of whatever type a config gives it.

    >>> choose("window", "hann", {"hann": 1})
    1
    """
    if not isinstance(name, str) or name not in legal:
        raise unknown_name(kind, name, legal, error)
    return legal[name]


def unknown_name(kind: str, got: object, legal: Iterable[str], error: type[InputError] = ConfigError) -> InputError:
    """Error for a name that is not one of `legal`, with a guess at what was meant: one alike, or one that contains it.

    >>> print(unknown_name("window", "han", ["ram-lak", "hann"]))
    unknown window 'han'; did you mean 'hann'? one of ram-lak, hann
    """
    names = sorted(legal) if isinstance(legal, set | frozenset) else list(legal)
    near = difflib.get_close_matches(str(got), names, n=1)
    if not near and len(str(got)) >= _LEAST_PART:
        near = sorted((name for name in names if str(got) in name and " " not in name), key=len)
    guess = f" did you mean {near[0]!r}?" if near else ""
    return error(f"unknown {kind} {got!r};{guess} one of {', '.join(names)}")
