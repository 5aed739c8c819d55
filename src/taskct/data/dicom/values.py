"""Header values as plain numbers and words; a value that is damaged is an error that names file, attribute and content."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from taskct.core.errors import FileFormatError
from taskct.core.names import plural
from taskct.data.dicom.parse import reason, short


def value(path: Path, dataset: Dataset, keyword: str) -> Any:
    """The raw value of an attribute; None when it is absent or empty."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = dataset.get(keyword)
            return None if got is None or (isinstance(got, str | bytes | Sequence) and len(got) == 0) else got
    except Exception as error:  # conversion happens on access, and raises almost anything
        raise FileFormatError(f"{path}: {keyword} cannot be read ({reason(error)}); the file is damaged") from error


def numbers(path: Path, dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers, or None when the attribute is absent or empty."""
    got = value(path, dataset, keyword)
    if got is None:
        return None
    listed = [got] if isinstance(got, str | bytes) or not isinstance(got, Sequence) else list(got)
    try:
        found = tuple(float(v) for v in listed)
    except (TypeError, ValueError, OverflowError):
        found = ()
    if len(found) != count or not all(math.isfinite(v) for v in found):
        raise FileFormatError(
            f"{path}: {keyword} is {short(got)}, expected {plural(count, 'finite number')}; the file is damaged"
        )
    return found


def number(path: Path, dataset: Dataset, keyword: str) -> float | None:
    """One finite number, or None."""
    found = numbers(path, dataset, keyword, 1)
    return None if found is None else found[0]


def integer(path: Path, dataset: Dataset, keyword: str) -> int | None:
    """One whole number, or None."""
    found = number(path, dataset, keyword)
    if found is None:
        return None
    if found != int(found):
        raise FileFormatError(f"{path}: {keyword} is {found!r}, expected a whole number; the file is damaged")
    return int(found)


def words(path: Path, dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a text attribute, stripped; () when absent."""
    got = value(path, dataset, keyword)
    if got is None:
        return ()
    listed = [got] if isinstance(got, str | bytes) or not isinstance(got, Sequence) else list(got)
    return tuple(str(v).strip() for v in listed)


def text(path: Path, dataset: Dataset, keyword: str) -> str:
    """A text attribute as one printable line for people; '' when absent or unreadable, since no decision hangs on it."""
    try:
        joined = " / ".join(words(path, dataset, keyword))
    except FileFormatError:
        return ""
    return "".join(c if c.isprintable() else " " for c in joined).strip()


def items(path: Path, dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; [] when absent."""
    got = value(path, dataset, keyword)
    if got is None:
        return []
    if isinstance(got, str | bytes) or not isinstance(got, Sequence) or not all(isinstance(i, Dataset) for i in got):
        raise FileFormatError(f"{path}: {keyword} is {short(got)}, expected a sequence; the file is damaged")
    return list(got)
