"""Files in a series folder that are not DICOM: a companion may lie there, a slice that was lost may not.

A README, a picture or a .json beside a series is a companion: it is named in the notes. A file that is called or sized like
the slices beside it, and yet is not DICOM, was a slice: empty, zero-filled, cut within its first bytes, or not yet copied.
To leave it out would shorten the volume, or open a gap, so it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from taskct.core.errors import FileFormatError
from taskct.core.open_files import read_start

# names of copies that were not finished, and of packed files: what stands before them is the name of the slice
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".temp", ".gz", ".bz2", ".xz", ".zst")
_SLICE_SUFFIXES = (".dcm", ".dicom", ".ima", ".ct")
_COMPANION_SUFFIXES = {
    ".txt", ".md", ".json", ".xml", ".csv", ".tsv", ".html", ".htm", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif",
    ".tiff", ".log", ".ini", ".inf", ".yaml", ".yml", ".toml", ".exe", ".dll", ".zip", ".tar", ".nii", ".mha", ".mhd", ".raw",
    ".nrrd", ".nhdr", ".h5", ".hdf5", ".bvec", ".bval", ".py", ".sh", ".bat", ".doc", ".docx", ".xls", ".xlsx", ".mat", ".npy",
}  # fmt: skip
BESIDE_SLICES = "beside the slices, not read since not DICOM"
_MOST_NAMED = 3
_LEAST_SLICE_BYTES = 1024  # below this a size says nothing


def lost_slices(strangers: Sequence[Path], slices: Sequence[Path]) -> dict[Path, FileFormatError]:
    """Which of the files that are not DICOM were slices, by their names and sizes, each with the error to raise."""
    if not slices:
        return {}
    patterns = {_pattern(p) for p in slices}
    placed = {_placed_pattern(p) for p in slices}
    sizes = [p.stat().st_size for p in slices]
    alike = len(sizes) > 1 and max(sizes) <= 1.1 * min(sizes)  # compressed slices differ by more
    folders = {p.parent for p in slices}
    lost = {}
    for path in strangers:
        if path.name.startswith("."):
            continue  # what a system keeps for itself, such as ._IM1 and .DS_Store
        name = _finished_name(path)
        called_alike = name.suffix.lower() in _SLICE_SUFFIXES or _pattern(name) in patterns
        named = (path.parent in folders and called_alike) or _placed_pattern(name) in placed
        size = path.stat().st_size if path.exists() else -1
        sized = path.parent in folders and alike and size >= _LEAST_SLICE_BYTES
        sized = sized and 0.98 * min(sizes) <= size <= 1.02 * max(sizes)
        if named or (sized and path.suffix.lower() not in _COMPANION_SUFFIXES):
            how = "named" if named else "as large"
            lost[path] = FileFormatError(
                f"{path}: {how} like the slices beside it, but {_what(path, size)}; copy it again, or move it away if it is "
                "not a slice"
            )
    return lost


def companions_note(companions: Sequence[Path], folders: set[Path]) -> list[str]:
    """A sentence on the files that lie beside the slices and were not read; nothing of systems' own hidden files."""
    beside = sorted({p.name for p in companions if p.parent in folders and not p.name.startswith(".")})
    if not beside:
        return []
    more = f" and {len(beside) - _MOST_NAMED} more" if len(beside) > _MOST_NAMED else ""
    return [f"{BESIDE_SLICES}: {', '.join(beside[:_MOST_NAMED])}{more}"]


def is_file_or_lost(path: Path) -> bool:
    """True for all but folders: a link whose file is not there, a pipe or a device may stand where a slice is meant."""
    return not path.is_dir()


def _what(path: Path, size: int) -> str:
    if size < 0:
        return "it is a link to a file that is not there"
    if not path.is_file():
        return "it is a pipe, a socket or a device, not a regular file"
    if size == 0:
        return "it is empty"
    head = read_start(path, 4096)
    if not head.strip(b"\0"):
        return "it begins with zeros (a copy that was not finished?)" if size > len(head) else "it holds nothing but zeros"
    if size < 132:
        return f"it ends after {size} bytes, within the first 132 of a DICOM file"
    return "its content is not DICOM"


def _finished_name(path: Path) -> Path:
    while path.suffix.lower() in _UNFINISHED and path.stem:
        path = path.with_name(path.stem)
    return path


def _pattern(path: Path) -> str:
    """A file's name with its numbers left open: IM001.dcm and IM12.dcm are alike, UIDs and hexadecimal names, too.

    >>> _pattern(Path("IM001.dcm")), _pattern(Path("1.2.840.7")), _pattern(Path("0a9f3c2211.dcm")), _pattern(Path("README"))
    ('IM#.dcm', '#', '#.dcm', 'README')
    """
    name = path.name
    stem, dot, suffix = name.rpartition(".")
    if not dot or suffix.isdigit():
        stem, suffix = name, ""
    if re.fullmatch(r"[0-9a-fA-F][0-9a-fA-F-]{7,}", stem) and re.search(r"\d", stem):
        stem = "#"
    stem = re.sub(r"#(\.#)+", "#", re.sub(r"\d+", "#", stem))
    return f"{stem}.{suffix}" if suffix else stem


def _placed_pattern(path: Path) -> tuple[Path, str, str]:
    """The same for layouts that give every slice a folder of its own."""
    return path.parent.parent, re.sub(r"\d+", "#", path.parent.name), _pattern(path)
