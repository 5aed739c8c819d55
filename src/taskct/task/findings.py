"""Tasks that answer several findings of an image, each present, absent or unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.core.precision import at_least_float32


class FindingsBCE(nn.Module):
    """Cross entropy of findings, each on its own: logits (B, K), truth (B, K) of 0, 1 and NaN for unknown -> scalar.

    The mean over what is known; 0 where nothing is. `positive_weights` (K,) weigh the findings that are present.

    >>> FindingsBCE()(torch.tensor([[20.0, 3.0]]), torch.tensor([[1.0, float("nan")]])) < 1e-6
    tensor(True)
    """

    def __init__(self, *, positive_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if positive_weights is not None and not all(0 < w < math.inf for w in positive_weights):
            raise ConfigError(
                f"FindingsBCE expects positive_weights above 0, one for each finding, got {list(positive_weights)}"
            )
        weights = None if positive_weights is None else torch.tensor(positive_weights, dtype=torch.float32)
        self.positive_weights: Tensor | None
        self.register_buffer("positive_weights", weights)

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Scalar penalty."""
        if logits.shape != truth.shape or logits.ndim != 2:
            raise GeometryError(
                f"FindingsBCE expects logits and truth (B, K), got {tuple(logits.shape)}, {tuple(truth.shape)}"
            )
        if self.positive_weights is not None and len(self.positive_weights) != logits.shape[1]:
            raise GeometryError(
                f"FindingsBCE has weights of {len(self.positive_weights)} findings, the logits are of {logits.shape[1]}"
            )
        logits = at_least_float32(logits)
        known = ~truth.isnan()
        if bool(((truth < 0) | (truth > 1)).any()):
            odd = float(truth[(truth < 0) | (truth > 1)][0])
            raise InputError(f"FindingsBCE expects a truth of 0, 1 or NaN for unknown, got {odd:g}; put NaN in its place")
        wanted = torch.where(known, truth, 0.0).to(logits.dtype)
        weights = None if self.positive_weights is None else self.positive_weights.to(logits.dtype)
        each = functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights, reduction="none")
        return (each * known).sum() / known.sum().clamp_min(1)
