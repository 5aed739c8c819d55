"""Heads of one network as frozen tasks that share one forward: `tasks_of`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, unknown_name
from taskct.nets.shared_net import SharedNet
from taskct.task.centres import check_stride
from taskct.task.frozen import FrozenTask, freeze


def tasks_of(
    net: SharedNet,
    penalties: Mapping[str, Callable[[Any, Any], Tensor]],
    *,
    prepare: Callable[[Tensor], Tensor],
    name: str = "",
) -> dict[str, FrozenTask]:
    """Head -> `FrozenTask`, for the heads that `penalties` names; all of them read an image in one pass of the network.

    The pass is kept for the image that was read last, as long as it stays the same tensor with the same values and nothing was
    propagated back through it. So the terms of one objective run the encoder once, in place of once for each head. Each task
    is a full one: it can be copied, moved and checked (`taskct.testing.check_task`) apart from the others.

    Raises ConfigError for a head that the network does not have, and for a penalty of other cells than its head.
    """
    if not penalties:
        raise ConfigError("tasks_of expects a penalty for at least one head: {head: penalty(answer, target)}")
    for head in penalties:
        if head not in net.heads:
            raise unknown_name("head", head, list(net.heads))
        check_stride(head, net.heads[head], penalties[head])
    one_pass = OnePass(freeze(net), prepare, tuple(penalties)).eval()
    label = f"{name} " if name else ""
    return {
        head: FrozenTask(HeadOf(one_pass, head).eval(), nn.Identity(), penalty, f"{label}{head}")
        for head, penalty in penalties.items()
    }


class HeadOf(nn.Module):
    """One head's answer of a network that others read too: mu (B, 1, ...) in 1/mm -> its answer."""

    def __init__(self, one_pass: OnePass, head: str) -> None:
        super().__init__()
        self.one_pass, self.head = one_pass, head

    def forward(self, mu: Tensor) -> Any:
        """The answer of the head."""
        return self.one_pass(mu)[self.head]


class OnePass(nn.Module):
    """All answers of a network, kept for the image that was read last."""

    def __init__(self, net: nn.Module, prepare: Callable[[Tensor], Tensor], heads: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self.prepare, self.heads = net, prepare, heads
        self._kept: tuple[weakref.ref[Tensor], tuple[Any, ...], dict[str, Any]] | None = None

    def forward(self, mu: Tensor) -> dict[str, Any]:
        """Answers of the heads, by name."""
        how = (mu._version, torch.is_grad_enabled(), torch.is_autocast_enabled(mu.device.type), mu.dtype)
        if self._kept is not None and self._kept[0]() is mu and self._kept[1] == how:
            return self._kept[2]
        self._kept = None
        answers = self.net(self.prepare(mu), heads=self.heads)
        self._kept = (weakref.ref(mu), how, answers)
        for leaf in _tensors(answers):
            if leaf.requires_grad:
                leaf.register_hook(self._forget)  # the graph may be gone after this
        return answers

    def _forget(self, grad: Tensor) -> None:
        self._kept = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}  # neither graphs nor weak references go into a copy


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [leaf for part in parts for leaf in _tensors(part)]
