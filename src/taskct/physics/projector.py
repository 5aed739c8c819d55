"""The projector: line integrals of an image, their exact adjoint, and gradients of any order through both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.core.notebook_html import fact_card, sizes
from taskct.core.tensors import check_tensor
from taskct.core.threads import keep_to_one_thread_if_forked
from taskct.geometry import Beam, CoarseDetectorWarning, Grid, Poses, TruncationWarning, check_pair
from taskct.geometry.radiographs import coarser, moved_poses, vector_beam
from taskct.physics import operators
from taskct.physics.backends import Backend
from taskct.physics.scanner import pack

_FORWARD = torch.ops.taskct.forward.default
_ADJOINT = torch.ops.taskct.adjoint.default
_VOXEL_BACKPROJECT = torch.ops.taskct.voxel_backproject.default
_MADE_OF_THE_REST = ("poses", "_scanner", "_frames", "_p_shape", "_levels", "row_sums", "column_sums", "single_views")


class Projector:
    """`A = Projector(grid, beam)`: `A(mu)` are the line integrals of mu along every ray, `A.adjoint(p)` the exact transpose.

    Shapes: mu (B, 1, Y, X) <-> p (B, 1, V, C) for a 2D grid, mu (B, 1, Z, Y, X) <-> p (B, 1, V, R, C) for a 3D grid; any
    number of channels in place of the 1. mu in 1/mm gives p without dimension. Device and dtype (float32, float64)
    follow the input. Both maps can be differentiated as often as needed; torch.compile, torch.export and vmap take them whole
    (`physics/operators.py`).

    Rays are Joseph's (see `physics/backends`). `backend` is "auto" (the fastest that serves), or a name to force one.
    Raises GeometryError when the beam cannot see the grid or a tensor does not fit.

    >>> from taskct.geometry import Grid, ParallelBeam
    >>> A = Projector(Grid((4, 4), 1.0), ParallelBeam(views=2, cols=4, pixel_mm=1.0))
    >>> A(torch.full((1, 1, 4, 4), 0.02))[0, 0]
    tensor([[0.0800, 0.0800, 0.0800, 0.0800],
            [0.0800, 0.0800, 0.0800, 0.0800]])
    """

    def __init__(self, grid: Grid, beam: Beam, *, backend: str = "auto") -> None:
        if not isinstance(grid, Grid):
            raise GeometryError(
                f"Projector expects a Grid first, then a beam, got a {type(grid).__name__}; Projector(grid, beam)"
            )
        check_pair(grid, beam)
        self.grid, self.beam, self.backend = grid, beam, backend
        self.views = np.arange(beam.views)  # which of the beam's views this projector holds
        self._stand(beam.poses())

    @property
    def p_shape(self) -> tuple[int, ...]:
        """(V, C) for a 2D grid, (V, R, C) for a 3D grid."""
        return self._p_shape

    @property
    def mu_shape(self) -> tuple[int, ...]:
        """The shape of the grid."""
        return self.grid.shape

    def __call__(self, mu: Tensor) -> Tensor:
        """Line integrals: mu (B, 1, *mu_shape) in 1/mm -> p (B, 1, *p_shape)."""
        return self._project(mu, refuse_hu=True)

    def project_unchecked(self, x: Tensor) -> Tensor:
        """Line integrals of numbers that are not an image, such as a direction of descent or ones: they may look like HU.

        On a GPU only the first image of a projector is looked at, and what comes here does not count as that one.
        """
        return self._project(x, refuse_hu=False)

    def _project(self, x: Tensor, *, refuse_hu: bool) -> Tensor:
        self._check(x, "mu", self.mu_shape, "resample it, or build the Projector from case.grid or case.slice_grid")
        # A gradient may hold any numbers, so only what is not differentiated is looked at.
        looked_at = refuse_hu and not x.requires_grad
        p = _FORWARD(x.reshape(-1, *self.mu_shape), self._scanner, self._frames, self.backend, looked_at)
        return p.reshape(*x.shape[:2], *self._p_shape)

    def adjoint(self, p: Tensor) -> Tensor:
        """Exact transpose of the line integrals, unweighted: p (B, 1, *p_shape) -> (B, 1, *mu_shape)."""
        self._check(p, "p", self.p_shape, "it must come from the same beam")
        return self._to_image(_ADJOINT, p)

    def voxel_backproject(self, q: Tensor) -> Tensor:
        """Voxel-driven back-projection with the weight of FBP, (B, 1, *p_shape) -> (B, 1, *mu_shape).

        Each voxel sums q, interpolated where the voxel projects to, over the squared distance from the source (in mm;
        no weight for parallel rays). It is not the transpose of `A`; filtered back-projection is built on it.
        """
        self._check(q, "q", self.p_shape, "it must come from the same beam")
        return self._to_image(_VOXEL_BACKPROJECT, q)

    def subset(self, views: slice | Sequence[int] | np.ndarray) -> Projector:
        """The same projector for some of its views, in the order given: `subset(views)(mu)` = `A(mu)[:, :, views]`."""
        part = object.__new__(Projector)
        part.grid, part.beam, part.backend = self.grid, self.beam, self.backend
        part.views = self.views[views]
        if len(part.views) == 0:
            raise GeometryError(f"a subset needs at least one of the {self.poses.views} views, got {views!r}")
        part._stand(self.poses.take(views))
        return part

    def on_grid(self, grid: Grid) -> Projector:
        """The same views of the same scanner on another grid, without the warnings about coverage that this one has given."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)
            warnings.simplefilter("ignore", CoarseDetectorWarning)
            made = Projector(grid, self.beam, backend=self.backend)
        return made if self._holds_all_views() else made.subset(self.views)

    def coarser(self, factor: int) -> Projector:
        """The same region with `factor` voxels and detector pixels in one along every axis: exact geometry at that level.

        Made once and kept. GeometryError where `factor` does not divide the sizes, and for curved detectors.
        """
        if factor not in self._levels:
            grid, beam = coarser(self.grid, self._own_beam(), factor)
            self._levels[factor] = Projector(grid, beam, backend=self.backend)
        return self._levels[factor]

    def moved(
        self, *, turn_deg: np.ndarray | Sequence[Sequence[float]], shift_mm: np.ndarray | Sequence[Sequence[float]]
    ) -> Projector:
        """The same detector, with source and detector of each view turned about the origin by `turn_deg` and then shifted.

        `turn_deg` (V, 3) are angles about z, y, x; `shift_mm` (V, 3) lengths along z, y, x. Flat detectors of 3D scans.
        """
        poses = moved_poses(self.poses, turn_deg=turn_deg, shift_mm=shift_mm)
        return Projector(self.grid, vector_beam(poses), backend=self.backend)

    @cached_property
    def row_sums(self) -> Tensor:
        """A applied to ones: the length in mm of each ray inside the grid, (1, 1, *p_shape) float32 on the CPU."""
        with torch.no_grad():
            return self.project_unchecked(torch.ones((1, 1, *self.mu_shape)))

    @cached_property
    def column_sums(self) -> Tensor:
        """The adjoint applied to ones: how much all rays see of each voxel in mm, (1, 1, *mu_shape) float32 on the CPU."""
        with torch.no_grad():
            return self.adjoint(torch.ones((1, 1, *self.p_shape)))

    @cached_property
    def single_views(self) -> tuple[Projector, ...]:
        """A projector for each view alone, in order; made once and kept."""
        return tuple(self.subset([view]) for view in range(self.poses.views))

    @cached_property
    def norm(self) -> float:
        """The largest singular value of A in mm, by 30 power iterations from a positive start (within 0.1 % from below)."""
        x = torch.ones((1, 1, *self.mu_shape))
        size = 0.0
        with torch.no_grad():
            for _ in range(30):
                x = self.adjoint(self.project_unchecked(x))
                size = float(x.norm())
                if size == 0:
                    raise GeometryError("no ray of this beam meets the grid, so its projector is zero")
                x /= size
        return size**0.5

    def backend_for(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Backend:
        """The back-end that serves tensors of this device and dtype."""
        return operators.backend_of(self._scanner, self.backend, torch.device(device), dtype)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy, or another process, needs: grid, beam and views, but no tensor, whose memory pickling may move."""
        return {name: value for name, value in self.__dict__.items() if name not in _MADE_OF_THE_REST}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._stand(self.beam.poses().take(self.views))

    def __repr__(self) -> str:
        return f"Projector({self.grid.shape} <-> {self.p_shape}, {type(self.beam).__name__})"

    def _repr_html_(self) -> str:
        facts = {
            "mu, the image": f"(B, 1, {', '.join(map(str, self.mu_shape))}) in 1/mm",
            "p, the projections": f"(B, 1, {', '.join(map(str, self.p_shape))})",
            "grid": sizes(self.grid.shape, self.grid.spacing_mm),
            "beam": repr(self.beam),
        }
        return fact_card("Projector", facts)

    def _own_beam(self) -> Beam:
        """The beam of the views that this projector holds."""
        return self.beam if self._holds_all_views() else vector_beam(self.poses)

    def _holds_all_views(self) -> bool:
        return np.array_equal(self.views, np.arange(self.beam.views))

    def _stand(self, poses: Poses) -> None:
        """Take the poses, and what every call needs of them."""
        self.poses = poses
        self._levels: dict[int, Projector] = {}
        self._scanner = pack(self.grid, poses)
        self._frames = [poses.views, poses.rows, poses.cols]
        self._p_shape = (poses.views, poses.cols) if self.grid.ndim == 2 else (poses.views, poses.rows, poses.cols)

    def _to_image(self, operator: Callable[..., Tensor], p: Tensor) -> Tensor:
        mu = operator(p.reshape(-1, *self._frames), self._scanner, self.mu_shape, self.backend)
        return mu.reshape(*p.shape[:2], *self.mu_shape)

    def _check(self, x: Tensor, name: str, shape: tuple[int, ...], advice: str) -> None:
        keep_to_one_thread_if_forked()
        check_tensor(x, who="Projector", name=name, shape=shape, advice=advice)
