"""Detector rows convolved with an even kernel by the compiled code: what filters short rows on a CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from taskct.core.errors import ResourceError
from taskct.core.threads import usable_threads
from taskct.physics.native.library import kernels

_MOST_FACTORS = 2


class _Filter(ctypes.Structure):
    """`taskct_filter` of cpp/filter.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("images", "views", "rows", "cols", "pad", "cols_out")),
        ("factor", ctypes.c_void_p * _MOST_FACTORS),
        ("view_step", ctypes.c_int64 * _MOST_FACTORS),
        ("row_step", ctypes.c_int64 * _MOST_FACTORS),
        ("taps", ctypes.c_void_p),
        ("every_other", ctypes.c_int64),
    )


def convolve_rows(p: Tensor, factors: Sequence[Tensor], taps: Tensor, *, pad: int, every_other: bool) -> Tensor | None:
    """Each row of p * factors, after `pad` zeros, convolved with an even kernel: (..., C) -> (..., len(taps)); float32.

    `taps` are the kernel from its middle on; `every_other` says that taps 2, 4, ... are 0. None when this is not for the
    compiled code: there is none, other dtypes, or factors that are no plain arrays of p's last dimensions.
    """
    library = kernels().library
    if library is None or p.dtype != torch.float32 or p.numel() == 0 or len(factors) > _MOST_FACTORS:
        return None
    p = p.contiguous()
    views, rows = (p.shape[-3] if p.ndim > 2 else 1), (p.shape[-2] if p.ndim > 1 else 1)
    if any(factor.ndim > p.ndim for factor in factors):
        return None
    steps = [_steps(factor, (views, rows, p.shape[-1])) for factor in factors]
    if None in steps:
        return None
    cols = len(taps)
    q = p.new_empty((*p.shape[:-1], cols))
    images = p.numel() // (views * rows * p.shape[-1])
    told = _Filter(images, views, rows, p.shape[-1], pad, cols, taps=taps.data_ptr(), every_other=every_other)
    for n, (factor, step) in enumerate(zip(factors, steps, strict=True)):
        told.factor[n] = factor.data_ptr()
        told.view_step[n], told.row_step[n] = step  # type: ignore[misc]
    if library.taskct_filter_f32(ctypes.byref(told), usable_threads(), p.data_ptr(), q.data_ptr()):
        raise ResourceError("the filter found no memory for its buffers; use fewer threads")
    return q


def _steps(factor: Tensor, shape: tuple[int, int, int]) -> tuple[int, int] | None:
    """How far apart the values of neighbouring views and rows are; None for what the compiled code does not read."""
    if factor.dtype != torch.float32 or factor.ndim > 3 or factor.device.type != "cpu":
        return None
    if any(own not in (1, wanted) for own, wanted in zip(reversed(factor.shape), reversed(shape), strict=False)):
        return None
    view_step, row_step, col_step = factor.expand(shape).stride()
    return (view_step, row_step) if col_step == 1 else None
