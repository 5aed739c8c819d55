"""A scan whose noise has a gradient in the dose: for choosing the dose by optimisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import GeometryError, InputError
from taskct.core.threads import keep_to_one_thread_if_forked
from taskct.physics.dose import MIN_FLOOR_PHOTONS
from taskct.physics.noise import relative_air
from taskct.physics.pieces import by_views, normal_draws
from taskct.simulate.noisy_scan import check_seed, checked_floor, noise_streams

_MIN_SOFTNESS_PHOTONS = 0.1
_SKEW_FADES_BELOW_PHOTONS = 0.5  # a starved ray must not be given counts by the correction of its shape


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
    skewed: bool = True,
    noise_device: torch.device | str | None = None,
) -> Tensor:
    """Noisy p with gradients to the dose and to p_clean: p_clean of any scan shape -> the same shape.

    `log_photons` is the natural logarithm of the photons per pixel through air: one number, (B,), or (B, V) for a
    level per view. Gradients also flow to `modulation` (divided by its mean over views).

        lambda = exp(log_photons) m b exp(-p),      sigma^2 = lambda + electronic_std^2,      eps ~ Normal(0, 1)
        N      = lambda + sigma eps + (eps^2 - 1) / 6 * lambda / (sigma^2 + 1/2)
        p      = ln(exp(log_photons) m b) - ln(floor + w softplus((N - floor) / w))

    This stands in for the counts of `simulate_scan` and its hard floor. The last term of N gives it the skewness of
    counts (Cornish and Fisher); `skewed=False` leaves the plain Gaussian. w is 0.1 photons, or a tenth of `electronic_std`
    if larger. docs/dose.md tabulates twin and exact counts side by side: they agree within 3 % of the standard deviation from
    5 photons per ray on (plain Gaussian: from 30), and part below; so judge a dose with `simulate_scan`, never with this.

    The draws are those of `simulate_scan` for the same seed, case and items (both without read-out noise), made on the
    device of p_clean unless `noise_device` says otherwise.

    >>> d = torch.tensor(math.log(1e4), requires_grad=True)
    >>> p = simulate_scan_differentiable(torch.full((1, 1, 2, 3), 2.0), d, seed=0)
    >>> p.shape, torch.autograd.grad((p - 2.0).square().sum(), d)[0].item() < 0
    (torch.Size([1, 1, 2, 3]), True)
    """
    keep_to_one_thread_if_forked()
    check_seed(seed)
    if not 0 <= electronic_std < math.inf:
        raise InputError(f"electronic_std expects a number of photons, 0 or more, got {electronic_std!r}")
    relative = relative_air(p_clean, modulation=modulation, bowtie=bowtie)
    log_air = _per_ray(log_photons, p_clean) + torch.log(relative).to(p_clean.dtype)
    device = p_clean.device if noise_device is None else noise_device
    streams = noise_streams(p_clean, seed, case_id, items, device)
    eps = normal_draws(p_clean.detach(), streams)
    floor = max(MIN_FLOOR_PHOTONS, electronic_std / 2) if floor_photons is None else checked_floor(floor_photons)
    options = {"electronic_std": electronic_std, "floor_photons": floor, "skewed": skewed}

    def noisy(p: Tensor, log_air: Tensor, eps: Tensor) -> Tensor:
        return log_air - torch.log(twin_counts(log_air - p, eps, **options))  # type: ignore[arg-type]

    return by_views(noisy, p_clean, log_air.reshape(*[1] * (p_clean.ndim - log_air.ndim), *log_air.shape), eps)


def twin_counts(
    log_expected: Tensor, eps: Tensor, *, electronic_std: float, floor_photons: float, skewed: bool = True
) -> Tensor:
    """Floored counts of the twin from the log of the expected ones and standard normal draws, same shape, above the floor."""
    # the spread is taken in the log domain: sqrt has an infinite slope where a starved ray underflows to 0
    log_variance = log_expected
    if electronic_std > 0:
        log_variance = torch.logaddexp(log_expected, log_expected.new_tensor(2 * math.log(electronic_std)))
    expected = torch.exp(log_expected)
    counts = expected + torch.exp(log_variance / 2) * eps
    if skewed:
        counts = counts + (eps.square() - 1) / 6 * expected / (torch.exp(log_variance) + _SKEW_FADES_BELOW_PHOTONS)
    softness = max(_MIN_SOFTNESS_PHOTONS, electronic_std / 10)
    return floor_photons + softness * functional.softplus((counts - floor_photons) / softness)


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
