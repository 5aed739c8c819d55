"""Which format a file has, by its content; and the volume formats with the function that reads each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES
from taskct.core.open_files import read_start
from taskct.data.bounded import GZIP_MAGIC, read_head
from taskct.data.dicom.parse import looks_like_dicom
from taskct.data.hdf5_guard import HDF5_MAGIC
from taskct.data.metaimage import is_metaimage_head, open_metaimage, read_metaimage_volume
from taskct.data.nifti import is_nifti_head, open_nifti, read_nifti_volume
from taskct.data.nrrd import open_nrrd, read_nrrd_volume
from taskct.data.volume import StoredVolume, Volume

_SUFFIXES = {
    ".nii": "nifti", ".nii.gz": "nifti", ".mha": "metaimage", ".mhd": "metaimage", ".nrrd": "nrrd", ".nhdr": "nrrd",
    ".h5": "hdf5", ".hdf5": "hdf5", ".dcm": "dicom", ".ima": "dicom",
}  # fmt: skip
_NAMES = {"nifti": "NIfTI", "metaimage": "MetaImage", "nrrd": "NRRD", "hdf5": "HDF5", "dicom": "DICOM"}
_HEAD_BYTES = 540

CASE_OF_ARRAY = "Case(hu, spacing_mm): hu a float32 torch tensor (Z, Y, X) in HU, spacing_mm its (z, y, x) in mm"
"""How an array becomes a CT, in words."""

_NO_SPACING = {
    b"\x93NUMPY": "a NumPy array",
    b"PK\x03\x04": "a zip archive or NumPy arrays (.npz)",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
}


class _ReadVolume(Protocol):
    def __call__(self, path: str | os.PathLike[str], *, limit_bytes: int = ...) -> Volume: ...


VOLUME_READERS: dict[str, _ReadVolume] = {
    "nifti": read_nifti_volume,
    "metaimage": read_metaimage_volume,
    "nrrd": read_nrrd_volume,
}

_OPENERS: dict[str, Callable[[Path], StoredVolume]] = {
    "nifti": open_nifti,
    "metaimage": open_metaimage,
    "nrrd": open_nrrd,
}


def kind_of(path: Path) -> str:
    """ "nifti", "metaimage", "nrrd", "hdf5" or "dicom", by the first bytes of a file.

    Raises FileFormatError when a name promises a format that the content is not, UnsupportedDataError for anything else.
    """
    promised = promised_kind(path)
    head = _head(path)
    tests: list[tuple[str, Callable[[bytes], bool]]] = [
        ("nifti", is_nifti_head),
        ("nrrd", lambda b: b.startswith(b"NRRD000")),
        ("hdf5", lambda b: b.startswith(HDF5_MAGIC) or b.startswith(b"MATLAB 7.3")),
        ("metaimage", is_metaimage_head),
    ]
    for kind, matches in tests:
        if matches(head):
            return kind
    if looks_like_dicom(path):
        return "dicom"
    if head.startswith(b"MATLAB 5.0"):
        raise UnsupportedDataError(
            f"{path}: a MATLAB file, not a CT; measured projections in it are read by taskct reconstruct and read_htc2022"
        )
    if promised is not None:
        # a damaged header still belongs to the reader that can say what is wrong with it
        if promised == "nifti" and len(head) >= 348 and head[:4] in (b"\x5c\1\0\0", b"\0\0\1\x5c"):
            return "nifti"
        what = "is empty" if not head else f"is not {_NAMES[promised]}"
        raise FileFormatError(f"{path}: named like {_NAMES[promised]}, but its content {what}; export it anew")
    picture = next((what for magic, what in _NO_SPACING.items() if head.startswith(magic)), "")
    if picture:
        raise UnsupportedDataError(
            f"{path}: {picture}, which does not say in HU and mm what it holds; give the DICOM, NIfTI, MetaImage or NRRD that "
            f"it was made from, or in Python {CASE_OF_ARRAY}"
        )
    raise UnsupportedDataError(
        f"{path}: not a format that taskct reads (DICOM, NIfTI, MetaImage, NRRD, HDF5, told by content)"
    )


def open_volume(path: Path) -> StoredVolume | None:
    """What the header of a volume file says, without its values; None for a file of another kind."""
    open_it = _OPENERS.get(kind_of(path))
    return None if open_it is None else open_it(path)


def promised_kind(path: Path) -> str | None:
    """The format that a file's name promises; None when it promises nothing."""
    name = path.name.lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)


def read_volume(path: Path, *, limit_bytes: int = MAX_VOLUME_BYTES) -> Volume:
    """Any of the volume formats, in our orientation."""
    kind = kind_of(path)
    if kind not in VOLUME_READERS:
        raise UnsupportedDataError(f"{path}: {_NAMES[kind]} is not one volume in NIfTI, MetaImage or NRRD")
    return VOLUME_READERS[kind](path, limit_bytes=limit_bytes)


def volume_files(folder: Path) -> list[Path]:
    """The files of a folder that are named like volumes, by name; hidden files and data files of headers are left out."""
    files = sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
    return [f for f in files if promised_kind(f) in VOLUME_READERS]


def format_name(kind: str) -> str:
    """How a format is written for people."""
    return _NAMES[kind]


def _head(path: Path) -> bytes:
    """The first bytes; unpacked only if the file is gzipped."""
    head = read_start(path, _HEAD_BYTES)
    return read_head(path, _HEAD_BYTES) if head.startswith(GZIP_MAGIC) else head
