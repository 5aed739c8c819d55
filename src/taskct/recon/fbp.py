"""Filtered back-projection of parallel, fan and circular cone scans."""

from __future__ import annotations

from torch import Tensor

from taskct.physics.filters import FilterWindow, ramp_filter
from taskct.physics.kept import outside_the_compiler
from taskct.physics.projector import Projector
from taskct.recon.checks import check_scan
from taskct.recon.fbp_plan import fbp_plan


def fbp(p: Tensor, A: Projector, *, window: FilterWindow = "ram-lak", frequency_scale: float = 1.0) -> Tensor:
    """Filtered back-projection: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm.

    With views `db` apart, w the redundancy weights (`recon/redundancy`), R and D the distances of the source from the
    isocentre and the detector, h the ramp and window of `physics/filters`, and * along the columns:

        parallel      mu = db   sum_views   [ w p ] * h                                 Kak & Slaney 1988, eq. 3.28
        fan, curved   mu = db R sum_views   [ w p cos g ] * h_angular  /  L^2           eq. 3.101
        fan, flat     mu = db R^2 sum_views [ w p D / sqrt(D^2 + u^2) ] * h  /  U^2     eq. 3.85
        cone          the same with the cosine of the whole cone angle: `fdk`           Feldkamp et al. 1984, eq. 28

    L is a voxel's distance from the source, U its part along the detector's normal. Full, short and longer scans and
    offset detectors are weighed as they need; a scan that is too short is reconstructed with an IncompleteScanWarning.
    `A` may be a subset of evenly spaced views. Linear in p, differentiable to any order.

    `window` is "ram-lak" (the plain ramp), "shepp-logan", "cosine", "hamming" or "hann", from sharp to smooth;
    it is cut off at `frequency_scale` times Nyquist, a number in (0, 1].
    Raises ConfigError for another window or frequency scale; GeometryError for a helix, a VectorBeam and unevenly spaced
    views: sirt, cgls and tv_min take them all.

    >>> import torch
    >>> from taskct.geometry import Grid, ParallelBeam
    >>> A = Projector(Grid((32, 32), 1.0), ParallelBeam(views=60, cols=48, pixel_mm=1.0))
    >>> mu = torch.zeros(1, 1, 32, 32)
    >>> mu[..., 8:24, 8:24] = 0.02
    >>> bool((fbp(A(mu), A)[0, 0, 12:20, 12:20] - 0.02).abs().max() < 0.001)
    True
    """
    return _fbp(p, A, window, frequency_scale)


@outside_the_compiler
def _fbp(p: Tensor, A: Projector, window: FilterWindow, frequency_scale: float) -> Tensor:
    """Set-up, filter and back-projection are finished code: the compiler has nothing to gain inside, and calls them whole."""
    check_scan(p, A, who="fbp")
    return backproject_filtered(filter_views(p, A, window=window, frequency_scale=frequency_scale), A)


@outside_the_compiler
def filter_views(p: Tensor, A: Projector, *, window: FilterWindow = "ram-lak", frequency_scale: float = 1.0) -> Tensor:
    """The first half of `fbp`: weights and ramp, p (B, 1, *A.p_shape) -> the same, wider for some offset detectors.

    It depends on the beam and the views of A, not on its grid (but for offset detectors), so that images on several grids can
    share it. p is not checked.
    """
    plan = fbp_plan(A)
    return ramp_filter(
        p, **plan.spacing, window=window, frequency_scale=frequency_scale, factors=plan.factors_like(p), pad=plan.pad
    )


@outside_the_compiler
def backproject_filtered(q: Tensor, A: Projector) -> Tensor:
    """The second half of `fbp`: views of `filter_views` -> mu (B, 1, *A.mu_shape) in 1/mm."""
    return (fbp_plan(A).wide or A).voxel_backproject(q)
