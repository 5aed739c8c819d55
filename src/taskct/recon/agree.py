"""Agreement with the scan: a few SIRT steps from any image, as a function and as a layer of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors

_LEAST_MM = 1e-3  # a voxel that all rays together see for less than this is left as it is


def agree(mu: Tensor, p: Tensor, A: Projector | Projectors, *, steps: int = 1, relaxation: float = 1.0) -> Tensor:
    """`steps` SIRT steps from `mu` towards the scan p: (B, 1, *A.mu_shape), (B, 1, *A.p_shape) -> (B, 1, *A.mu_shape).

        mu <- mu + relaxation C A^T R (p - A mu)        R = 1 / A 1,  C = 1 / A^T 1

    The weights are kept with A, so that a step costs one projection and one back-projection. Differentiable in both
    arguments. (Gregor and Benson, IEEE TMI 27:918 (2008).)

    >>> from taskct.geometry import Grid, bi_planar
    >>> beam = bi_planar(cols=6, rows=6, pixel_mm=9.0, source_iso_mm=500, source_detector_mm=700)
    >>> A = Projector(Grid((4, 4, 4), 6.0), beam)
    >>> p = A(torch.full((1, 1, 4, 4, 4), 0.02))
    >>> before, after = (float((A(agree(torch.zeros(1, 1, 4, 4, 4), p, A, steps=n)) - p).norm()) for n in (0, 5))
    >>> after < 0.1 * before
    True
    """
    least = min(A.grid.spacing_mm)
    lengths, seen = A.row_sums.to(p), A.column_sums.to(mu)
    rows = torch.where(lengths > 0, 1 / lengths.clamp_min(least), 0)  # a ray that grazes a corner has little to say
    cols = torch.where(seen > _LEAST_MM, relaxation / seen.clamp_min(_LEAST_MM), 0)
    for _ in range(steps):
        mu = mu + cols * A.adjoint(rows * (p - A(mu)))
    return mu


class Agreement(nn.Module):
    """`agree` as a layer: module(mu, p, A) -> mu. `learnt` makes the relaxation a weight, one for each step."""

    def __init__(self, steps: int = 2, *, relaxation: float = 1.0, learnt: bool = False) -> None:
        super().__init__()
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise ConfigError(f"Agreement expects steps as a whole number >= 0, got {steps!r}")
        if not 0 < relaxation < 2:
            raise ConfigError(f"Agreement expects 0 < relaxation < 2, beyond which SIRT diverges, got {relaxation!r}")
        self.steps = steps
        self.relaxation = nn.Parameter(torch.full((steps,), float(relaxation)), requires_grad=learnt)

    def forward(self, mu: Tensor, p: Tensor, A: Projector | Projectors) -> Tensor:
        """(B, 1, *A.mu_shape) -> the same shape, nearer to p."""
        for factor in self.relaxation:
            change = agree(mu, p, A, steps=1) - mu
            mu = mu + factor * change
        return mu


class Agreed:
    """A reconstructor followed by `steps` SIRT steps: itself a reconstructor (p, A) -> mu."""

    def __init__(self, method: object, steps: int = 20) -> None:
        if not callable(method):
            raise ConfigError(f"Agreed expects a reconstructor (p, A) -> mu, got {type(method).__name__}")
        self.method, self.steps = method, steps

    def __call__(self, p: Tensor, A: Projector) -> Tensor:
        """p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm."""
        return agree(self.method(p, A), p, A, steps=self.steps)
