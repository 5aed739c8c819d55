"""The scans of a folder: scan files of taskct and measured projections."""

from __future__ import annotations

from pathlib import Path

from taskct.core.errors import TaskctError
from taskct.data.scan import is_scan_file
from taskct.data.sets.measured_scan import measured_kind

_SUFFIXES = (".h5", ".hdf5", ".mat")


def scans_below(folder: Path) -> list[Path]:
    """The scan files and measured projections in a folder, at any depth; damaged ones too, whose reader says what is wrong."""

    def is_scan(path: Path) -> bool:
        try:
            return is_scan_file(path) or bool(measured_kind(path))
        except TaskctError:
            return True

    return [
        path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES and path.is_file() and is_scan(path)
    ]
