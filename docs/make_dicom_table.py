"""Table of odd DICOM files: python docs/make_dicom_table.py FOLDER > docs/dicom_odd_files.md.

Every DICOM file below FOLDER is read alone; then every folder that holds more than one is read as a series.
"""

from __future__ import annotations

import sys
from pathlib import Path

from taskct.core.errors import TaskctError
from taskct.data.dicom.parse import looks_like_dicom, open_header
from taskct.data.dicom.series import read_series
from taskct.data.dicom.syntaxes import syntax_name

HEAD = """# Odd DICOM files, one by one

Written by `python docs/make_dicom_table.py FOLDER > docs/dicom_odd_files.md` over public files of pydicom, pydicom-data,
cornerstoneWADOImageLoader and lungmask. Each row is one file (or one folder) as `taskct` reads it: the values in HU and what
was noted, or the line that is printed when it is refused (exit code 3). Neither
`python-gdcm` nor `pylibjpeg-libjpeg` (GPL-3.0) was installed.
"""


def outcome(root: Path, path: Path) -> tuple[bool, str]:
    """Whether a path is read, and the words for the last column."""
    try:
        case = read_series(path)
    except TaskctError as error:
        return False, f"`{str(error).replace(f'{root}/', '').replace('|', '/')}`"
    z, y, x = case.hu.shape
    step = " x ".join(f"{mm:.4g}" for mm in case.spacing_mm)
    notes = "; ".join(case.provenance["notes"]) or "nothing odd"
    return True, f"{float(case.hu.min()):.0f} to {float(case.hu.max()):.0f} HU, {z} x {y} x {x}, {step} mm: {notes}"


def table(root: Path) -> str:
    """The whole page for a folder."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.stat().st_size and looks_like_dicom(p))
    folders = sorted({folder for f in files for folder in f.parents if folder.is_relative_to(root) and folder != root})
    folders = [f for f in folders if sum(f in file.parents for file in files) > 1]
    lines = [HEAD, "| file | transfer syntax | | HU, or the line printed |", "|---|---|---|---|"]
    read = 0
    for file in files:
        was_read, words = outcome(root, file)
        read += was_read
        syntax = syntax_name(open_header(file).syntax)
        lines.append(f"| {file.relative_to(root)} | {syntax} | {'read' if was_read else 'refused'} | {words} |")
    lines += [
        "",
        f"{len(files)} files: {read} read, {len(files) - read} refused.",
        "",
        "| folder | | HU, or the line printed |",
    ]
    lines.append("|---|---|---|")
    for folder in folders:
        was_read, words = outcome(root, folder)
        lines.append(f"| {folder.relative_to(root)}/ | {'read' if was_read else 'refused'} | {words} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1]).resolve()))
