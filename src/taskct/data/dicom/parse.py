"""A DICOM file opened without trusting it: sizes are bounded before pydicom sees a byte, and every failure is one line."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from taskct.core.errors import FileFormatError
from taskct.core.files import MAX_VOLUME_BYTES
from taskct.core.open_files import file_size, open_binary, parsing, read_start

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"

MAX_HEADER_ELEMENTS = 100_000  # at the top level; a clinical header has some hundreds
MAX_HEADER_VALUE_BYTES = 4 * 2**20  # longer values before the pixels are skipped, not read
MAX_BESIDE_PIXELS_BYTES = 256 * 2**20  # of a file that is read whole, what is not pixels
INFLATED_BASE_BYTES = 256 * 2**20  # a deflated file may always unpack to this much ...
INFLATED_RATIO = 32  # ... plus this many times its size; CT deflates about 2-fold, a bomb 1000-fold

_LONG_LENGTH_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}
_FIRST_GROUPS = {b"\x08\x00", b"\x02\x00", b"\x00\x08"}  # little endian, file meta, big endian


@dataclass(frozen=True, eq=False)
class DicomFile:
    """What a file says before its pixels. `header` holds pydicom's dataset; `notes` are sentences on what was odd."""

    path: Path
    header: Dataset
    syntax: str
    sop_class: str
    sop_uid: str
    has_pixels: bool = True
    notes: tuple[str, ...] = ()


def looks_like_dicom(path: Path) -> bool:
    """True when the first bytes are those of DICOM, with or without its preamble; the name does not matter."""
    start = read_start(path, 132)
    if start[128:] == b"DICM":
        return True
    return start[:2] in _FIRST_GROUPS and start[2:4] in {b"\x00\x00", b"\x01\x00", b"\x05\x00", b"\x08\x00", b"\x00\x08"}


def open_header(path: Path) -> DicomFile:
    """Read what stands before the pixels.

    Raises FileFormatError, beginning with the path, for whatever is damaged or hostile.
    """
    guard = _Guard(path, stop_at_pixels=True)
    dataset, syntax, meta, notes = _parse(path, guard, limit_bytes=MAX_VOLUME_BYTES)
    sop_class, sop_uid = _uid(path, dataset, "SOPClassUID"), _uid(path, dataset, "SOPInstanceUID")
    sop_class, sop_uid = sop_class or meta.get(0x0002, ""), sop_uid or meta.get(0x0003, "")
    return DicomFile(path, dataset, syntax, sop_class, sop_uid, guard.saw_pixels, notes)


def open_whole(path: Path, *, pixel_bytes: int) -> Dataset:
    """Read header and pixels of a file whose header declares `pixel_bytes` of pixels; larger files are refused unread."""
    guard = _Guard(path, stop_at_pixels=False)
    return _parse(path, guard, limit_bytes=MAX_BESIDE_PIXELS_BYTES + 2 * pixel_bytes)[0]


def short(value: object, length: int = 80) -> str:
    """A value of a file as one short printable line, whatever it holds.

    >>> short("two\\nlines, and more", 12)
    "'two lines, ...'"
    """
    plain = "".join(c if c.isprintable() else " " for c in str(value)).strip()
    return repr(plain if len(plain) <= length else plain[: length - 1] + "...")


def reason(error: BaseException) -> str:
    """Why a third-party call failed, as part of one line."""
    return f"{type(error).__name__}: {short(error, 120)[1:-1]}" if str(error) else type(error).__name__


def _parse(path: Path, guard: _Guard, *, limit_bytes: int) -> tuple[Dataset, str, dict[int, str], tuple[str, ...]]:
    from pydicom.filereader import read_dataset

    with open_binary(path) as file, parsing(path, "DICOM"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        size = file_size(path)
        if size > limit_bytes:
            raise FileFormatError(
                f"{path}: the file has {size / 2**20:.0f} MiB, its header allows at most {limit_bytes / 2**20:.0f} MiB; "
                "it is damaged or hostile"
            )
        syntax, meta, notes = _read_meta(path, file)
        stream: BinaryIO = file
        if syntax == DEFLATED:
            stream = io.BytesIO(_inflate(path, file.read(), MAX_VOLUME_BYTES))
        dataset = read_dataset(
            stream,
            is_implicit_VR=syntax == IMPLICIT_LITTLE,
            is_little_endian=syntax != EXPLICIT_BIG,
            stop_when=guard,
            defer_size=MAX_HEADER_VALUE_BYTES if guard.stop_at_pixels else None,
        )
    messages = [str(w.message) for w in caught]
    if any("End of file" in m or "EOF" in m for m in messages):
        raise FileFormatError(f"{path}: the file is truncated (it ends inside an element); copy it again")
    if len(dataset) == 0:
        raise FileFormatError(f"{path}: holds no DICOM elements; the file is damaged or no DICOM")
    odd = [f"odd element: {short(m, 120)[1:-1]}" for m in dict.fromkeys(messages)]
    return dataset, syntax, meta, (*notes, *odd[:3])


class _Guard:
    """The callback that pydicom asks before each element: stops at the pixels and counts elements."""

    def __init__(self, path: Path, *, stop_at_pixels: bool) -> None:
        self.path, self.stop_at_pixels, self.elements = path, stop_at_pixels, 0
        self.saw_pixels = False

    def __call__(self, tag: Any, vr: str | None, length: int) -> bool:
        self.elements += 1
        if self.elements > MAX_HEADER_ELEMENTS:
            raise FileFormatError(f"{self.path}: more than {MAX_HEADER_ELEMENTS} elements; the file is damaged or hostile")
        pixels = int(tag) in {0x7FE00010, 0x7FE00009, 0x7FE00008}
        self.saw_pixels = self.saw_pixels or pixels
        return self.stop_at_pixels and pixels


def _read_meta(path: Path, file: BinaryIO) -> tuple[str, dict[int, str], tuple[str, ...]]:
    """Transfer syntax and UIDs of the file meta group; leaves `file` at the first element of the dataset.

    pydicom's own reader is not used since it inflates a deflated dataset without a bound.
    """
    notes: list[str] = []
    start = file.read(132)
    if start[128:] != b"DICM":
        file.seek(0)
        notes.append("no DICOM preamble")
    meta: dict[int, str] = {}
    while True:
        here = file.tell()
        head = file.read(8)
        if head[:2] != b"\x02\x00":
            file.seek(here)
            break
        element, vr = int.from_bytes(head[2:4], "little"), head[4:6]
        length = int.from_bytes(head[6:8], "little")
        if vr in _LONG_LENGTH_VRS:
            length = int.from_bytes(file.read(4), "little")
        value = file.read(length) if length <= 2**16 else b""
        if len(value) != length or not re.fullmatch(rb"[A-Z]{2}", vr):
            raise FileFormatError(f"{path}: the file meta information is truncated or damaged; copy the file again")
        meta[element] = value.strip(b" \0").decode("ascii", "replace")
    syntax = meta.get(0x0010, "")
    if not syntax:
        syntax = _guess_syntax(head)
        notes.append(f"no transfer syntax; read as {syntax}")
    return syntax, meta, tuple(notes)


def _guess_syntax(head: bytes) -> str:
    if not re.fullmatch(rb"[A-Z]{2}", head[4:6]):
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if head[:1] == b"\x00" else EXPLICIT_LITTLE


def _inflate(path: Path, packed: bytes, limit_bytes: int) -> bytes:
    """Unpack a deflated dataset, stopping at the bound instead of after it."""
    bound = min(limit_bytes, INFLATED_BASE_BYTES + INFLATED_RATIO * len(packed))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    unpacked = inflater.decompress(packed, bound)
    if inflater.unconsumed_tail:
        raise FileFormatError(
            f"{path}: {len(packed) / 2**20:.1f} MiB of deflated data unpack to more than {bound / 2**20:.0f} MiB; "
            "the file is damaged or hostile"
        )
    if not inflater.eof:
        raise FileFormatError(f"{path}: the deflated data are truncated; copy the file again")
    return unpacked


def _uid(path: Path, dataset: Dataset, keyword: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(dataset.get(keyword) or "").strip()
    except Exception as error:  # conversion happens on access
        raise FileFormatError(f"{path}: {keyword} cannot be read ({reason(error)}); the file is damaged") from error
