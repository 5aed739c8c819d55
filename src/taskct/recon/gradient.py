"""The gradient of an image on its grid, as total variation uses it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gradient(mu: Tensor, spacing_mm: Sequence[float]) -> Tensor:
    """Forward differences along each axis over its spacing: (B, 1, *shape) -> (axes, B, 1, *shape) in 1/mm^2; 0 at the end."""
    slopes = mu.new_zeros((len(spacing_mm), *mu.shape))
    for axis, step_mm in enumerate(spacing_mm):
        n = mu.shape[2 + axis] - 1
        part = slopes[axis].narrow(2 + axis, 0, n)
        torch.sub(mu.narrow(2 + axis, 1, n), mu.narrow(2 + axis, 0, n), out=part)
        part /= step_mm
    return slopes


def gradient_adjoint(slopes: Tensor, spacing_mm: Sequence[float]) -> Tensor:
    """Exact transpose of `gradient` (minus the divergence): (axes, B, 1, *shape) -> (B, 1, *shape)."""
    mu = torch.zeros_like(slopes[0])
    for axis, step_mm in enumerate(spacing_mm):
        n = mu.shape[2 + axis] - 1
        part = slopes[axis].narrow(2 + axis, 0, n) / step_mm
        mu.narrow(2 + axis, 1, n).add_(part)
        mu.narrow(2 + axis, 0, n).sub_(part)
    return mu


def gradient_norm_squared(spacing_mm: Sequence[float]) -> float:
    """A bound on the squared norm of `gradient`, 4 * sum of 1 / spacing^2, which large images reach."""
    return sum(4 / step_mm**2 for step_mm in spacing_mm)


def total_variation(slopes: Tensor) -> Tensor:
    """Isotropic total variation of each image from its gradient: (axes, B, 1, *shape) -> (B, 1, 1, ...) in float64."""
    lengths = slopes.square().sum(0).sqrt()
    return lengths.sum(dim=tuple(range(2, lengths.ndim)), keepdim=True, dtype=torch.float64)
