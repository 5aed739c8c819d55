"""Names in CSV files that a spreadsheet must not run as formulas: an apostrophe before them, taken off when they are read."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence

_FORMULA = ("=", "+", "-", "@", "\t")


def safe_cells(values: Iterable[object]) -> list[object]:
    """Cells of a line as they are written: a text that begins as a formula gets an apostrophe, numbers stay.

    A carriage return becomes a space, since `csv` writes it as it is and then reads a new line.

    >>> safe_cells(["=1+1", "@name", "-0.5", "liver", -2, "'=x"])
    ["'=1+1", "'@name", '-0.5', 'liver', -2, "''=x"]
    """
    plain = [value.replace("\r", " ") if isinstance(value, str) else value for value in values]
    return [f"'{value}" if isinstance(value, str) and _escapes(value) else value for value in plain]


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A CSV with a header line: the cells of each row by column, empty where a row has none.

    >>> csv_text(["name", "value"], [{"name": "=1+1", "value": 2.5}, {"name": "liver"}])
    "name,value\\n'=1+1,2.5\\nliver,\\n"
    """
    return csv_lines(itertools.chain([columns], ([row.get(column, "") for column in columns] for row in rows)))


def csv_lines(lines: Iterable[Iterable[object]]) -> str:
    """A CSV of lines of cells, the first of which is usually the header.

    >>> csv_lines([["name", "value"], ["=1+1", 2.5]])
    "name,value\\n'=1+1,2.5\\n"
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(safe_cells(line) for line in lines)
    return text.getvalue()


def plain_cell(cell: str) -> str:
    """The text that `safe_cells` wrote.

    >>> [plain_cell(c) for c in ("'=1+1", "''=x", "'t Hart", "liver")]
    ['=1+1', "'=x", "'t Hart", 'liver']
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("'", *_FORMULA) else cell


def _escapes(value: str) -> bool:
    if value[:1] == "'":
        return value[1:2] in ("'", *_FORMULA)
    return value[:1] in _FORMULA and not _is_number(value)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return not value[:1].isspace()
