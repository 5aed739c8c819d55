"""The projector: line integrals of an image, their exact adjoint, and gradients of any order through both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, UnitsError
from taskct.core.units import looks_like_hu
from taskct.geometry import Beam, Grid, Poses, check_pair
from taskct.physics.backends import Backend, choose_backend


class Projector:
    """`A = Projector(grid, beam)`: `A(mu)` are the line integrals of mu along every ray, `A.adjoint(p)` the exact transpose.

    Shapes: mu (B, 1, Y, X) <-> p (B, 1, V, C) for a 2D grid, mu (B, 1, Z, Y, X) <-> p (B, 1, V, R, C) for a 3D grid; any
    number of channels in place of the 1. mu in 1/mm gives p without dimension. Device and dtype (float32, float64)
    follow the input. Both maps can be differentiated as often as needed.

    Rays are Joseph's (see `physics/backends`). `backend` is "auto" (the fastest that serves), or a name to force one.
    Raises GeometryError when the beam cannot see the grid or a tensor does not fit.

    >>> from taskct.geometry import Grid, ParallelBeam
    >>> A = Projector(Grid((4, 4), 1.0), ParallelBeam(views=2, cols=4, pixel_mm=1.0))
    >>> A(torch.full((1, 1, 4, 4), 0.02))[0, 0]
    tensor([[0.0800, 0.0800, 0.0800, 0.0800],
            [0.0800, 0.0800, 0.0800, 0.0800]])
    """

    def __init__(self, grid: Grid, beam: Beam, *, backend: str = "auto") -> None:
        check_pair(grid, beam)
        self.grid, self.beam, self.backend = grid, beam, backend
        self.views = np.arange(beam.views)  # which of the beam's views this projector holds
        self.poses: Poses = beam.poses()
        self._made: dict[tuple[torch.device, torch.dtype], Backend] = {}

    @property
    def p_shape(self) -> tuple[int, ...]:
        """(V, C) for a 2D grid, (V, R, C) for a 3D grid."""
        poses = self.poses
        return (poses.views, poses.cols) if self.grid.ndim == 2 else (poses.views, poses.rows, poses.cols)

    @property
    def mu_shape(self) -> tuple[int, ...]:
        """The shape of the grid."""
        return self.grid.shape

    def __call__(self, mu: Tensor) -> Tensor:
        """Line integrals: mu (B, 1, *mu_shape) in 1/mm -> p (B, 1, *p_shape)."""
        self._check(mu, "mu", self.mu_shape, "resample it, or build the Projector from case.grid or case.slice_grid")
        if not mu.requires_grad and looks_like_hu(mu):
            low = float(mu.min())
            raise UnitsError(f"these values look like HU (min {low:g}); Projector wants mu in 1/mm; see taskct.to_mu")
        return self._apply(mu, "forward", "adjoint", self.p_shape)

    def adjoint(self, p: Tensor) -> Tensor:
        """Exact transpose of the line integrals, unweighted: p (B, 1, *p_shape) -> (B, 1, *mu_shape)."""
        self._check(p, "p", self.p_shape, "it must come from the same beam")
        return self._apply(p, "adjoint", "forward", self.mu_shape)

    def voxel_backproject(self, q: Tensor) -> Tensor:
        """Voxel-driven back-projection with the weight of FBP, (B, 1, *p_shape) -> (B, 1, *mu_shape).

        Each voxel sums q, interpolated where the voxel projects to, over the squared distance from the source (in mm;
        no weight for parallel rays). It is not the transpose of `A`; filtered back-projection is built on it.
        """
        self._check(q, "q", self.p_shape, "it must come from the same beam")
        return self._apply(q, "voxel_backproject", "voxel_backproject_adjoint", self.mu_shape)

    def subset(self, views: slice | Sequence[int] | np.ndarray) -> Projector:
        """The same projector for some of its views, in the order given: `subset(views)(mu)` = `A(mu)[:, :, views]`."""
        part = object.__new__(Projector)
        part.grid, part.beam, part.backend = self.grid, self.beam, self.backend
        part.views = self.views[views]
        if len(part.views) == 0:
            raise GeometryError(f"a subset needs at least one of the {self.poses.views} views, got {views!r}")
        part.poses = self.poses.take(views)
        part._made = {}
        return part

    @cached_property
    def norm(self) -> float:
        """The largest singular value of A in mm, by 30 power iterations from a positive start (within 0.1 % from below)."""
        x = torch.ones((1, 1, *self.mu_shape))
        size = 0.0
        with torch.no_grad():
            for _ in range(30):
                x = self.adjoint(self._apply(x, "forward", "adjoint", self.p_shape))
                size = float(x.norm())
                if size == 0:
                    raise GeometryError("no ray of this beam meets the grid, so its projector is zero")
                x /= size
        return size**0.5

    def backend_for(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Backend:
        """The back-end that serves tensors of this device and dtype."""
        key = (torch.device(device), dtype)
        if key not in self._made:
            self._made[key] = choose_backend(self.grid, self.poses, self.backend, device=key[0], dtype=dtype)
        return self._made[key]

    def __repr__(self) -> str:
        return f"Projector({self.grid.shape} <-> {self.p_shape}, {type(self.beam).__name__})"

    def _apply(self, x: Tensor, name: str, transposed: str, shape: tuple[int, ...]) -> Tensor:
        backend = self.backend_for(x.device, x.dtype)
        inner = self.grid.shape if name in ("forward", "voxel_backproject_adjoint") else _full(self.poses)
        outer = _full(self.poses) if name in ("forward", "voxel_backproject_adjoint") else self.grid.shape
        y = _Linear.apply(x.reshape(-1, *inner), getattr(backend, name), getattr(backend, transposed))
        assert tuple(y.shape[1:]) == outer
        return y.reshape(*x.shape[:2], *shape)

    def _check(self, x: Tensor, name: str, shape: tuple[int, ...], advice: str) -> None:
        if x.dtype not in (torch.float32, torch.float64):
            raise GeometryError(f"Projector expects {name} in float32 or float64, got {x.dtype}; call .float()")
        if x.ndim != 2 + len(shape) or tuple(x.shape[2:]) != tuple(shape):
            wanted = ", ".join(str(n) for n in shape)
            raise GeometryError(f"Projector expects {name} of shape (B, 1, {wanted}), got {tuple(x.shape)}; {advice}")


class _Linear(torch.autograd.Function):
    """A linear map with its transpose as gradient, itself differentiable in the same way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, apply: Callable[[Tensor], Tensor], transpose: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.maps = transpose, apply
        return apply(x.detach().contiguous())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _Linear.apply(grads[0], *ctx.maps), None, None


def _full(poses: Poses) -> tuple[int, int, int]:
    return poses.views, poses.rows, poses.cols
