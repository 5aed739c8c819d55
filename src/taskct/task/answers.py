"""Answers of a network with many classes, as the few that a task asks about."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError


class MergedClasses(nn.Module):
    """`net`'s logits (B, K, ...) as (B, 1 + len(groups), ...): class k + 1 is the classes of group k, class 0 all others.

    Probabilities of a group add up (logsumexp of its logits), so nothing of what the network says is lost: a network for 117
    organs becomes a liver reader by `MergedClasses(net, [[5]])`.

    >>> probabilities = MergedClasses(nn.Identity(), [[2]])(torch.tensor([[0.0, 0.0, 0.6931, 0.0]])).softmax(1)
    >>> probabilities.round(decimals=2)
    tensor([[0.6000, 0.4000]])
    """

    def __init__(self, net: nn.Module, groups: Sequence[Sequence[int]]) -> None:
        super().__init__()
        flat = [k for group in groups for k in group]
        if not groups or min(map(len, groups)) == 0 or len(set(flat)) < len(flat) or min(flat) < 0:
            raise ConfigError(f"MergedClasses expects groups of class numbers, each number once, got {groups}")
        self.net, self.groups = net, tuple(tuple(group) for group in groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, 1 + groups, ...)."""
        logits = self.net(x)
        taken = {k for group in self.groups for k in group}
        others = [k for k in range(logits.shape[1]) if k not in taken]
        if max(taken) >= logits.shape[1] or not others:
            raise GeometryError(f"groups {self.groups} expect more classes than the network's {logits.shape[1]}")
        return torch.stack([logits[:, list(group)].logsumexp(1) for group in (others, *self.groups)], dim=1)
