"""Tables between the markers of a page, for the scripts that write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def filled(path: Path, tables: Mapping[str, str]) -> str:
    """The text of a page with each table between `<!-- begin NAME -->` and `<!-- end NAME -->`."""
    page = path.read_text(encoding="utf-8")
    for name, text in tables.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"{path}: has no markers {begin} and {end}")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page
