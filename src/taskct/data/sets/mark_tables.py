"""Tables of lesions (CSV): every row with its number, every column checked, nothing longer than a table can be."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from taskct.core.errors import FileFormatError, unknown_name
from taskct.core.open_files import parsing, read_text

MOST_TABLE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class MarkRow:
    """One row: `where` begins messages, `values` are its texts by column."""

    where: str
    values: dict[str, str]

    def number(self, column: str) -> float:
        """A finite number; FileFormatError otherwise."""
        try:
            value = float(self.values[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise FileFormatError(f"{self.where}: expected a finite number as {column}, got {self.values[column][:40]!r}")
        return value

    def numbers(self, *columns: str) -> tuple[float, ...]:
        """Several of them."""
        return tuple(self.number(c) for c in columns)


def read_mark_rows(path: Path, *, needs: Collection[str], may_have: Collection[str] = ()) -> list[MarkRow]:
    """The rows of a table with the columns `needs`, named in its first line.

    Raises FileFormatError for a missing column and for a row of another length. A column that is neither needed nor in
    `may_have` is refused, with a guess at what was meant, where `may_have` is given.
    """
    text = read_text(path, limit_bytes=MOST_TABLE_BYTES, what="table of lesions")
    with parsing(path, "CSV"):
        lines = list(csv.reader(io.StringIO(text), strict=True))
    lines = [line for line in lines if line]
    if not lines:
        raise FileFormatError(f"{path}: an empty table; expected a first line with {', '.join(needs)}")
    names = [name.strip() for name in lines[0]]
    missing = [name for name in needs if name not in names]
    if missing or len(set(names)) < len(names):
        raise FileFormatError(
            f"{path}: expected the columns {', '.join(needs)} in its first line, got {', '.join(names)[:200]}"
        )
    for name in names:
        if may_have and name not in (*needs, *may_have):
            raise FileFormatError(f"{path}: {unknown_name('column', name, [*needs, *may_have])}")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(names):
            raise FileFormatError(f"{path} row {number}: has {len(line)} values for {len(names)} columns")
        rows.append(MarkRow(f"{path} row {number}", dict(zip(names, (v.strip() for v in line), strict=True))))
    return rows


def starts_with_columns(path: Path, columns: Collection[str]) -> bool:
    """Whether a file's first line names these columns: what a folder is recognised by."""
    from taskct.core.open_files import read_start

    first = read_start(path, 4096).split(b"\n", 1)[0].decode("utf-8", "replace").lstrip("\ufeff")
    return set(columns) <= {name.strip() for name in first.split(",")}
