"""Penalties of class maps that published chest networks compare: Dice, generalised Dice, Tversky, focal. See `DiceCE` too.

All take logits (B, K, ...) and labels (B, ...) in 0..K-1 as int64, pool over the batch, and give a scalar. Classes that do not
occur in a batch take no part in Dice; background takes part in generalised Dice alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError
from taskct.core.precision import at_least_float32
from taskct.task.penalties import DiceCE, check_class_weights, check_labels, soft_dice


class SoftDice(nn.Module):
    """1 - mean soft Dice of the foreground classes that occur (Milletari et al., arXiv 1606.04797); 0 where none does."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        check_labels(logits, labels)
        dice, occurs = soft_dice(at_least_float32(logits).softmax(1), labels)
        counts = occurs[1:].to(dice.dtype)
        return ((1 - dice[1:]) * counts).sum() / counts.sum().clamp_min(1)


class GeneralisedDice(nn.Module):
    """1 - 2 sum_l w_l sum r p / sum_l w_l sum (r + p), w_l = 1 / (sum r)^2 of the classes that occur.

    Sudre et al., arXiv 1707.03237. Small classes weigh as much as large ones; a class that does not occur would have an
    infinite weight, and has that of the largest instead, so that what is falsely found of it still counts a little.
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        check_labels(logits, labels)
        p = at_least_float32(logits).softmax(1)
        truth = functional.one_hot(labels, p.shape[1]).movedim(-1, 1).to(p.dtype)
        axes = [0, *range(2, p.ndim)]
        volume = truth.sum(axes)
        weights = 1 / torch.where(volume > 0, volume, volume.max()).square()
        shared, both = (p * truth).sum(axes), (p + truth).sum(axes)
        return 1 - 2 * (weights * shared).sum() / (weights * both).sum()


class Tversky(nn.Module):
    """1 - mean of TP / (TP + missed weight * missed + false weight * falsely found) of the foreground classes that occur.

    Salehi et al., arXiv 1706.05721: 0.7 and 0.3 weigh what is missed more. Both 0.5 is Dice.
    """

    def __init__(self, *, missed: float = 0.7, false: float = 0.3) -> None:
        super().__init__()
        if not (0 <= missed < math.inf and 0 <= false < math.inf and missed + false > 0):
            raise ConfigError(f"Tversky expects finite weights of 0 or more, not both 0, got {missed!r} and {false!r}")
        self.missed, self.false = missed, false

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        check_labels(logits, labels)
        p = at_least_float32(logits).softmax(1)
        truth = functional.one_hot(labels, p.shape[1]).movedim(-1, 1).to(p.dtype)
        axes = [0, *range(2, p.ndim)]
        hit, missed, false = (p * truth).sum(axes), ((1 - p) * truth).sum(axes), (p * (1 - truth)).sum(axes)
        index = hit / (hit + self.missed * missed + self.false * false).clamp_min(torch.finfo(hit.dtype).eps)
        counts = (truth.sum(axes) > 0)[1:].to(index.dtype)
        return ((1 - index[1:]) * counts).sum() / counts.sum().clamp_min(1)


class FocalCE(nn.Module):
    """Mean of (1 - p)^gamma (-log p) of the true class, weighted by class (Lin et al., ICCV 2017)."""

    def __init__(self, *, gamma: float = 2.0, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if not 0 <= gamma < math.inf:
            raise ConfigError(f"FocalCE expects a finite gamma >= 0, got {gamma!r}")
        if weights is not None:
            check_class_weights(weights, who="FocalCE")
        self.gamma, self.weights = gamma, None if weights is None else tuple(weights)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        check_labels(logits, labels)
        log_p = at_least_float32(logits).log_softmax(1).gather(1, labels[:, None])[:, 0]
        doubt = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)  # at 0 a gamma below 1 has no gradient
        each = -(doubt**self.gamma) * log_p
        if self.weights is None:
            return each.mean()
        weight = torch.tensor(self.weights, dtype=each.dtype, device=each.device)[labels]
        return (weight * each).sum() / weight.sum().clamp_min(1e-12)


SEGMENTATION_PENALTIES = {
    "dice-ce": DiceCE,
    "dice": SoftDice,
    "generalised-dice": GeneralisedDice,
    "tversky": Tversky,
    "focal": FocalCE,
}
