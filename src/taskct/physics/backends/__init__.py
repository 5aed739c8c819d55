"""What computes line integrals. A back-end serves one grid and one set of poses; `Projector` is the only caller.

The seam is four linear maps on contiguous tensors without autograd, N images at a time:

    forward                     mu (N, *grid.shape)  ->  p (N, V, R, C)      Joseph line integrals, mm * (1/mm)
    adjoint                     p (N, V, R, C)       ->  (N, *grid.shape)    the exact transpose of `forward`
    voxel_backproject           q (N, V, R, C)       ->  (N, *grid.shape)    sum over views of q interpolated where the voxel
                                                                             projects to, over the distance squared:
                                                                             1 (parallel), U^-2 (flat), L^-2 (curved) in 1/mm^2
    voxel_backproject_adjoint   (N, *grid.shape)     ->  q (N, V, R, C)      its exact transpose

U is the voxel's distance from the source along the detector normal, L its distance in the plane of the fan.
"""

from __future__ import annotations

import functools
import warnings
from typing import Protocol

import torch
from torch import Tensor

from taskct.core.errors import ConfigError, unknown_name
from taskct.geometry import Grid, Poses
from taskct.physics.backends.cuda import cuda_backend
from taskct.physics.backends.native import NativeBackend, why_not
from taskct.physics.backends.reference import ReferenceBackend
from taskct.physics.native.library import kernels


class Backend(Protocol):
    """The four linear maps of one grid and one set of poses; float32 or float64, on the tensor's own device."""

    name: str
    grid: Grid
    poses: Poses
    reason: str  # why this one serves, for people
    units_seen: bool  # whether an image was looked at for HU; on a GPU that means waiting, so one image must do

    def forward(self, mu: Tensor) -> Tensor:
        """(N, *grid.shape) -> (N, V, R, C)."""

    def adjoint(self, p: Tensor) -> Tensor:
        """(N, V, R, C) -> (N, *grid.shape)."""

    def voxel_backproject(self, q: Tensor) -> Tensor:
        """(N, V, R, C) -> (N, *grid.shape)."""

    def voxel_backproject_adjoint(self, mu: Tensor) -> Tensor:
        """(N, *grid.shape) -> (N, V, R, C)."""


class SlowProjectorWarning(RuntimeWarning):
    """The slow reference projects, because there are no compiled kernels."""


BACKENDS = ("auto", "native", "cuda", "reference")


def choose_backend(grid: Grid, poses: Poses, name: str, *, device: torch.device, dtype: torch.dtype) -> Backend:
    """The back-end called `name`; "auto" takes the fastest that serves this grid, device and dtype.

    Its `reason` says why it was taken. Raises ConfigError when the one asked for by name cannot serve. Warns when "auto"
    leaves a GPU to the slow reference, and once in a process where taskct was installed without compiled kernels.
    """
    if name not in BACKENDS:
        raise unknown_name("backend", name, BACKENDS)
    if name == "reference":
        return ReferenceBackend(grid, poses)
    if name == "cuda" or (name == "auto" and device.type == "cuda"):
        found = cuda_backend(grid, poses, device=device, dtype=dtype)
        if not isinstance(found, str):
            return found
        if name == "cuda":
            raise ConfigError(f"backend 'cuda' cannot serve here: {found}; use 'auto'")
        warnings.warn(
            f"the slow reference projector serves on {device}: {found.splitlines()[0]}", RuntimeWarning, stacklevel=2
        )
        return ReferenceBackend(grid, poses, reason=found)
    compiled = kernels()
    why = why_not(grid, poses, device=device, dtype=dtype)
    if not why and compiled.library is None:
        why = compiled.reason
        if name == "auto" and compiled.level != "off":
            _say_once(why)
    if not why:
        return NativeBackend(grid, poses, compiled)
    if name == "native":
        raise ConfigError(f"backend 'native' cannot serve here: {why}; use 'auto'")
    return ReferenceBackend(grid, poses, reason=why)


@functools.cache
def _say_once(why: str) -> None:
    """A SlowProjectorWarning, the first time that a process needs it."""
    warnings.warn(f"projections are slow here: {why}", SlowProjectorWarning, stacklevel=3)
