"""One look at a running TV reconstruction, and its duality gap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.recon.stopping import inner


@dataclass(frozen=True)
class TvStep:
    """One look at a running TV reconstruction: the image, its objective, and the relative duality gap, each (B, 1)."""

    iteration: int
    mu: Tensor
    objective: Tensor
    gap: Tensor


def duality_gap(
    mu: Tensor, misfit: Tensor, tv: Tensor, *, r: Tensor, measured: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor]:
    """Objective and relative duality gap (B, 1): F(mu) + sup over images x in the box of -L(x, dual).

    `slope` is K^T r + D^T z with the part that the box forbids to push removed; at the optimum it is 0.
    """
    objective = 0.5 * inner(misfit, misfit) + tv
    most = 2 * mu.abs().amax(dim=tuple(range(2, mu.ndim)), keepdim=True)
    dual = -0.5 * inner(r, r) - inner(r, measured) - inner(most.expand_as(slope), slope)
    gap = (objective - dual) / objective.clamp(min=torch.finfo(torch.float64).tiny)
    return objective.flatten(1), gap.flatten(1)
