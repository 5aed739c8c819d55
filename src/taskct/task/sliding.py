"""A network asked window by window, as volumes need it, with the gradient of the whole image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from taskct.core.errors import ConfigError, GeometryError, unknown_name


class SlidingWindow(nn.Module):
    """`net` on overlapping windows, its answers averaged: (B, C, [Z,] Y, X) -> (B, K, [Z,] Y, X), any image size.

    `window` is the size that `net` is asked for, with one number per axis; neighbours overlap by `overlap` of it, and each
    answer counts by a Gaussian of an eighth of the window about its centre (Isensee et al., Nat. Methods 18:203 (2021)). An
    image smaller than the window is continued by its "edge" or by "zero". What one window holds goes through `net` as it is.

    Unlike predictors of whole volumes it keeps the gradient. With `memory_saving` each window is computed again in the
    backward pass, so that memory holds the inner maps of one window instead of all: same gradient, a third more time.

    A network like any other: `FrozenTask(freeze(SlidingWindow(net, (64, 96, 96))), HuWindow(60, 320), DiceCE(), "liver")`.

    Raises ConfigError for impossible settings, GeometryError when the image has other axes or `net` answers on another grid.
    """

    def __init__(
        self,
        net: nn.Module,
        window: Sequence[int],
        *,
        overlap: float = 0.5,
        outside: Literal["edge", "zero"] = "edge",
        memory_saving: bool = True,
    ) -> None:
        super().__init__()
        if len(window) not in (2, 3) or any(not isinstance(n, int) or n < 1 for n in window):
            raise ConfigError(f"SlidingWindow expects a window of two or three whole numbers, got {tuple(window)}")
        if not 0 <= overlap < 1:
            raise ConfigError(f"SlidingWindow expects overlap from 0 to below 1, got {overlap!r}")
        if outside not in ("edge", "zero"):
            raise unknown_name("continuation", outside, ("edge", "zero"))
        self.net, self.window, self.overlap, self.memory_saving = net, tuple(window), overlap, memory_saving
        self.outside = outside

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, K, ...)."""
        if x.ndim != 2 + len(self.window):
            raise GeometryError(
                f"windows of {self.window} expect an image (B, C, ...) with as many axes, got {tuple(x.shape)}"
            )
        size = x.shape[2:]
        x = _grown(x, self.window, self.outside)
        starts = [window_starts(n, w, self.overlap) for n, w in zip(x.shape[2:], self.window, strict=True)]
        if math.prod(map(len, starts)) == 1:
            return _cut(self._ask(x), size)
        exact = torch.promote_types(x.dtype, torch.float32)  # sums over windows need more than the digits of bfloat16
        weight = gaussian_weight(self.window, like=x.to(exact))
        total = torch.zeros(x.shape[2:], dtype=exact, device=x.device)
        answer: Tensor | None = None
        for corner in itertools.product(*starts):
            part: tuple[Any, ...] = (..., *(slice(s, s + w) for s, w in zip(corner, self.window, strict=True)))
            said = self._ask(x[part])
            if answer is None:
                answer = torch.zeros(len(x), said.shape[1], *x.shape[2:], dtype=exact, device=x.device)
            answer[part] = answer[part] + weight * said
            total[part] += weight
        assert answer is not None
        return _cut(answer / total, size)

    def _ask(self, part: Tensor) -> Tensor:
        if self.memory_saving and torch.is_grad_enabled() and part.requires_grad:
            said = checkpoint(self.net, part, use_reentrant=False)
        else:
            said = self.net(part)
        if said.shape[2:] != part.shape[2:]:
            raise GeometryError(f"a network in windows answers on its window {self.window}, got {tuple(said.shape)}")
        return said


def window_starts(size: int, window: int, overlap: float) -> list[int]:
    """First samples of windows that cover 0..size-1 evenly, neighbours overlapping by `overlap` of a window or more.

    >>> window_starts(100, 40, 0.5), window_starts(40, 40, 0.5)
    ([0, 20, 40, 60], [0])
    """
    if size <= window:
        return [0]
    count = math.ceil((size - window) / max(1, int(window * (1 - overlap)))) + 1
    return [round(k * (size - window) / (count - 1)) for k in range(count)]


def gaussian_weight(window: Sequence[int], *, like: Tensor) -> Tensor:
    """How much each sample of a window counts: a Gaussian about n // 2 (as nnU-Net has it), sigma n / 8."""
    weight = torch.ones((), dtype=like.dtype, device=like.device)
    for n in window:
        place = torch.arange(n, dtype=like.dtype, device=like.device) - n // 2
        weight = weight[..., None] * torch.exp(-0.5 * (place / (n / 8)) ** 2)
    return weight


def _grown(x: Tensor, window: Sequence[int], outside: str) -> Tensor:
    """An image at least as large as the window, continued on both sides."""
    pad: list[int] = []
    for n, w in zip(reversed(x.shape[2:]), reversed(window), strict=True):
        missing = max(0, w - n)
        pad += [missing // 2, missing - missing // 2]
    if not any(pad):
        return x
    return functional.pad(x, pad, mode="replicate") if outside == "edge" else functional.pad(x, pad)


def _cut(answer: Tensor, size: Sequence[int]) -> Tensor:
    """The middle of an answer: undoes `_grown`."""
    for axis, n in enumerate(size, start=2):
        answer = answer.narrow(axis, (answer.shape[axis] - n) // 2, n)
    return answer
