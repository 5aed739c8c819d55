"""Masks that were stored as a series of DICOM images, as 3D-IRCADb does: 0 outside, one value inside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from taskct.core.errors import TaskctError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, check_array_size
from taskct.data.dicom.find import Scan, Series
from taskct.data.dicom.pixels import stored_values
from taskct.data.dicom.slice_headers import Frame, frame_count, frames_of
from taskct.data.dicom.slice_positions import arrange
from taskct.data.evenly_spaced import evenly_spaced
from taskct.data.volume import Volume, canonical_volume

_MOST_KINDS = 256  # different numbers in a label map; a CT has thousands
_LOOKED_AT = 5  # files of a series whose values decide whether it is a mask


def is_mask_series(series: Series) -> bool:
    """True when the pixels looked at hold 0 and at most one other value, which no CT slice does. Damaged files say False."""
    files = series.slice_files
    values: set[int] = set()
    try:
        for number in evenly_spaced(len(files), _LOOKED_AT):
            frames = frames_of(files[number], need_scale=False)
            stored, _ = stored_values(files[number], frame_count(files[number]), frames[0].shape)
            values |= set(np.unique(stored).tolist())
            if len(values) > 2 or (len(values) == 2 and 0 not in values):
                return False
    except TaskctError:
        return False
    return bool(values) and (0 in values or len(values) == 1)


def read_mask_series(found: Scan, series: Series, *, limit_bytes: int = MAX_VOLUME_BYTES) -> Volume:
    """A series of masks or label numbers -> whole numbers in our orientation, with the place that its headers give.

    Two values, one of them 0, become 0 and 1 whatever the other is (1, 255, ...). More values are label numbers: as rescaled
    by the header where their least is 0, else as stored.

    Raises UnsupportedDataError, FileFormatError as `read_series` does; the scale is not asked to be HU.
    """
    if found.damaged:
        raise found.damaged[0][1]
    frames = [frame for file in series.files for frame in frames_of(file, need_scale=False)]
    stack = arrange(frames, name=found.name)
    check_array_size(found.name, (len(stack.frames), *stack.frames[0].shape), 8, limit_bytes=limit_bytes)
    stored = np.stack([_stored(frame) for frame in stack.frames])
    for kept, other in stack.twins:
        if not np.array_equal(_stored(kept), _stored(other)):
            raise UnsupportedDataError(f"{other.file.path}: another mask at the place of {kept.file.path.name}; remove one")
    values = _labels(found.name, stack.frames, stored)
    volume = canonical_volume(found.name, values, stack.affine_mm, list(stack.notes))
    return replace(volume, may_be_padded=False)


def _stored(frame: Frame) -> np.ndarray:
    values, _ = stored_values(frame.file, frame_count(frame.file), frame.shape)
    return values[frame.index].astype(np.int32)


def _labels(name: str, frames: list[Frame], stored: np.ndarray) -> np.ndarray:
    kinds = np.unique(stored)
    if len(kinds) > _MOST_KINDS:
        raise UnsupportedDataError(f"{name}: holds {len(kinds)} different values: an image and not labels; give its labels")
    if len(kinds) <= 2 and 0 in kinds:
        return (stored != 0).astype(np.uint8)
    scale = np.array([[f.slope, f.intercept] for f in frames])
    scaled = stored * scale[:, :1, None] + scale[:, 1:, None]
    for values in (scaled, stored):
        if values.min() == 0 and (values == np.round(values)).all():
            return values.astype(np.int32)
    raise UnsupportedDataError(
        f"{name}: holds values from {stored.min()} to {stored.max()}; a mask has 0 outside, label numbers begin at 0"
    )
