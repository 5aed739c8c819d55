"""What every volume reader gives: values and affine in our orientation, and what was odd. A Case is made from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct.core.errors import FileFormatError
from taskct.core.files import MAX_VOLUME_BYTES, check_array_size
from taskct.core.links import leads_out
from taskct.core.memory import require_memory
from taskct.core.provenance import fingerprint
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.bounded import check_room, read_exactly
from taskct.data.case import Case
from taskct.data.naming import case_name
from taskct.data.orientation import canonical, checked_affine, contiguous, reordered, spacing_mm
from taskct.data.padding import odd_hu_range, refuse_impossible_hu, replace_padding
from taskct.data.untilt import untilted

_LEAST_MM, _MOST_MM = 1.0, 3000.0  # of the longest side of an image: from a grain to a whole body
NO_ORIENTATION = "the header records no orientation"  # in notes: which side is which is assumed
NO_POSITION = "the header records no position; the middle of the first sample was put at 0, 0, 0 mm"
NOT_READ = "lies with the CT and was not read"  # in the notes on labels that were not asked for


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """What a header says of its values, before any of them is read.

    `shape` and `affine_mm` (to LPS z, y, x) are in the order of the file, slowest axis first; `bytes_from` are the arguments
    of `read_exactly` beside the size; `scaled` turns stored into true values.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    affine_mm: np.ndarray
    notes: tuple[str, ...]
    bytes_from: Mapping[str, Any]
    scaled: Callable[[np.ndarray], np.ndarray] = lambda values: values
    may_be_padded: bool = True

    @property
    def value_bytes(self) -> int:
        """Bytes that the values take when they are unpacked."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def read(self, *, limit_bytes: int = MAX_VOLUME_BYTES) -> Volume:
        """All values in our orientation, after their size was compared with the limit and the free memory."""
        size = check_array_size(self.path, self.shape, self.dtype.itemsize, limit_bytes=limit_bytes)
        as_float32 = check_array_size(self.path, self.shape, 4, limit_bytes=limit_bytes)
        check_room(size=size, **self.bytes_from)
        require_memory(self.path, size + max(size, as_float32 + as_float32 // 4))  # the peak of a Case, as measured
        raw, note = read_exactly(size=size, **self.bytes_from)
        values = self.scaled(raw.view(self.dtype).reshape(self.shape))
        notes = [*self.notes, *self.link_notes(), *([note] if note else [])]
        return replace(canonical_volume(self.path, values, self.affine_mm, notes), may_be_padded=self.may_be_padded)

    def link_notes(self) -> list[str]:
        """A sentence when the file is a symbolic link out of its folder; that a header's data file is one is refused."""
        return ["the file is a symbolic link out of its folder"] if leads_out(self.path) else []

    def require_room(self) -> None:
        """FileFormatError when the file is too short to hold the values that its header declares."""
        check_room(size=self.value_bytes, **self.bytes_from)

    def read_first(self, count: int) -> np.ndarray:
        """The first `count` slices as they lie in the file; FileFormatError when the file is too short to hold them all."""
        self.require_room()
        size = count * self.shape[1] * self.shape[2] * self.dtype.itemsize
        raw, _ = read_exactly(size=size, to_the_end=False, **self.bytes_from)
        return self.scaled(raw.view(self.dtype).reshape(count, *self.shape[1:]))


@dataclass(frozen=True, eq=False)
class Volume:
    """`values` (Z, Y, X) with axes to the head, back and left; `affine_mm` as in Case; `notes` say what was odd.

    `may_be_padded` is False for files that taskct wrote: their deepest values are noise, not padding. The axes of a tilted
    gantry are not at right angles; `slice_axis` is then the one from slice to slice.
    """

    values: np.ndarray
    affine_mm: np.ndarray
    notes: tuple[str, ...] = ()
    may_be_padded: bool = True
    slice_axis: int = 0


def canonical_volume(
    path: str | os.PathLike[str], values: np.ndarray, affine_lps_zyx_mm: np.ndarray, notes: list[str]
) -> Volume:
    """A volume as a file stores it (any axis order, slices first) -> our orientation; values that are not finite are refused.

    A sheared volume passes here, since labels may be looked up in it; `case_from_volume` refuses it, or shifts it back.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise FileFormatError(f"{path}: holds {bad} NaN or infinite values; mend them first (air is -1000 HU)")
    stored = checked_affine(affine_lps_zyx_mm, name=str(path))
    values, affine = reordered(values, stored)
    along = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    slice_axis = int(np.abs(along.T @ stored[:3, 0] / np.linalg.norm(stored[:3, 0])).argmax())
    return Volume(values, affine, tuple(notes), slice_axis=slice_axis)


def case_from_volume(
    path: str | os.PathLike[str],
    volume: Volume,
    *,
    format_name: str,
    case_id: str | None = None,
    patient_id: str = "",
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    untilt: bool = False,
) -> Case:
    """The Case of a volume of HU: padding replaced, everything odd written to `provenance["notes"]`.

    Raises UnsupportedDataError for axes that are not at right angles, unless `untilt` shifts the slices back.
    """
    with np.errstate(over="ignore"):
        hu = np.asarray(volume.values, dtype=np.float32)
    if not np.isfinite(hu).all():
        raise FileFormatError(f"{path}: holds values beyond the range of float32; these are not HU")
    if volume.may_be_padded:
        refuse_impossible_hu(path, hu)
    hu, padding_note = replace_padding(hu) if volume.may_be_padded else (hu, None)
    notes = [*volume.notes, *(n for n in (padding_note, odd_hu_range(hu)) if n)]
    affine_mm = volume.affine_mm
    if untilt:
        hu, affine_mm, more = untilted(hu, affine_mm, name=str(path), slice_axis=volume.slice_axis)
        notes += more
    hu, affine_mm = canonical(hu, affine_mm, name=str(path))
    largest_mm = max(step * n for step, n in zip(spacing_mm(affine_mm), hu.shape, strict=True))
    if not _LEAST_MM <= largest_mm <= _MOST_MM:
        notes.append(f"its longest side is {largest_mm:.3g} mm: these may not be mm; check the file's unit of length")
    tensor = torch.from_numpy(contiguous(hu))
    mark = fingerprint(tensor)
    provenance: dict[str, Any] = {"format": format_name, "notes": notes, "fingerprint": mark}
    return Case(
        hu=tensor,
        spacing_mm=spacing_mm(affine_mm),
        case_id=case_id or case_name(stem(path), mark),
        patient_id=patient_id,
        affine_mm=affine_mm,
        mu_water_per_mm=mu_water_per_mm,
        provenance=provenance,
        source_path=Path(path),
    )


def stem(path: str | os.PathLike[str]) -> str:
    """A file's name without its suffixes: 'ct.nii.gz' -> 'ct'.

    >>> stem("sub.1/volume-3.nii.gz"), stem("a.b.mha")
    ('volume-3', 'a.b')
    """
    name = Path(path).name
    for suffix in (".gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".h5", ".hdf5", ".dcm"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
    return name
