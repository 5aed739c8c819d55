"""One encoder, several heads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from taskct.core.errors import ConfigError, unknown_name


class SharedNet(nn.Module):
    """`net(x)` -> {head: its answer}, from one pass through `encoder`. A head that is not there costs nothing.

    encoder   a pyramid: `encoder(x)` -> list of maps (`taskct.nets.pyramids`)
    heads     by name: modules called as `head(maps, x)`, such as those of `taskct.nets.heads` or your own

    `ENCODER` in the answers holds the maps themselves, where gradients of several heads meet.

    >>> import torch
    >>> from taskct.nets.heads import FindingsHead, SegmentHead
    >>> from taskct.nets.pyramids import SmallPyramid
    >>> encoder = SmallPyramid(widths=(4, 8))
    >>> net = SharedNet(encoder, {"findings": FindingsHead(encoder, 2), "segment": SegmentHead(encoder, 3)})
    >>> {name: tuple(a.shape) for name, a in net(torch.zeros(1, 1, 16, 16)).items() if name != ENCODER}
    {'findings': (1, 2), 'segment': (1, 3, 16, 16)}
    """

    def __init__(self, encoder: nn.Module, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        if not heads:
            raise ConfigError("SharedNet expects at least one head")
        if ENCODER in heads:
            raise ConfigError(f"SharedNet: {ENCODER!r} names the maps of the encoder; give the head another name")
        self.encoder, self.heads = encoder, nn.ModuleDict(heads)

    def forward(self, x: Tensor, heads: Collection[str] | None = None) -> dict[str, Any]:
        """Answers of all heads, or of those that are named."""
        for name in heads or ():
            if name not in self.heads:
                raise unknown_name("head", name, list(self.heads))
        maps = self.encoder(x)
        answers = {name: head(maps, x) for name, head in self.heads.items() if heads is None or name in heads}
        return {**answers, ENCODER: maps}


ENCODER = "encoder"
