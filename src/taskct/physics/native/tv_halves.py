"""The two halves of an inner step of total variation by the compiled code, around the transforms that scipy does."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from taskct.core.errors import ResourceError
from taskct.core.threads import usable_threads
from taskct.physics.native.library import kernels

_ARRAYS = ("root", "pull", "u", "v", "z_y", "z_x", "nu", "held", "push", "scaled", "moved")


class _Tv(ctypes.Structure):
    """`taskct_tv` of cpp/tv_halves.cpp."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("cols", ctypes.c_int64),
        *((name, ctypes.c_float) for name in ("per_y", "per_x", "rho", "hold", "limit", "relax")),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


class TvHalves:
    """`push` and `move` of one slice, on arrays of its own; see cpp/tv_halves.cpp for what each of them reads and writes.

    `root`, `pull`, `v`, `nu` are (rows, cols), `z` (2, rows, cols), all float32 and finite or not. They are copied.
    """

    @staticmethod
    def serves(x: Tensor) -> bool:
        """Whether there is compiled code for slices like this."""
        return kernels().library is not None and x.dtype == torch.float32 and x.device.type == "cpu"

    def __init__(
        self,
        *,
        root: Tensor,
        pull: Tensor,
        v: Tensor,
        z: Tensor,
        nu: Tensor,
        spacing_mm: tuple[float, float],
        rho: float,
        hold: float,
        limit: float,
        relax: float,
    ) -> None:
        library = kernels().library
        assert library is not None
        self._library = library
        copied = lambda x: x.clone(memory_format=torch.contiguous_format)
        self.v, self.z, self.nu, self.held = copied(v), copied(z), copied(nu), torch.zeros_like(v)
        self._kept = (root.contiguous(), pull.contiguous())
        self._push, self.scaled, self._moved = (torch.empty_like(self.v) for _ in range(3))
        rows, cols = v.shape
        self._told = _Tv(rows, cols, 1 / spacing_mm[0], 1 / spacing_mm[1], rho, hold, limit, relax)
        arrays = (*self._kept, None, None, *self.z, self.nu, self.held, self._push, self.scaled, None)
        for name, array in zip(_ARRAYS, arrays, strict=True):
            if array is not None:
                setattr(self._told, name, array.data_ptr())

    def push(self) -> Tensor:
        """(pull + D^T z - nu + held) / root, (rows, cols); overwritten by the next call."""
        self._library.taskct_tv_push_f32(ctypes.byref(self._told), usable_threads())
        return self.scaled

    def move(self, u: Tensor) -> None:
        """Take the step u (rows, cols): v, z, nu and held change."""
        u = u.contiguous()
        self._told.u, self._told.v, self._told.moved = u.data_ptr(), self.v.data_ptr(), self._moved.data_ptr()
        if self._library.taskct_tv_move_f32(ctypes.byref(self._told), usable_threads()):
            raise ResourceError("total variation found no memory for its lines; use fewer threads")
        self.v, self._moved = self._moved, self.v
