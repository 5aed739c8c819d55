"""Symbolic links out of the folder that was opened: what is read through them is named, in run folders refused."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from taskct.core.errors import FileFormatError


def outside_notes(folder: str | os.PathLike[str], files: Iterable[Path]) -> list[str]:
    """A sentence when some of the files are links to places outside of `folder`; none otherwise."""
    out = [(f, there) for f in files if (there := _outside(folder, f))]
    if not out:
        return []
    first, there = out[0]
    many = "is a symbolic link" if len(out) == 1 else f"and {len(out) - 1} more are symbolic links"
    return [f"{first.name} {many} out of the folder (to {there})"]


def refuse_outside(folder: str | os.PathLike[str], file: Path) -> Path:
    """`file`; FileFormatError when it is a link to a place outside of `folder`, which is whole in itself."""
    there = _outside(folder, file)
    if there:
        raise FileFormatError(f"{file}: is a symbolic link out of its folder (to {there}); copy the file into it")
    return file


def leads_out(file: Path) -> bool:
    """Whether a file is a symbolic link to a place outside of its own folder."""
    return bool(_outside(file.parent, file))


def _outside(folder: str | os.PathLike[str], file: Path) -> str:
    """Where a link leads that leaves the folder; '' for anything else."""
    if not os.path.islink(file):
        return ""
    there, root = os.path.realpath(file), os.path.realpath(folder)
    return "" if os.path.commonpath([there, root]) == root else there
