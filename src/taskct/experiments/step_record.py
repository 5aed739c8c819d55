"""The record of one step: FOLDER/.steps/NAME.json, written when the step begins and when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taskct.core.errors import FileFormatError
from taskct.core.open_files import read_json

RECORDS = ".steps"


def record_path(root: Path, name: str, kind: str = "json") -> Path:
    """A file that the folder `root` of an experiment keeps about a step."""
    return root / RECORDS / f"{name}.{kind}"


def read_record(root: Path, name: str) -> dict[str, Any]:
    """The record of a step; empty when it was never begun. FileFormatError for a file that is not a record."""
    path = record_path(root, name)
    if not path.exists():
        return {}
    try:
        return read_json(path)
    except FileFormatError as error:
        raise FileFormatError(f"{error}; delete it to do the step again") from error
