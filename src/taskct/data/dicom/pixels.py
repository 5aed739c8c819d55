"""Stored numbers of a file -> HU per frame, with every declared size compared with the bytes before anything is decoded."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from taskct.core.errors import FileFormatError, ResourceError, TaskctError, UnsupportedDataError
from taskct.data.dicom.codestream import check_codestream
from taskct.data.dicom.decoder_process import decode_apart
from taskct.data.dicom.dicom_padding import declared_padding, fill_outside
from taskct.data.dicom.parse import EXPLICIT_BIG, DicomFile, open_whole, reason
from taskct.data.dicom.slice_headers import Frame
from taskct.data.dicom.syntaxes import Syntax, readable_syntax
from taskct.data.dicom.values import integer, number, text, value

_AS_STORED: dict[str, Any] = {"correct_unused_bits": False}  # pydicom would drop bits above BitsStored in silence
LOSSY = "lossy compression"  # how the note on it begins
_HU_LIMIT = 70_000  # 16 bits with slope 1 reach 65535; beyond it the scale is wrong


def frame_hu(frame: Frame, stored: np.ndarray) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """One frame's stored numbers (Y, X) -> HU float32 (Y, X), how many pixels were filled with air, and notes."""
    hu = stored.astype(np.float64) * frame.slope + frame.intercept
    if float(np.abs(hu).max()) > _HU_LIMIT:
        raise FileFormatError(
            f"{frame.file.path}: values from {hu.min():g} to {hu.max():g} after RescaleSlope {frame.slope:g} are no HU; "
            "the header is wrong"
        )
    if text(frame.file.path, frame.file.header, "Manufacturer") == "taskct":
        return hu.astype(np.float32), 0, ()  # our writer never pads, and noise of a low dose may reach any depth
    declared = declared_padding(frame.file, slope=frame.slope, intercept=frame.intercept)
    return fill_outside(hu.astype(np.float32), declared_hu=declared)


def stored_values(file: DicomFile, frames: int, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode one file: integer array (frames, Y, X) as stored, and notes (lossy, sign mended).

    Raises FileFormatError for truncated or inconsistent pixels, UnsupportedDataError where no decoder is at hand.
    """
    path = file.path
    allocated, stored, signed = _layout(file)
    syntax = readable_syntax(path, file.syntax, bits_stored=stored)
    pixel_bytes = frames * shape[0] * shape[1] * allocated // 8
    dataset = open_whole(path, pixel_bytes=pixel_bytes)
    found = value(path, dataset, "PixelData")
    if not isinstance(found, bytes):
        raise FileFormatError(f"{path}: has no pixel data; the file is truncated or not an image")
    notes: list[str] = []
    if syntax.kind == "native":
        array = _native(file, found, (frames, *shape), allocated=allocated, signed=signed)
    else:
        array = _decoded(file, dataset, (frames, *shape), syntax, signed=signed, notes=notes)
    if syntax.lossy or text(path, file.header, "LossyImageCompression") == "01":
        notes.append(_lossy_note(file, syntax))
    array = _within_bits(file, array, stored=stored, signed=signed, notes=notes)
    return array, tuple(notes)


def _layout(file: DicomFile) -> tuple[int, int, bool]:
    """Bits allocated, bits stored, signed."""
    path, header = file.path, file.header
    allocated, stored = integer(path, header, "BitsAllocated"), integer(path, header, "BitsStored")
    high, representation = integer(path, header, "HighBit"), integer(path, header, "PixelRepresentation")
    if allocated not in (8, 16) or stored is None or not 1 <= stored <= allocated:
        raise UnsupportedDataError(f"{path}: {stored} bits stored in {allocated}; CT is read with 8 or 16 bits allocated")
    if high is not None and high != stored - 1:
        raise UnsupportedDataError(f"{path}: HighBit is {high} with {stored} bits stored; expected {stored - 1}")
    if representation not in (0, 1):
        raise FileFormatError(
            f"{path}: PixelRepresentation is {representation}, so the sign of the numbers is unknown; expected 0 or 1"
        )
    return allocated, stored, representation == 1


def _native(file: DicomFile, data: bytes, shape: tuple[int, int, int], *, allocated: int, signed: bool) -> np.ndarray:
    path = file.path
    expected = int(np.prod(shape)) * allocated // 8
    if len(data) < expected:
        raise FileFormatError(f"{path}: pixel data are truncated: {len(data)} of {expected} bytes; copy the file again")
    if len(data) > expected + 1:  # one byte may pad to an even length
        raise FileFormatError(
            f"{path}: {len(data)} bytes of pixel data where {shape[0]} x {shape[1]} x {shape[2]} pixels of {allocated} bits "
            f"need {expected}; the file is inconsistent"
        )
    if file.syntax == EXPLICIT_BIG and allocated == 8:
        raise UnsupportedDataError(f"{path}: 8-bit big-endian pixels; convert the file to Explicit VR Little Endian first")
    order = ">" if file.syntax == EXPLICIT_BIG else "<"
    return np.frombuffer(data, f"{order}{'i' if signed else 'u'}{allocated // 8}", int(np.prod(shape))).reshape(shape)


def _decoded(
    file: DicomFile, dataset: Dataset, shape: tuple[int, int, int], syntax: Syntax, *, signed: bool, notes: list[str]
) -> np.ndarray:
    from pydicom.encaps import generate_frames
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    path = file.path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if syntax.kind != "rle":
                offsets = _extended_offsets(dataset)
                streams = list(generate_frames(dataset.PixelData, number_of_frames=shape[0], extended_offsets=offsets))
                if len(streams) != shape[0]:
                    raise FileFormatError(f"{path}: {len(streams)} compressed frames of {shape[0]}; the file is truncated")
                for stream in streams:
                    _check_stream(path, stream, shape, syntax, signed=signed, notes=notes)
            if syntax.apart:
                return _of_size(path, decode_apart(path, syntax.plugin), shape)
            decoder = get_decoder(UID(file.syntax))
            array, _ = decoder.as_array(dataset, raw=True, decoding_plugin=syntax.plugin, **_AS_STORED)
    except TaskctError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{path}: not enough memory to decode this file") from error
    except Exception as error:  # decoders raise almost anything on damaged data
        raise FileFormatError(
            f"{path}: {syntax.name} pixels cannot be decoded ({reason(error)}); the file is damaged"
        ) from error
    return _of_size(path, array, shape)


def _of_size(path: Path, array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    if array.size != int(np.prod(shape)):
        raise FileFormatError(f"{path}: {array.size} decoded pixels where {shape} are declared; the file is inconsistent")
    return array.reshape(shape)


def _check_stream(
    path: Path, stream: bytes, shape: tuple[int, int, int], syntax: Syntax, *, signed: bool, notes: list[str]
) -> None:
    found = check_codestream(path, stream, rows=shape[1], cols=shape[2], jpeg2000=syntax.kind == "jpeg2000")
    if found.signed is None or found.signed == signed:
        return
    if found.signed:
        raise FileFormatError(
            f"{path}: PixelRepresentation says unsigned and the JPEG 2000 header signed; negative numbers would wrap to "
            "large ones; mend PixelRepresentation"
        )
    note = f"JPEG 2000 header says unsigned, PixelRepresentation signed: read as {found.bits}-bit two's complement"
    if note not in notes:
        notes.append(note)


def _extended_offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    table, lengths = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    return (table, lengths) if table and lengths else None


def _lossy_note(file: DicomFile, syntax: Syntax) -> str:
    how = syntax.name if syntax.lossy else "said by LossyImageCompression"
    note = f"{LOSSY} ({how}): values differ from the scanner's"
    slope = number(file.path, file.header, "RescaleSlope")
    return note if slope is None or slope <= 1 else f"{note}, and one step of the stored number is {slope:.4g} HU"


def _within_bits(file: DicomFile, array: np.ndarray, *, stored: int, signed: bool, notes: list[str]) -> np.ndarray:
    """Refuse numbers outside BitsStored, unless old-style overlays explain them (then they are masked out)."""
    low, high = (-(2 ** (stored - 1)), 2 ** (stored - 1) - 1) if signed else (0, 2**stored - 1)
    if array.dtype.kind not in "iu":
        raise FileFormatError(f"{file.path}: the decoder gave {array.dtype} numbers; expected whole ones")
    if int(array.min()) >= low and int(array.max()) <= high:
        return array
    if not signed and any(position >= stored for position in _overlay_bits(file)):
        notes.append(f"an overlay in the bits above the {stored} stored ones was removed")
        return array & np.array(high, array.dtype)
    raise FileFormatError(
        f"{file.path}: stored numbers from {array.min()} to {array.max()} do not fit into {stored} "
        f"{'signed' if signed else 'unsigned'} bits (BitsStored, PixelRepresentation); the file is inconsistent"
    )


def _overlay_bits(file: DicomFile) -> list[int]:
    """OverlayBitPosition of every overlay: where old scanners hid graphics beside the stored bits."""
    bits = [file.header[group, 0x0102].value for group in range(0x6000, 0x6020, 2) if (group, 0x0102) in file.header]
    return [bit for bit in bits if isinstance(bit, int)]
