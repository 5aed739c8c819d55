"""A volume asked of a flat image: learned 3D queries that attend to the places of a 2D feature map."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError


class QueryVolume(nn.Module):
    """A feature map (B, inputs, R, C) -> a volume (B, width, *shape): one learned query for each of its voxels.

    Tokens are the places of the map (pooled to `tokens` x `tokens`), made by a linear layer, dropout and ReLU; keys and values
    are the tokens. With `positions`, keys and queries carry sine codes of where they are; without, as in the released form
    of PSCT-Net's AGP-3D, the answer does not depend on where a token stands, only on what it says. No residual, no
    normalisation. (Vaswani et al., arXiv 1706.03762, sections 3.2 and 3.5; learned queries as in DETR, arXiv 2005.12872.)
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        shape: tuple[int, int, int] = (4, 4, 4),
        tokens: int = 4,
        heads: int = 8,
        dropout: float = 0.5,
        positions: bool = True,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f"QueryVolume expects heads that divide its width, got {heads} heads and width {width}")
        self.shape, self.tokens = shape, tokens
        self.embed = nn.Sequential(nn.Linear(inputs, width), nn.Dropout(dropout), nn.ReLU())
        self.queries = nn.Parameter(torch.randn(math.prod(shape), width) * 0.02)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        codes = (sine_positions((tokens, tokens), width), sine_positions(shape, width)) if positions else (None, None)
        self.key_code: Tensor | None
        self.query_code: Tensor | None
        self.register_buffer("key_code", codes[0], persistent=False)
        self.register_buffer("query_code", codes[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, R, C) -> (B, width, *shape)."""
        if x.shape[-2:] != (self.tokens, self.tokens):
            x = functional.adaptive_avg_pool2d(x, self.tokens)
        values = self.embed(x.flatten(2).mT)  # (B, tokens^2, width)
        keys, queries = values, self.queries.expand(len(x), -1, -1)
        if self.key_code is not None and self.query_code is not None:
            keys, queries = keys + self.key_code, queries + self.query_code
        found = self.attention(queries, keys, values, need_weights=False)[0]
        return found.mT.reshape(len(x), -1, *self.shape)


def sine_positions(shape: tuple[int, ...], width: int) -> Tensor:
    """A code for each sample of a grid, (prod(shape), width): sines and cosines of its place along each axis in turn.

    >>> sine_positions((2, 3), 8).shape
    torch.Size([6, 8])
    """
    share = width // (2 * len(shape))  # pairs of sine and cosine of an axis
    if share < 1:
        raise ConfigError(f"sine positions of {len(shape)} axes expect a width of {2 * len(shape)} or more, got {width}")
    places = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in shape], indexing="ij"), -1).reshape(-1, len(shape))
    rates = torch.exp(-math.log(100.0) * torch.arange(share) / share)  # from one radian a sample downwards
    angles = places[..., None] * rates  # (N, axes, share)
    code = torch.cat([angles.sin(), angles.cos()], -1).flatten(1)
    return functional.pad(code, (0, width - code.shape[1]))
