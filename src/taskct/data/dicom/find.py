"""Files and folders -> the series in them. Content decides, never a name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from taskct.core.errors import DataError, FileFormatError, InputError, UnsupportedDataError
from taskct.core.files import existing_path
from taskct.core.names import plural
from taskct.core.open_files import regular_file
from taskct.data.dicom.identity import same_uid
from taskct.data.dicom.lost_files import is_file_or_lost, lost_slices
from taskct.data.dicom.parse import DicomFile, looks_like_dicom, open_header
from taskct.data.dicom.slice_headers import file_image_type, is_ct, is_localizer
from taskct.data.dicom.values import text

PathLike = str | os.PathLike[str]
DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass(eq=False)
class Series:
    """The files that share a SeriesInstanceUID ('' when they have none)."""

    uid: str
    description: str
    modality: str
    files: list[DicomFile] = field(default_factory=list)

    @property
    def ct_files(self) -> list[DicomFile]:
        """The files that hold CT images, scouts included."""
        return [f for f in self.files if is_ct(f)]

    @property
    def slice_files(self) -> list[DicomFile]:
        """The CT files that are no scouts."""
        return [f for f in self.ct_files if not is_localizer(file_image_type(f))]

    @property
    def line(self) -> str:
        """The series in a few words, for messages."""
        return (
            f"{self.uid or '(no UID)'} ({self.description or 'no description'}, {self.modality}, "
            f"{plural(len(self.files), 'file')})"
        )


@dataclass(eq=False)
class Scan:
    """What was found under a path: series in order of UID, damaged files with their error, and what is not DICOM."""

    name: str
    series: list[Series]
    damaged: list[tuple[Path, DataError]]
    companions: list[Path] = field(default_factory=list)
    masks: list[Series] = field(default_factory=list)  # what `choose` took for masks, and not for CT
    directories: list[DicomFile] = field(default_factory=list)  # DICOMDIR: indexes of other files

    @property
    def paths(self) -> list[Path]:
        """Every DICOM file, damaged ones included."""
        return [*(f.path for s in self.series for f in s.files), *(p for p, _ in self.damaged)]


def scan(path: PathLike | Iterable[PathLike]) -> Scan:
    """Open the headers of a file, a list of files, or everything below a folder.

    A named file that is not DICOM is an error. In a folder it is a companion of the series, unless it is called or sized like
    the slices beside it: then it is a damaged one.
    """
    return _scan(*_paths(path))


def scan_folder(folder: Path) -> Scan:
    """The same for the files right in one folder, without those below it."""
    return _scan(str(folder), sorted(f for f in folder.iterdir() if is_file_or_lost(f)), False)


def _scan(name: str, paths: list[Path], named: bool) -> Scan:
    found: dict[str, Series] = {}
    damaged: list[tuple[Path, DataError]] = []
    others: list[Path] = []
    strangers: list[Path] = []
    directories: list[DicomFile] = []
    for each in paths:
        if not each.is_file() or not looks_like_dicom(each):
            if named:
                raise FileFormatError(f"{each}: is not a DICOM file; give a DICOM file or a folder of them")
            strangers.append(each)
            continue
        try:
            file = open_header(each)
            if is_ct(file) and not file.has_pixels:
                raise FileFormatError(f"{each}: has no pixel data; the file is truncated, copy it again")
            uid = text(each, file.header, "SeriesInstanceUID")
        except DataError as error:
            damaged.append((each, error))
            continue
        if file.sop_class == DICOMDIR or "DirectoryRecordSequence" in file.header:
            if named:
                raise UnsupportedDataError(f"{each}: is a DICOMDIR, an index of other files; give the folder it lies in")
            others.append(each)
            directories.append(file)
            continue
        modality = text(each, file.header, "Modality") or ("CT" if is_ct(file) else "?")
        series = found.setdefault(uid, Series(uid, text(each, file.header, "SeriesDescription"), modality))
        series.files.append(file)
    images = [f.path for s in found.values() for f in s.files if f.has_pixels] + [p for p, _ in damaged]
    lost = lost_slices(strangers, images)
    damaged += lost.items()
    others += [p for p in strangers if p not in lost]
    return Scan(name, sorted(found.values(), key=lambda s: s.uid), damaged, others, directories=directories)


def choose(found: Scan, series_uid: str | None, *, is_mask: Callable[[Series], bool] = lambda _: False) -> Series:
    """The one CT series to read; a refusal lists what there is. `is_mask` says which of several are masks, not CT."""
    name = found.name
    if found.damaged:
        raise found.damaged[0][1]
    if series_uid is not None:
        for series in found.series:
            if series_uid == series.uid or (series.uid and same_uid(series_uid, series.uid)):
                return series
        listed = "; ".join(s.line for s in found.series) or "none"
        raise InputError(f"{name}: no series {series_uid!r}; found: {listed}")
    if not found.series:
        raise InputError(f"{name}: holds no DICOM file ({plural(len(found.companions), 'other file')}); check the path")
    candidates = [s for s in found.series if s.ct_files]
    if not candidates:
        listed = "; ".join(s.line for s in found.series)
        raise UnsupportedDataError(f"{name}: holds no CT images, but {listed}; give the folder of a CT series")
    candidates = [s for s in candidates if s.slice_files] or candidates
    if len(candidates) > 1:  # masks stored as images are labels, not CT
        found.masks = [s for s in candidates if is_mask(s)]
        candidates = [s for s in candidates if s not in found.masks] or candidates
    if len(candidates) > 1:
        listed = "; ".join(s.line for s in candidates)
        raise UnsupportedDataError(
            f"{name}: holds {len(candidates)} CT series; choose one with series_uid=... (--series): {listed}"
        )
    return candidates[0]


def _paths(path: PathLike | Iterable[PathLike]) -> tuple[str, list[Path], bool]:
    """The name for messages, the regular files in a fixed order, and whether the caller named them one by one."""
    if not isinstance(path, str | os.PathLike):
        listed = [existing_path(p, what="DICOM files") for p in path]
        folders = [p for p in listed if not p.is_file()]
        if folders or not listed:
            raise InputError(f"expected a list of DICOM files, got {folders[0] if folders else 'an empty list'}")
        same = len({p.parent for p in listed}) == 1
        return str(listed[0].parent if same else listed[0]), sorted(dict.fromkeys(listed)), True
    root = existing_path(path, what="DICOM series")
    if not root.is_dir():
        return str(root), [regular_file(root, what="DICOM file")], True
    files = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    return str(root), sorted(f for f in files if is_file_or_lost(f)), False
