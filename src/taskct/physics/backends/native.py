"""The compiled CPU kernels behind the seam: float32 and float64, any beam; see docs/kernels.md for how they work.

Results agree with the reference to 2e-6 (float32) and 1e-12 (float64) and are the same bytes for any number of threads.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import ResourceError
from taskct.core.threads import usable_threads
from taskct.geometry import Grid, Poses
from taskct.physics.native.library import Geometry, Kernels, kernels
from taskct.physics.native.symmetry import Quads, quads


class NativeBackend:
    """Joseph line integrals and voxel-driven back-projection in C++, on torch's threads."""

    name = "native"
    units_seen = False

    def __init__(self, grid: Grid, poses: Poses, built: Kernels) -> None:
        assert built.library is not None
        self.grid, self.poses, self.kernels = grid, poses, built
        self.reason = f"{built.level} kernels: {built.reason}"
        self._p_shape = (poses.views, poses.rows, poses.cols)
        self.quads = quads(grid, poses)
        self._geometry = _geometry(grid, poses, self.quads)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.grid, self.poses)  # the pointers and the library belong to this process

    def forward(self, mu: Tensor) -> Tensor:
        """Line integrals: (N, *grid.shape) -> (N, V, R, C)."""
        return self._call("forward", mu, self._p_shape)

    def adjoint(self, p: Tensor) -> Tensor:
        """Exact transpose of `forward`: (N, V, R, C) -> (N, *grid.shape)."""
        return self._call("adjoint", p, self.grid.shape)

    def voxel_backproject(self, q: Tensor) -> Tensor:
        """Distance-weighted voxel-driven back-projection: (N, V, R, C) -> (N, *grid.shape)."""
        return self._call("backproject", q, self.grid.shape)

    def voxel_backproject_adjoint(self, mu: Tensor) -> Tensor:
        """Exact transpose of `voxel_backproject`: (N, *grid.shape) -> (N, V, R, C)."""
        return self._call("backproject_adjoint", mu, self._p_shape)

    def _call(self, name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        x = x.contiguous()
        images = x.shape[0]
        y = torch.empty((images, *shape), dtype=x.dtype)
        suffix = "f32" if x.dtype == torch.float32 else "f64"
        function = getattr(self.kernels.library, f"taskct_{name}_{suffix}")
        threads = usable_threads()
        if function(ctypes.byref(self._geometry), images, threads, x.data_ptr(), y.data_ptr()):
            raise ResourceError(f"the projector's {name} kernel found no memory for its buffers; use fewer images at a time")
        return y


def _reopened(grid: Grid, poses: Poses) -> NativeBackend:
    return NativeBackend(grid, poses, kernels())


def why_not(grid: Grid, poses: Poses, *, device: torch.device, dtype: torch.dtype) -> str:
    """Why the compiled kernels cannot serve these tensors and poses; "" when they can."""
    if device.type != "cpu":
        return f"the compiled kernels run on the CPU, the tensor is on {device}"
    if dtype not in (torch.float32, torch.float64):
        return f"the compiled kernels take float32 and float64, not {dtype}"
    return ""


def _geometry(grid: Grid, poses: Poses, by_fours: Quads | None) -> Geometry:
    """The C view of grid and poses; it points into the arrays of `poses` and `by_fours`, which must outlive it."""
    point = lambda a: None if a is None else a.ctypes.data
    pad = 3 - grid.ndim
    geometry = Geometry()
    geometry.dim = grid.ndim
    geometry.shape[:] = [1] * pad + list(grid.shape)
    geometry.spacing[:] = [1.0] * pad + list(grid.spacing_mm)
    geometry.origin[:] = [0.0] * pad + list(grid.origin_mm)
    geometry.views, geometry.rows, geometry.cols = poses.views, poses.rows, poses.cols
    arrays = [poses.detector_mm, poses.col_step_mm, poses.row_step_mm, poses.source_mm, poses.direction]
    assert all(a is None or (a.dtype == np.float64 and a.flags.c_contiguous) for a in arrays)
    geometry.detector, geometry.col_step, geometry.row_step, geometry.source, geometry.direction = map(point, arrays)
    geometry.curved, geometry.curved_offset_rad = int(poses.curved), poses.curved_offset_rad
    if by_fours is not None:
        geometry.quads, geometry.turns[:] = len(by_fours.views), by_fours.turns
        geometry.halves = int(by_fours.halves)
        geometry.quad_views, geometry.quad_backwards = by_fours.views.ctypes.data, by_fours.backwards.ctypes.data
    return geometry
