"""Images and volumes as bytes for a browser, with the values that they have: nothing is rounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from taskct.core.errors import ResourceError
from taskct.data.case import Case
from taskct.data.nifti import fits_int16, nifti_header

MOST_VOLUME_BYTES = 2**30  # a browser keeps it twice, in memory and on the graphics card


def plane_bytes(values: Tensor) -> tuple[str, bytes]:
    """(Y, X) -> type and little-endian bytes by rows: "u1" for class maps, "i2" for whole HU that fit, else "f4".

    >>> import torch
    >>> plane_bytes(torch.tensor([[1.0, -2.0]])), plane_bytes(torch.tensor([[0.5]]))[0]
    (('i2', b'\\x01\\x00\\xfe\\xff'), 'f4')
    """
    array = values.numpy()
    if array.dtype == np.uint8:
        return "u1", array.tobytes()
    if fits_int16(array):
        return "i2", array.astype("<i2").tobytes()
    return "f4", array.astype("<f4").tobytes()


def volume_nifti(case: Case, *, labels: np.ndarray | None = None, step: int = 1) -> tuple[int, Iterator[bytes]]:
    """The HU of a case, or class maps uint8 of its samples, as a NIfTI file: its size in bytes, and its parts.

    `step` takes every so many-th sample along each axis. Nothing is copied as a whole. Raises ResourceError above 1 GiB.
    """
    every = slice(None, None, step)
    hu = case.hu.numpy()[every, every, every]
    kind = np.dtype("u1") if labels is not None else np.dtype("<i2" if all(map(fits_int16, hu)) else "<f4")
    size = hu.size * kind.itemsize
    if size > MOST_VOLUME_BYTES:
        raise ResourceError(
            f"{case.case_id}: three planes take {size / 2**30:.1f} GiB in the browser, and at most "
            f"{MOST_VOLUME_BYTES / 2**30:.0f} GiB are sent; open part of it with --slices"
        )
    assert case.affine_mm is not None
    affine = case.affine_mm.copy()
    affine[:3, :3] *= step
    header = nifti_header((hu.shape[0], hu.shape[1], hu.shape[2]), affine, kind)
    planes = hu if labels is None else labels[every, every, every]

    def parts() -> Iterator[bytes]:
        yield header
        for plane in planes:
            yield plane.astype(kind).tobytes()

    return len(header) + size, parts()
