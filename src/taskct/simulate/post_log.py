"""Gaussian noise put on p itself: a common approximation, kept as a warning and for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from taskct.core.threads import keep_to_one_thread_if_forked
from taskct.physics.noise import relative_air
from taskct.physics.pieces import by_views, normal_draws
from taskct.simulate.differentiable import _per_ray
from taskct.simulate.noisy_scan import check_seed, noise_streams


def simulate_scan_post_log(
    p_clean: Tensor,
    log_photons: Tensor | float,
    *,
    seed: int | torch.Generator,
    case_id: str = "",
    items: Sequence[int | str] | None = None,
    electronic_std: float = 0.0,
    modulation: Tensor | None = None,
    bowtie: Tensor | None = None,
    noise_device: torch.device | str | None = None,
) -> Tensor:
    """p - sqrt((lambda + s^2) / lambda^2) eps: p_clean of any scan shape -> the same shape, with gradients to `log_photons`.

    The delta method on the logarithm, with the draws of `simulate_scan_differentiable`. It has no bias, too little spread
    where a ray sees 1 to 10 photons, and a spread without limit below: docs/dose.md tabulates it, docs/dose-optimisation.md
    says what training with it costs. Do not report doses with it.

    >>> p = simulate_scan_post_log(torch.full((1, 1, 2, 3), 2.0), 9.0, seed=0)
    >>> p.shape
    torch.Size([1, 1, 2, 3])
    """
    keep_to_one_thread_if_forked()
    check_seed(seed)
    relative = relative_air(p_clean, modulation=modulation, bowtie=bowtie)
    log_air = _per_ray(log_photons, p_clean) + torch.log(relative).to(p_clean.dtype)
    device = p_clean.device if noise_device is None else noise_device
    streams = noise_streams(p_clean, seed, case_id, items, device)
    eps = normal_draws(p_clean.detach(), streams)

    def noisy(p: Tensor, log_air: Tensor, eps: Tensor) -> Tensor:
        log_expected = log_air - p
        spread = torch.exp(-log_expected / 2)
        if electronic_std > 0:
            spread = torch.sqrt(torch.exp(-log_expected) + electronic_std**2 * torch.exp(-2 * log_expected))
        return p - spread * eps  # more counts are a smaller p, as in the twin

    return by_views(noisy, p_clean, log_air, eps)
