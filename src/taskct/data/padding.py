"""What stands outside the scan circle, and whether values can be HU at all. Shared by every reader."""

from __future__ import annotations

import os

import numpy as np

from taskct.core.errors import UnsupportedDataError
from taskct.data.case import AIR_HU

LOWEST_AIR_HU = -1024.0  # of 12-bit scanners
PADDING_BELOW_HU = -1500.0  # air is -1000 and sharp kernels undershoot to about -1100; below this is not a measurement
MAY_NOT_BE_HU = "these may not be HU"
_MAX_CT_HU = 32000.0  # metal on an extended scale ends at 30710
_MOST_LABELS = 256  # different values of a label map; a CT of whole HU has thousands
_IMPOSSIBLE_HU = 1e5  # beyond what 16 bits hold


def replace_padding(hu: np.ndarray, padding_value: float | None = None) -> tuple[np.ndarray, str | None]:
    """Padding -> -1000 HU (air), everything else as read: (any shape) -> (same shape, a note or None).

    Padding are values below -1500 HU (-2000, -2048, -3024 ... : vendors mark the corners outside the scan circle so), and
    values equal to `padding_value` (in HU, as a file's header declares it) where that lies below -1024 HU: a declared
    value that air or tissue may have as well is not trusted. The input is not edited.

    >>> hu, note = replace_padding(np.array([-3024.0, -1024.0, 40.0], dtype=np.float32))
    >>> hu.tolist(), note
    ([-1000.0, -1024.0, 40.0], '1 padding value (-3024 HU) became -1000')
    """
    outside = hu < PADDING_BELOW_HU
    if padding_value is not None and padding_value < LOWEST_AIR_HU:
        outside |= hu == padding_value
    count = int(outside.sum())
    if count == 0:
        return hu, None
    found = hu[outside]
    low, high = float(found.min()), float(found.max())
    span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return np.where(outside, hu.dtype.type(AIR_HU), hu), f"{count} padding value{'s' * (count > 1)} ({span} HU) became -1000"


def odd_hu_range(hu: np.ndarray) -> str | None:
    """A note when values are unlikely to be the HU of a patient in air; None when they may well be.

    >>> odd_hu_range(np.array([0.0, 3926.0]))
    'values from 0 to 3926 hold no air (nothing below -300): these may not be HU'
    """
    low, high = float(hu.min()), float(hu.max())
    span = f"values from {low:g} to {high:g}"
    if low == high:
        return f"all values are {low:g}: this is not an image"
    if high > _MAX_CT_HU:
        return f"{span} leave the range of CT: {MAY_NOT_BE_HU}"
    if low >= -1.0 and high <= 1.0 + 1e-6:
        return f"{span} look normalised: these are not HU"
    if low > -300:
        return f"{span} hold no air (nothing below -300): {MAY_NOT_BE_HU}"
    return None


def refuse_impossible_hu(name: str | os.PathLike[str], hu: np.ndarray) -> None:
    """UnsupportedDataError, beginning with `name`, for values that cannot be HU: normalised ones, attenuation, wrong scales.

    One constant value passes, with the note of `odd_hu_range`. Ask before padding is replaced.

    >>> refuse_impossible_hu("ct.nii", np.array([-1000.0, 3071.0]))
    """
    low, high = float(hu.min()), float(hu.max())
    if low != high and low >= -1.0 and high <= 1.0 + 1e-6:
        raise UnsupportedDataError(
            f"{name}: values from {low:g} to {high:g} are normalised or attenuation, not HU (air -1000, water 0); "
            "scale them back to HU first, attenuation with taskct.to_hu"
        )
    if low < -_IMPOSSIBLE_HU or high > _IMPOSSIBLE_HU:
        raise UnsupportedDataError(
            f"{name}: values from {low:g} to {high:g} are no HU (a CT ends near 31000); "
            "check the file's scale (slope, intercept) and write it in HU"
        )


def refuse_label_map(name: str | os.PathLike[str], hu: np.ndarray) -> None:
    """UnsupportedDataError, beginning with `name`, for a label map or an image of 8 bits: certainly not a CT in HU.

    Its values are whole numbers, the least is 0, and there are 2 to 256 different ones; an image of one value passes.

    >>> refuse_label_map("water.nii", np.zeros(3)), refuse_label_map("ct.nii", np.array([-1000.0, 0.0]))
    (None, None)
    """
    low, high = float(hu.min()), float(hu.max())
    if low != 0 or not 0 < high < _IMPOSSIBLE_HU or not bool((hu == np.floor(hu)).all()):
        return
    count = int((np.bincount(hu.ravel().astype(np.int32)) > 0).sum())
    if count <= _MOST_LABELS:
        raise UnsupportedDataError(
            f"{name}: holds {count} different whole numbers from 0 to {high:g}: this looks like a label map (or an image of 8 "
            "bits), not a CT in HU; label maps are given by --labels, beside their CT"
        )
