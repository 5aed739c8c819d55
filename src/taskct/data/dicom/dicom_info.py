"""What is in a DICOM file or folder, series by series, without failing on what is odd: each oddity is a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from taskct.core.errors import TaskctError, UnsupportedDataError
from taskct.core.names import plural
from taskct.data.dicom.find import Scan, Series, scan
from taskct.data.dicom.mask_series import is_mask_series
from taskct.data.dicom.pixels import frame_hu, stored_values
from taskct.data.dicom.series import around_notes, header_notes, optional_number, slice_frames
from taskct.data.dicom.slice_headers import Frame, frame_count
from taskct.data.dicom.slice_positions import Stack, arrange
from taskct.data.dicom.syntaxes import syntax_name
from taskct.data.dicom.values import text
from taskct.data.orientation import spacing_mm
from taskct.data.padding import odd_hu_range, refuse_impossible_hu

_MASK = "holds 0 and one other value: a mask, to be given as labels, and not taken for a CT"
MAX_DECODED_FILES = 16  # the HU range of a long series is that of evenly picked files


@dataclass(frozen=True)
class SeriesInfo:
    """One series in plain values. None (or '') where the files do not say; `hu_range` comes from `decoded` of the slices."""

    uid: str
    description: str
    modality: str
    files: int
    slices: int
    shape: tuple[int, int, int] | None
    spacing_mm: tuple[float, float, float] | None
    orientation: str
    hu_range: tuple[float, float] | None
    decoded: int
    kernel: str
    kvp: float | None
    manufacturer: str
    transfer_syntax: str
    oddities: tuple[str, ...]

    @property
    def readable(self) -> bool:
        """True when `read_series` would most likely read it: the geometry is even and the pixels looked at are HU."""
        return self.shape is not None and self.hu_range is not None


def inspect_series(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[SeriesInfo]:
    """Describe every series under `path` (a file, a list of files, a folder searched to the bottom), damaged files last.

    Raises only when the path is not there, or a named file is not DICOM; all else becomes an oddity.
    """
    found = scan(path)
    infos = [_describe(found, series) for series in found.series]
    if sum(bool(series.ct_files) for series in found.series) > 1:
        infos = [
            replace(info, oddities=(*info.oddities, _MASK)) if is_mask_series(series) else info
            for info, series in zip(infos, found.series, strict=True)
        ]
    if found.damaged:
        infos.append(_damaged(found))
    return infos


def _describe(found: Scan, series: Series) -> SeriesInfo:
    first = series.files[0]
    oddities: list[str] = []
    frames: list[Frame] = []
    stack: Stack | None = None
    try:
        if not series.ct_files:
            raise UnsupportedDataError(f"holds no CT images ({series.modality})")
        frames, notes = slice_frames(found, series)
        oddities += notes
        stack = arrange(frames, name=found.name)
        oddities += [*stack.notes, *around_notes(found, series, stack)]
        if stack.twins:
            oddities.append(f"{plural(len(stack.twins), 'slice lies', 'slices lie')} where another one is")
    except TaskctError as error:
        oddities.append(_without_path(found, error))
    low_high, decoded, notes = _hu_range(found, stack.frames if stack else frames)
    oddities += notes
    if series.ct_files:
        oddities += header_notes(series)
    return SeriesInfo(
        uid=series.uid,
        description=series.description,
        modality=series.modality,
        files=len(series.files),
        slices=len(stack.frames) if stack else len(frames),
        shape=(len(stack.frames), *stack.frames[0].shape) if stack else None,
        spacing_mm=spacing_mm(stack.affine_mm) if stack else None,
        orientation=_axes(stack.affine_mm) if stack else "",
        hu_range=low_high,
        decoded=decoded,
        kernel=text(first.path, first.header, "ConvolutionKernel"),
        kvp=optional_number(first, "KVP"),
        manufacturer=text(first.path, first.header, "Manufacturer"),
        transfer_syntax=", ".join(sorted({syntax_name(f.syntax) for f in series.files})),
        oddities=tuple(dict.fromkeys(oddities)),
    )


def _hu_range(found: Scan, frames: list[Frame]) -> tuple[tuple[float, float] | None, int, list[str]]:
    """Lowest and highest HU over evenly picked files, how many were decoded, and notes."""
    by_file: dict[int, list[Frame]] = {}
    for frame in frames:
        by_file.setdefault(id(frame.file), []).append(frame)
    groups = list(by_file.values())
    picked = sorted({int(n) for n in np.linspace(0, len(groups) - 1, min(len(groups), MAX_DECODED_FILES))}) if groups else []
    lows: list[float] = []
    highs: list[float] = []
    notes: list[str] = []
    filled = 0
    for number in picked:
        try:
            group = groups[number]
            stored, more = stored_values(group[0].file, frame_count(group[0].file), group[0].shape)
            notes += more
            for frame in group:
                hu, count, more = frame_hu(frame, stored[frame.index])
                notes += more
                filled += count
                lows.append(float(hu.min()))
                highs.append(float(hu.max()))
        except TaskctError as error:
            notes.append(_without_path(found, error))
            break
    if filled:
        notes.append("pixels outside the scanned circle hold a padding value; it is read as air, -1000 HU")
    if lows:
        ends = np.array([min(lows), max(highs)])
        notes += [note for note in [odd_hu_range(ends)] if note]
        try:
            refuse_impossible_hu(found.name, ends)
        except TaskctError as error:
            return None, len(lows), [*notes, _without_path(found, error)]
    return ((min(lows), max(highs)) if lows else None), len(lows), notes


def _damaged(found: Scan) -> SeriesInfo:
    files = len(found.damaged)
    oddities = tuple(str(error) for _, error in found.damaged[:10])
    return SeriesInfo("", "damaged files", "?", files, 0, None, None, "", None, 0, "", None, "", "", oddities)


def _axes(affine_mm: np.ndarray) -> str:
    """Where rising slice, row and column go, as patient directions: SPL is towards head, back and left."""
    letters = (("S", "I"), ("P", "A"), ("L", "R"))  # rows of the affine: z, y, x
    named = ""
    for axis in range(3):
        direction = affine_mm[:3, axis]
        world = int(np.abs(direction).argmax())
        named += letters[world][0 if direction[world] > 0 else 1]
    return named


def _without_path(found: Scan, error: TaskctError) -> str:
    """An error as a sentence of its own; file names stay, the folder they are in goes."""
    return str(error).removeprefix(f"{found.name}: ").removeprefix(f"{found.name}{os.sep}")
