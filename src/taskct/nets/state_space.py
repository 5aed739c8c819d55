"""A selective state-space layer in plain PyTorch, and blocks that mix the tokens of a volume with it or with attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, unknown_name

MIXERS = ("state-space", "attention")


class SelectiveStateSpace(nn.Module):
    """Tokens (B, L, width) -> (B, L, width), each made of itself and of those before it.

        x, z = in(u),  x = silu(causal convolution(x))
        h_t = exp(d_t A) h_(t-1) + d_t B_t x_t,    y_t = C_t h_t + D x_t,    out(y * silu(z))

    with d_t = softplus(...), B_t and C_t made of x_t (that is what "selective" means), A < 0 and diagonal, `state` numbers for
    each of `expand` * `width` channels. (Gu and Dao, arXiv 2312.00752, algorithm 2.) The recurrence runs as a parallel scan in
    log2 L steps (`scan`), with memory for all states of all tokens: meant for hundreds of tokens.
    """

    def __init__(self, width: int, *, state: int = 16, kernel: int = 4, expand: int = 2) -> None:
        super().__init__()
        if min(width, state, kernel, expand) < 1:
            raise ConfigError(f"SelectiveStateSpace expects whole numbers >= 1, got {width}, {state}, {kernel}, {expand}")
        inner, rank = expand * width, math.ceil(width / 16)
        self.state, self.rank = state, rank
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        self.near = nn.Conv1d(inner, inner, kernel, padding=kernel - 1, groups=inner)
        self.select = nn.Linear(inner, rank + 2 * state, bias=False)
        self.step = nn.Linear(rank, inner)
        self.log_decay = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(inner, 1))  # (inner, state)
        self.through = nn.Parameter(torch.ones(inner))
        self.leave = nn.Linear(inner, width, bias=False)
        steps = torch.exp(torch.rand(inner) * math.log(100) + math.log(1e-3))  # 0.001 to 0.1, as published
        with torch.no_grad():
            self.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # softplus of it gives those steps

    def forward(self, u: Tensor) -> Tensor:
        """(B, L, width) -> (B, L, width)."""
        x, gate = self.enter(u).chunk(2, -1)  # (B, L, inner) each
        x = functional.silu(self.near(x.mT)[..., : u.shape[1]].mT)
        low, gain, read = self.select(x).split([self.rank, self.state, self.state], -1)
        step = functional.softplus(self.step(low)).float()  # (B, L, inner)
        keep = torch.exp(-step[..., None] * self.log_decay.exp())  # (B, L, inner, state)
        add = (step * x.float())[..., None] * gain[:, :, None].float()
        y = (scan(keep, add) * read[:, :, None].float()).sum(-1) + self.through * x
        return self.leave(y.to(x) * functional.silu(gate))


def scan(keep: Tensor, add: Tensor) -> Tensor:
    """h_t = keep_t h_(t-1) + add_t with h_(-1) = 0 along axis 1, for all t at once: (B, L, ...) -> (B, L, ...).

    Pairs of (keep, add) compose, so each round doubles how far back an entry reaches (Hillis and Steele, CACM 29:1170).

    >>> scan(torch.full((1, 4), 0.5), torch.ones(1, 4))
    tensor([[1.0000, 1.5000, 1.7500, 1.8750]])
    """
    reach, length = 1, keep.shape[1]
    while reach < length:
        add = torch.cat([add[:, :reach], add[:, reach:] + keep[:, reach:] * add[:, :-reach]], 1)
        keep = torch.cat([keep[:, :reach], keep[:, reach:] * keep[:, :-reach]], 1)
        reach *= 2
    return add


class TokenMixer(nn.Module):
    """A volume (B, width, Z, Y, X) -> the same shape: its voxels as tokens, mixed by `kind`, then a small network on each.

    "state-space"   x' = x + M(norm x) + flip M(flip norm x), one M for both directions, in the order z, y, x
    "attention"     x' = x + attention(norm x), which knows no order
    then            x'' = x' + FFN(norm x'), width -> 2 width -> width, SiLU
    """

    def __init__(self, width: int, *, kind: str = "state-space", heads: int = 8, dropout: float = 0.5) -> None:
        super().__init__()
        if kind not in MIXERS:
            raise unknown_name("mixer of tokens", kind, MIXERS)
        self.norm, self.later_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer: nn.Module
        if kind == "state-space":
            self.mixer = SelectiveStateSpace(width)
        else:
            self.mixer = nn.MultiheadAttention(width, heads, batch_first=True)
        self.each = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(2 * width, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, Z, Y, X) -> the same shape."""
        tokens = x.flatten(2).mT  # (B, Z Y X, width)
        seen = self.norm(tokens)
        if isinstance(self.mixer, nn.MultiheadAttention):
            mixed = self.mixer(seen, seen, seen, need_weights=False)[0]
        else:
            mixed = self.mixer(seen) + self.mixer(seen.flip(1)).flip(1)
        tokens = tokens + mixed
        tokens = tokens + self.each(self.later_norm(tokens))
        return tokens.mT.reshape(x.shape)
