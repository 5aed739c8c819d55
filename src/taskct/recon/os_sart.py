"""The ordered-subsets simultaneous algebraic reconstruction technique."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taskct.core.errors import ConfigError
from taskct.core.progress import track
from taskct.physics.projector import Projector
from taskct.physics.unchecked import project_unchecked
from taskct.recon.checks import check_count, check_image, check_number, check_scan
from taskct.recon.stopping import Callback, Stopping, keep_resting, one_over


def os_sart(
    p: Tensor,
    A: Projector,
    *,
    iterations: int = 10,
    subsets: int = 10,
    relaxation: float = 0.5,
    nonnegative: bool = False,
    start: Tensor | None = None,
    tolerance: float = 0.0,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> Tensor:
    """OS-SART: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm.

    SIRT with one update for each of `subsets` interleaved sets of views (every `subsets`-th view; Wang & Jiang, J. X-Ray Sci.
    Technol. 12:169, 2004), so that an iteration moves about as far as `subsets` of SIRT at the same cost. `subsets=1` is SIRT,
    one per view is SART. On noisy scans it circles near the least-squares image, at a distance that falls with
    `relaxation` (0 to 2). Other arguments as in `sirt`; `tolerance` and `callback` act once per pass over all views.
    Keeps one image per subset in memory. Any beam. Differentiable in p and `start` by unrolling.

    >>> from taskct.geometry import Grid, ParallelBeam
    >>> A = Projector(Grid((8, 8), 1.0), ParallelBeam(views=12, cols=12, pixel_mm=1.0))
    >>> mu = torch.full((1, 1, 8, 8), 0.02)
    >>> bool((os_sart(A(mu), A, subsets=4, iterations=30) - mu).abs().max() < 1e-3)
    True
    """
    check_scan(p, A, who="os_sart")
    check_count(iterations, who="os_sart")
    check_count(subsets, who="os_sart", name="subsets")
    check_number(relaxation, who="os_sart", name="relaxation", above=0.0, below=2.0)
    views = A.p_shape[0]
    if subsets > views:
        raise ConfigError(f"os_sart expects at most one subset per view ({views}), got subsets={subsets}")
    stopping = Stopping(tolerance=tolerance, callback=callback, who="os_sart")
    mu = p.new_zeros((*p.shape[:2], *A.mu_shape)) if start is None else check_image(start, p, A, who="os_sart")
    parts = []
    with torch.no_grad():
        for first in _spread(subsets):
            part = A.subset(slice(first, None, subsets))
            R = one_over(project_unchecked(part, p.new_ones((1, 1, *A.mu_shape))))
            C = relaxation * one_over(part.adjoint(p.new_ones((1, 1, *part.p_shape))))
            parts.append((first, part, R, C))
    moving: Tensor | bool = True
    for iteration in track(range(1, iterations + 1), "OS-SART", progress=progress):
        residuals = []
        for first, part, R, C in parts:
            residual = p[:, :, first::subsets] - part(mu)
            residuals.append(residual.detach())
            moved = mu + C * part.adjoint(R * residual)
            mu = keep_resting(moved.clamp(min=0) if nonnegative else moved, mu, moving)
        moving = stopping.moving(torch.cat(residuals, dim=2))
        if moving is False or stopping.asked(iteration, mu):
            break
    return mu


def _spread(count: int) -> list[int]:
    """0 .. count-1 in an order in which neighbours in time are far apart in angle (golden-section steps).

    >>> _spread(5)
    [0, 3, 1, 4, 2]
    """
    step = max(1, round(count * 0.618))
    while math.gcd(step, count) != 1:
        step += 1
    return [k * step % count for k in range(count)]
