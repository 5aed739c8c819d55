"""A scan whose noise has a gradient in the dose: for choosing the dose by optimisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import GeometryError, InputError
from taskct.physics.dose import MIN_FLOOR_PHOTONS
from taskct.physics.noise import relative_air
from taskct.simulate.scan import check_seed, checked_floor, noise_streams

MIN_SOFTNESS_PHOTONS = 0.1


def simulate_scan_differentiable(
    p_clean: Tensor,
    log_photons: Tensor | float,
    *,
    seed: int | torch.Generator,
    case_id: str = "",
    items: Sequence[int | str] | None = None,
    electronic_std: float = 0.0,
    modulation: Tensor | None = None,
    bowtie: Tensor | None = None,
    floor_photons: float | None = None,
    noise_device: torch.device | str | None = None,
) -> Tensor:
    """Noisy p with gradients to the dose and to p_clean: p_clean of any scan shape -> the same shape.

    `log_photons` is the natural logarithm of the photons per pixel through air: one number, (B,), or (B, V) for a
    level per view. Gradients also flow to `modulation` (divided by its mean over views).

        lambda = exp(log_photons) m b exp(-p)
        N      = lambda + sqrt(lambda + electronic_std^2) eps,          eps ~ Normal(0, 1)
        p      = ln(exp(log_photons) m b) - ln(floor + w softplus((N - floor) / w))

    The Gaussian stands in for the counts of `simulate_scan` and the softplus for its hard floor; w is 0.1 photons, or
    a tenth of `electronic_std` if larger. docs/dose.md tabulates both: above 20 photons a ray's mean and standard deviation
    agree within 5 %, below that they part, so judge a dose with `simulate_scan`, never with this.

    The draws are those of `simulate_scan` for the same seed, case and items (both without read-out noise), made on the
    device of p_clean unless `noise_device` says otherwise.

    >>> d = torch.tensor(math.log(1e4), requires_grad=True)
    >>> p = simulate_scan_differentiable(torch.full((1, 1, 2, 3), 2.0), d, seed=0)
    >>> p.shape, torch.autograd.grad((p - 2.0).square().sum(), d)[0].item() < 0
    (torch.Size([1, 1, 2, 3]), True)
    """
    check_seed(seed)
    if not 0 <= electronic_std < math.inf:
        raise InputError(f"electronic_std expects a number of photons, 0 or more, got {electronic_std!r}")
    relative = relative_air(p_clean, modulation=modulation, bowtie=bowtie)
    log_air = _per_ray(log_photons, p_clean) + torch.log(relative).to(p_clean.dtype)
    log_expected = log_air - p_clean
    device = p_clean.device if noise_device is None else noise_device
    eps = torch.stack([_draws(p_clean[i], s) for i, s in enumerate(noise_streams(p_clean, seed, case_id, items, device))])
    # the spread is taken in the log domain: sqrt has an infinite slope where a starved ray underflows to 0
    log_variance = log_expected
    if electronic_std > 0:
        log_variance = torch.logaddexp(log_expected, log_expected.new_tensor(2 * math.log(electronic_std)))
    counts = torch.exp(log_expected) + torch.exp(log_variance / 2) * eps
    floor = max(MIN_FLOOR_PHOTONS, electronic_std / 2) if floor_photons is None else checked_floor(floor_photons)
    return log_air - torch.log(smooth_floor(counts, floor, max(MIN_SOFTNESS_PHOTONS, electronic_std / 10)))


def smooth_floor(counts: Tensor, floor_photons: float, softness_photons: float) -> Tensor:
    """A smooth max(counts, floor_photons), same shape: floor + w softplus((counts - floor) / w), w the softness."""
    return floor_photons + softness_photons * functional.softplus((counts - floor_photons) / softness_photons)


def _per_ray(log_photons: Tensor | float, p: Tensor) -> Tensor:
    """One number, (B,) or (B, V) -> a shape that goes with p."""
    level = torch.as_tensor(log_photons, device=p.device).to(p.dtype)
    if level.ndim == 0:
        return level
    if tuple(level.shape) not in {(len(p),), (len(p), p.shape[2])}:
        raise GeometryError(
            f"log_photons expects one number, ({len(p)},) for the batch or ({len(p)}, {p.shape[2]}) for its views, "
            f"got {tuple(level.shape)}"
        )
    views = 1 if level.ndim == 1 else p.shape[2]
    return level.reshape(len(p), 1, views, *[1] * (p.ndim - 3))


def _draws(like: Tensor, stream: torch.Generator) -> Tensor:
    """In float64 also for float32, so that they are the draws of the exact simulation."""
    draws = torch.randn(like.shape, dtype=torch.float64, device=stream.device, generator=stream)
    return draws.to(dtype=like.dtype, device=like.device)
