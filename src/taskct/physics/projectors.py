"""One projector for each image of a batch: a geometry of its own for every case, behind the interface of one projector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.geometry import Grid
from taskct.physics.projector import Projector


class Projectors:
    """`A = Projectors([A1, A2, ...])`: image i of a batch goes through projector i; shapes as those of `Projector`.

    All have one grid and one p_shape; poses may differ. What takes a projector takes this where it calls `A(mu)`,
    `A.project_unchecked(x)`, `A.adjoint(p)`, `A.mu_shape`, `A.p_shape`, `A.grid`, `A.coarser`, `A.row_sums` and
    `A.column_sums`: agreement layers, CGLS, the networks and population models of bi-planar radiographs. Raises GeometryError
    for another batch size.

    >>> from taskct.geometry import Grid, bi_planar
    >>> beam = lambda a: bi_planar(cols=4, rows=4, pixel_mm=12.0, source_iso_mm=500, source_detector_mm=700, angles_deg=a)
    >>> grid = Grid((4, 4, 4), 6.0)
    >>> A = Projectors([Projector(grid, beam((0, 90))), Projector(grid, beam((10, 100)))])
    >>> A(torch.full((2, 1, 4, 4, 4), 0.02)).shape
    torch.Size([2, 1, 2, 4, 4])
    """

    def __init__(self, projectors: Sequence[Projector]) -> None:
        if not projectors:
            raise GeometryError("Projectors expects at least one projector, got none")
        self.each = tuple(projectors)
        first = self.each[0]
        for number, one in enumerate(self.each):
            if one.grid != first.grid or one.p_shape != first.p_shape:
                raise GeometryError(
                    f"Projectors expects one grid and one detector for all, but number {number} has {one.grid} and "
                    f"{one.p_shape}, the first {first.grid} and {first.p_shape}"
                )

    def __len__(self) -> int:
        return len(self.each)

    @property
    def grid(self) -> Grid:
        """The grid of all."""
        return self.each[0].grid

    @property
    def mu_shape(self) -> tuple[int, ...]:
        """The shape of the grid."""
        return self.each[0].mu_shape

    @property
    def p_shape(self) -> tuple[int, ...]:
        """(V, R, C), the same for all."""
        return self.each[0].p_shape

    def __call__(self, mu: Tensor) -> Tensor:
        """Line integrals: mu (B, 1, *mu_shape) -> p (B, 1, *p_shape), B = len(self)."""
        return self._each(mu, lambda one, x: one(x))

    def project_unchecked(self, x: Tensor) -> Tensor:
        """The same of numbers that are not an image, see `Projector.project_unchecked`."""
        return self._each(x, lambda one, part: one.project_unchecked(part))

    def adjoint(self, p: Tensor) -> Tensor:
        """The exact transpose: p (B, 1, *p_shape) -> (B, 1, *mu_shape)."""
        return self._each(p, lambda one, x: one.adjoint(x))

    def take(self, numbers: Sequence[int]) -> Projectors:
        """Those of some images."""
        return Projectors([self.each[i] for i in numbers])

    def subset(self, views: slice | Sequence[int] | np.ndarray) -> Projectors:
        """The same views of each."""
        return Projectors([one.subset(views) for one in self.each])

    def coarser(self, factor: int) -> Projectors:
        """Each at a coarser level, see `Projector.coarser`."""
        return Projectors([one.coarser(factor) for one in self.each])

    @cached_property
    def single_views(self) -> tuple[Projectors, ...]:
        """For each view the projectors of that view alone."""
        return tuple(Projectors(same) for same in zip(*(one.single_views for one in self.each), strict=True))

    @cached_property
    def row_sums(self) -> Tensor:
        """A of ones, (B, 1, *p_shape)."""
        return torch.cat([one.row_sums for one in self.each])

    @cached_property
    def column_sums(self) -> Tensor:
        """The adjoint of ones, (B, 1, *mu_shape)."""
        return torch.cat([one.column_sums for one in self.each])

    def _each(self, x: Tensor, work: Callable[[Projector, Tensor], Tensor]) -> Tensor:
        if len(x) != len(self.each):
            raise GeometryError(f"Projectors holds {len(self.each)} geometries, one for each image; got a batch of {len(x)}")
        return torch.cat([work(one, x[i : i + 1]) for i, one in enumerate(self.each)])
