"""Primal-dual steps for total variation, preconditioned with a ramp filter, with their duality gap."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError, TaskctError, UnitsError
from taskct.core.units import UnitsWarning
from taskct.physics.projector import Projector
from taskct.physics.unchecked import project_unchecked
from taskct.recon.checks import check_image, check_is_tensor, check_number, check_scan
from taskct.recon.fbp import fbp
from taskct.recon.gradient import gradient, gradient_adjoint, gradient_norm_squared, total_variation
from taskct.recon.noise_level import noise_level
from taskct.recon.stopping import inner, norm
from taskct.recon.tv_problem import TvProblem
from taskct.recon.tv_step import TvStep, duality_gap

CHECK_EVERY = 10
_DATA_SHARE, _WEIGHTED_SHARE = 0.45, 0.8  # of the step-size budget that is split between data and gradient
_DUAL_STEP = 2.0  # of the data at the image's Nyquist frequency; r is in noise units, so one number serves all scans
_RELAXATION = 1.9  # over-relaxation, below 2 (Condat, J. Optim. Theory Appl. 158:460, 2013)
_LEAST_SURENESS = 3.0  # of the surest ray over its noise; with a thousand photons in air through a patient it is 23
_NORM_STEPS, _NORM_MARGIN = 14, 1.1  # power iterations, and what they may fall short of the norm


@torch.no_grad()
def primal_dual_steps(p: Tensor, A: Projector, problem: TvProblem | None = None) -> Iterator[TvStep]:
    """Primal-dual steps towards the minimiser of `tv_min`, seen every 10th time.

    Chambolle & Pock, J. Math. Imaging Vis. 40:120, 2011, algorithm 1, with the operators K = sqrt(w) A and the gradient D,
    dual variables r (noise units) and z (|z| <= lambda), and positive step operators T (voxels), S (rays), Q (voxels):

        mu <- P(mu - T (K^T r + D^T z))                     P: nothing, or max(., 0)
        r  <- (1 + S)^-1 (r + S (K mu_bar - sqrt(w) p))     mu_bar = 2 mu_new - mu_old
        z  <- project(z + Q D mu_bar)

    T = t / A^T w and Q are diagonal (Pock & Chambolle, ICCV 2011); S is a ramp along the columns up to the image's Nyquist
    frequency, which makes K^T S K nearly a multiple of the identity. The steps are right when |S^1/2 K T^1/2|^2 +
    |Q^1/2 D T^1/2|^2 <= 1; the first norm is found by power iterations, the second is bounded by construction.

    The gap is that of mu and the dual point over the images between 0 (or -b) and b, twice the largest value of mu.
    """
    check_scan(p, A, who="tv_min")
    problem = problem or TvProblem()
    weights, iterations, nonnegative = problem.weights, problem.iterations, problem.nonnegative
    w, scale = ray_weights(p, weights, problem.noise_std)
    root = (w * scale).sqrt()
    measured, spacing = root * p, A.grid.spacing_mm
    limit = problem.strength * noise_in_a_voxel(p, A, w * scale)  # lambda, (B, 1, 1, ...)
    slow, T, Q = _step_sizes(A, w, share=_DATA_SHARE if weights is None else _WEIGHTED_SHARE)
    T, Q = T / scale, Q * scale
    forward = lambda x: root * A(x)
    back = lambda y: A.adjoint(root * y)

    mu = first_image(p, A, problem.start)
    if nonnegative:
        mu = mu.clamp(min=0)
    seen = forward(mu)
    r = torch.zeros_like(seen)  # not seen - measured: what no image explains in p would first be pushed into mu
    z = torch.zeros_like(gradient(mu, spacing))
    pull = torch.zeros_like(mu)  # K^T r
    for iteration in range(1, iterations + 1):
        new = mu - T * (pull + gradient_adjoint(z, spacing))
        if nonnegative:
            new.clamp_(min=0)
        new_seen = forward(new)
        new_r = r + _filter(2 * new_seen - seen - measured - r, slow)
        new_z = z + Q * gradient(2 * new - mu, spacing)
        new_z /= (new_z.square().sum(0).sqrt() / limit).clamp(min=1)
        new_pull = back(new_r)
        if iteration % CHECK_EVERY == 0 or iteration == iterations:
            tv = limit * total_variation(gradient(new, spacing))
            slope = new_pull + gradient_adjoint(new_z, spacing)
            slope = slope.clamp(max=0).neg() if nonnegative else slope.abs()
            objective, gap = duality_gap(new, new_seen - measured, tv, r=new_r, measured=measured, slope=slope)
            yield TvStep(iteration, new, objective, gap)
        mu = mu + _RELAXATION * (new - mu)
        seen += _RELAXATION * (new_seen - seen)
        r += _RELAXATION * (new_r - r)
        z += _RELAXATION * (new_z - z)
        pull += _RELAXATION * (new_pull - pull)


def _step_sizes(A: Projector, w: Tensor, *, share: float) -> tuple[Tensor, Tensor, Tensor]:
    """S / (1 + S) at the frequencies of the columns (C // 2 + 1,), T (B, 1, *mu_shape) and Q of the same shape."""
    cols = w.shape[-1]
    nyquist_fraction = torch.arange(cols // 2 + 1, dtype=w.dtype, device=w.device).clamp(min=0.5) * (2 / cols)
    ramp = (nyquist_fraction / _image_nyquist(A)).clamp(max=1)
    reach = A.adjoint(w)  # (A^T w)
    axes = tuple(range(2, reach.ndim))
    T = 1 / torch.maximum(reach, 1e-2 * reach.amax(dim=axes, keepdim=True))
    half, root = T.sqrt(), w.sqrt()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((1, 1, *A.mu_shape), generator=generator, dtype=torch.float64).to(T).expand_as(T)
    for _ in range(_NORM_STEPS):
        x = half * A.adjoint(root * _filter(root * project_unchecked(A, half * (x / norm(x).to(x.dtype))), ramp))
    size = norm(x).to(x.dtype) * _NORM_MARGIN  # of S^1/2 K T^1/2 squared, before the steps are scaled
    if not bool((size > 0).all()):
        raise GeometryError("tv_min: no ray of this beam meets the grid")
    T = T * (share / (_DUAL_STEP * size))
    widest = T
    for axis in axes:  # z at a voxel touches the voxel and its next neighbour along each axis
        n = T.shape[axis] - 1
        widest = torch.maximum(widest, torch.cat([T.narrow(axis, 1, n), T.narrow(axis, n, 1)], dim=axis))
    Q = (1 - share) / (gradient_norm_squared(A.grid.spacing_mm) * widest)
    S = _DUAL_STEP * ramp
    return S / (1 + S), T, Q


def _image_nyquist(A: Projector) -> float:
    """Nyquist frequency of the grid over that of the columns, both seen at the middle of the grid in the first view; <= 1."""
    poses = A.poses
    col_mm = float(np.linalg.norm(poses.col_step_mm[0]))
    if poses.source_mm is not None:
        middle = np.array([0.0] * (3 - A.grid.ndim) + list(A.grid.centre_mm))
        reach_mm = np.linalg.norm(poses.detector_mm[0] - poses.source_mm[0])
        col_mm *= float(np.linalg.norm(middle - poses.source_mm[0]) / reach_mm)
    return min(1.0, col_mm / min(A.grid.spacing_mm[-2:]))


def _filter(rows: Tensor, response: Tensor) -> Tensor:
    """Rows multiplied by a real response in the frequency domain of their own length: symmetric, and exactly invertible."""
    return torch.fft.irfft(torch.fft.rfft(rows, dim=-1) * response, n=rows.shape[-1], dim=-1)


def ray_weights(p: Tensor, weights: Tensor | None, noise_std: float | None) -> tuple[Tensor, Tensor]:
    """Inverse variances of p as weights (B or 1, 1, *p_shape) times a scale (B or 1, 1, 1, ...).

    A UnitsWarning for weights by which no ray stands out of its noise: those of a scan stand out tenfold.
    """
    if weights is None:
        std = noise_level(p)
        if noise_std is not None:
            std = torch.full_like(std, check_number(noise_std, who="tv_min", name="noise_std", above=0.0))
        return torch.ones_like(p[:1, :1]), 1 / std**2
    if noise_std is not None:
        raise InputError("tv_min expects weights or noise_std, got both; weights are inverse variances and say it all")
    check_is_tensor(weights, who="tv_min", name="weights")
    fits = weights.ndim == p.ndim and all(n in (1, m) for n, m in zip(weights.shape[:2], p.shape[:2], strict=True))
    if not fits or weights.shape[2:] != p.shape[2:]:
        raise GeometryError(f"tv_min expects weights of the shape of p {tuple(p.shape)}, got {tuple(weights.shape)}")
    w = weights.detach().to(device=p.device, dtype=p.dtype)
    if not bool((torch.isfinite(w) & (w >= 0)).all()) or not bool((w.flatten(2).amax(2) > 0).all()):
        raise UnitsError("tv_min expects finite weights >= 0 (counts, or inverse variances of p), and not all of them 0")
    surest = float((w * p.square()).amax().sqrt())
    if 0 < surest < _LEAST_SURENESS:
        warnings.warn(
            f"tv_min expects weights that are inverse variances of p, such as detected counts; by those given the surest ray "
            f"is {surest:.2g} times its own noise, so the image will be far too smooth: multiply relative weights by the "
            "photons in air, exp(-p) by 1e5 for example",
            UnitsWarning,
            stacklevel=4,
        )
    most = w.amax(dim=tuple(range(2, w.ndim)), keepdim=True)
    scale = torch.ldexp(torch.ones_like(most), torch.frexp(most).exponent)  # a power of 2 rounds nothing
    return w / scale, scale


def noise_in_a_voxel(p: Tensor, A: Projector, w: Tensor) -> Tensor:
    """h * sqrt(h * n * w_rays) of the docstring of `tv_min`, (B, 1, 1, ...)."""
    spacing_mm = A.grid.spacing_mm
    h = math.prod(spacing_mm) ** (1 / len(spacing_mm))
    ones = p.new_ones((1, 1, *A.p_shape))
    n = A.adjoint(ones).mean()
    through = p.clamp(min=0) + torch.finfo(p.dtype).tiny
    w_rays = inner(w.expand_as(p), through) / inner(torch.ones_like(p), through)
    return (h * (h * n * w_rays).sqrt()).to(p.dtype)


def first_image(p: Tensor, A: Projector, start: Tensor | None) -> Tensor:
    """`start`, or a smooth FBP of a scan that has one, or zeros."""
    if start is not None:
        return check_image(start, p, A, who="tv_min").clone()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fbp(p, A, window="hann", frequency_scale=0.5)
    except TaskctError:  # a helix, free poses, an uneven subset
        return p.new_zeros((*p.shape[:2], *A.mu_shape))
