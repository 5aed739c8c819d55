"""The files that a case is read from, and a hash of their content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from taskct.core.open_files import open_binary
from taskct.data.case import Case
from taskct.data.sets.case_place import CasePlace

_PIECE = 2**20
_HEADERS = {".mhd", ".nhdr"}
_ELSEWHERE = re.compile(rb"^\s*(?:ElementDataFile|data ?file)\s*[=:]\s*(\S.*?)\s*$", re.MULTILINE | re.IGNORECASE)


def files_of(place: CasePlace) -> list[Path]:
    """All files whose content a case depends on: of its image, with the data beside a header, of its labels and its marks."""
    image = list(place.image) if isinstance(place.image, tuple) else [place.image]
    labels = [place.labels] if place.labels else []
    marks = list(place.marks.files) if place.marks else []
    found = [file for path in [*image, *labels, *marks] for file in _below(path)]
    return list(dict.fromkeys(found))


def hash_of_files(files: Iterable[Path], root: Path) -> str:
    """SHA-256 over the names below `root` and the bytes of files, 32 hex digits; raises as `open_binary` does."""
    whole = hashlib.sha256()
    for file in sorted(files):
        digest = hashlib.sha256()
        with open_binary(file) as stream:
            while piece := stream.read(_PIECE):
                digest.update(piece)
        whole.update(f"{os.path.relpath(file, root)}\0{digest.hexdigest()}\n".encode())
    return whole.hexdigest()[:32]


def hash_of_case(case: Case) -> str:
    """The same for a case that is in memory already: SHA-256 over its names, spacing, HU and labels."""
    digest = hashlib.sha256(repr((case.case_id, case.patient_id, case.spacing_mm, sorted(case.label_names.items()))).encode())
    for values in (case.hu, case.labels):
        if values is not None:
            digest.update(f"{tuple(values.shape)}{values.dtype}".encode())
            digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _below(path: Path) -> list[Path]:
    if path.is_dir():
        names = (Path(folder, name) for folder, _, files in os.walk(path) for name in files if not name.startswith("."))
        return sorted(file for file in names if file.is_file())
    return [path, *_beside(path)]


def _beside(header: Path) -> list[Path]:
    """The files that a header without values of its own points to."""
    if header.suffix.lower() not in _HEADERS:
        return []
    with open_binary(header) as stream:
        match = _ELSEWHERE.search(stream.read(2**16))
    if match is None:
        return []
    name = header.parent / os.fsdecode(match[1])
    if name.is_file():
        return [name]
    return [f for f in sorted(header.parent.iterdir()) if f.is_file() and f.suffix.lower() not in _HEADERS]  # a list of files
