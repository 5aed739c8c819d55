"""The size a compressed frame declares in its own header, compared with DICOM's before a decoder allocates it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.names import plural

_JPEG_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF0-SOF15 and JPEG-LS SOF55
_BARE_MARKERS = {0x01, 0xFF, *range(0xD0, 0xD9)}


@dataclass(frozen=True)
class Codestream:
    """What a JPEG, JPEG-LS or JPEG 2000 header says. `signed` is None where the format cannot say it."""

    rows: int
    cols: int
    components: int
    bits: int
    signed: bool | None = None


def check_codestream(path: Path, frame: bytes, *, rows: int, cols: int, jpeg2000: bool) -> Codestream:
    """The header of one compressed frame; refused when its size differs from DICOM's, or when its end is missing.

    JPEG decoders return a partly grey image from a truncated frame without an error, so the end marker is looked for.
    """
    found = _jpeg2000(frame) if jpeg2000 else _jpeg(frame)
    if found is None:
        raise FileFormatError(f"{path}: the compressed pixels have no readable header; the file is damaged")
    if (found.rows, found.cols) != (rows, cols):
        raise FileFormatError(
            f"{path}: DICOM declares {rows} x {cols} pixels, the compressed frame {found.rows} x {found.cols}; "
            "the file is inconsistent"
        )
    if found.components != 1 or not 1 <= found.bits <= 16:
        raise UnsupportedDataError(
            f"{path}: the compressed frame has {plural(found.components, 'component')} of {found.bits} bits; CT has "
            "one of 8 to 16"
        )
    if b"\xff\xd9" not in frame[-16:]:
        raise FileFormatError(f"{path}: the compressed pixels are truncated (no end marker); copy the file again")
    return found


def _jpeg(frame: bytes) -> Codestream | None:
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 10 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker in _BARE_MARKERS:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_FRAME_MARKERS:
            return Codestream(
                bits=frame[at + 4],
                rows=int.from_bytes(frame[at + 5 : at + 7], "big"),
                cols=int.from_bytes(frame[at + 7 : at + 9], "big"),
                components=frame[at + 9],
            )
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _jpeg2000(frame: bytes) -> Codestream | None:
    at = 0 if frame[:4] == b"\xff\x4f\xff\x51" else frame[:4096].find(b"\xff\x4f\xff\x51")  # a JP2 box may stand before
    siz = frame[at + 4 : at + 4 + 40]
    if at < 0 or len(siz) < 40:
        return None
    right, bottom, left, top = (int.from_bytes(siz[n : n + 4], "big") for n in (4, 8, 12, 16))
    return Codestream(
        rows=bottom - top,
        cols=right - left,
        components=int.from_bytes(siz[36:38], "big"),
        bits=(siz[38] & 0x7F) + 1,
        signed=bool(siz[38] & 0x80),
    )
