"""The simultaneous iterative reconstruction technique."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.progress import track
from taskct.physics.projector import Projector
from taskct.physics.unchecked import project_unchecked
from taskct.recon.checks import check_count, check_image, check_number, check_scan
from taskct.recon.stopping import Callback, Stopping, keep_resting, one_over


def sirt(
    p: Tensor,
    A: Projector,
    *,
    iterations: int = 200,
    relaxation: float = 1.0,
    nonnegative: bool = False,
    start: Tensor | None = None,
    tolerance: float = 0.0,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> Tensor:
    """SIRT: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm.

        mu <- mu + relaxation * C A^T R (p - A mu)          C = 1 / A^T 1,  R = 1 / A 1

    Converges for a relaxation in (0, 2) to the image that minimises ||p - A mu|| weighted with R (Gregor & Benson, IEEE
    TMI 27:918, 2008); slowly, so that few iterations are smooth images. `nonnegative` sets negative values to 0 in each
    iteration. `start` is the first image (zeros without it). An image rests once its residual changes by less than
    `tolerance` of itself; `callback(iteration, mu)` stops the loop by returning True.
    Any beam. Differentiable in p and `start` by unrolling.

    >>> from taskct.geometry import Grid, ParallelBeam
    >>> A = Projector(Grid((8, 8), 1.0), ParallelBeam(views=12, cols=12, pixel_mm=1.0))
    >>> mu = torch.full((1, 1, 8, 8), 0.02)
    >>> bool((sirt(A(mu), A) - mu).abs().max() < 1e-3)
    True
    """
    check_scan(p, A, who="sirt")
    check_count(iterations, who="sirt")
    check_number(relaxation, who="sirt", name="relaxation", above=0.0, below=2.0)
    stopping = Stopping(tolerance=tolerance, callback=callback, who="sirt")
    mu = p.new_zeros((*p.shape[:2], *A.mu_shape)) if start is None else check_image(start, p, A, who="sirt")
    with torch.no_grad():
        R = one_over(project_unchecked(A, p.new_ones((1, 1, *A.mu_shape))))
        C = relaxation * one_over(A.adjoint(p.new_ones((1, 1, *A.p_shape))))
    for iteration in track(range(1, iterations + 1), "SIRT", progress=progress):
        residual = p - A(mu)
        moving = stopping.moving(residual)
        if moving is False:
            break
        moved = mu + C * A.adjoint(R * residual)
        mu = keep_resting(moved.clamp(min=0) if nonnegative else moved, mu, moving)
        if stopping.asked(iteration, mu):
            break
    return mu
