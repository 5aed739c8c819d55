"""Conjugate gradients for least squares."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.progress import track
from taskct.physics.projector import Projector
from taskct.physics.unchecked import project_unchecked
from taskct.recon.checks import check_count, check_image, check_number, check_scan
from taskct.recon.stopping import Callback, Stopping, inner


def cgls(
    p: Tensor,
    A: Projector,
    *,
    iterations: int = 15,
    damping_mm: float = 0.0,
    start: Tensor | None = None,
    tolerance: float = 0.0,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> Tensor:
    """CGLS: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm, minimising ||p - A mu||^2 + damping_mm^2 ||mu||^2.

    Conjugate gradients on the normal equations without forming them (Bjorck 1996, algorithm 7.4.1). The residual never
    grows; on noisy scans the image is best after some 10 to 20 iterations and then takes up noise, so `iterations` is the
    regulariser, or `damping_mm` is (Tikhonov; compare it with `A.norm`, the largest singular value in mm: 0.01 of it is weak,
    0.1 strong). `start` is the first image (zeros without it). An image rests once its residual changes by less than
    `tolerance` of itself; `callback(iteration, mu)` stops the loop by returning True.
    Any beam. Differentiable in p and `start` by unrolling.

    >>> from taskct.geometry import Grid, ParallelBeam
    >>> A = Projector(Grid((8, 8), 1.0), ParallelBeam(views=12, cols=12, pixel_mm=1.0))
    >>> mu = torch.full((1, 1, 8, 8), 0.02)
    >>> bool((cgls(A(mu), A) - mu).abs().max() < 1e-3)
    True
    """
    check_scan(p, A, who="cgls")
    check_count(iterations, who="cgls")
    damping = check_number(damping_mm, who="cgls", name="damping_mm", least=0.0) ** 2
    stopping = Stopping(tolerance=tolerance, callback=callback, who="cgls")
    if start is None:
        mu, residual = p.new_zeros((*p.shape[:2], *A.mu_shape)), p
    else:
        mu = check_image(start, p, A, who="cgls")
        residual = p - A(mu)
    slope = A.adjoint(residual) - damping * mu  # half the negative gradient
    way, size = slope, inner(slope, slope)
    rounding = size.detach() * torch.finfo(p.dtype).eps ** 2  # below it the slope is rounding error: rest
    for iteration in track(range(1, iterations + 1), "CGLS", progress=progress):
        moving = stopping.moving(residual)
        if moving is False:
            break
        seen = project_unchecked(A, way)
        goes = (size > rounding) & torch.as_tensor(moving, device=p.device)
        length = _ratio(size, inner(seen, seen) + damping * inner(way, way), goes).to(p.dtype)
        mu = mu + length * way
        residual = residual - length * seen
        slope = A.adjoint(residual) - damping * mu
        size, before = inner(slope, slope), size
        way = slope + _ratio(size, before, goes).to(p.dtype) * way
        if stopping.asked(iteration, mu):
            break
    return mu


def _ratio(above: Tensor, below: Tensor, where: Tensor) -> Tensor:
    """above / below where asked and possible, else 0, without NaN in the gradient."""
    good = where & (below > 0)
    return torch.where(good, above / torch.where(good, below, torch.ones_like(below)), torch.zeros_like(above))
