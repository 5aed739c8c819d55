"""A segmentation reader in plain torch: nothing of it comes from the package."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

WATER_PER_MM = 0.0192  # about; the reader learns its own scale


class Block(nn.Module):
    """Two convolutions with group normalisation and a shortcut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.norm_one, self.norm_two = nn.GroupNorm(4, after), nn.GroupNorm(4, after)
        self.short = nn.Conv2d(before, after, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.silu(self.norm_one(self.one(x)))
        return functional.silu(self.norm_two(self.two(y)) + self.short(x))


class OwnReader(nn.Module):
    """mu (N, 1, Y, X) in 1/mm -> logits of background, liver, tumour (N, 3, Y, X); three scales, summed on the way up."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first, self.second, self.third = Block(1, width), Block(width, 2 * width), Block(2 * width, 4 * width)
        self.up_second, self.up_first = nn.Conv2d(4 * width, 2 * width, 1), nn.Conv2d(2 * width, width, 1)
        self.mix_second, self.mix_first = Block(2 * width, 2 * width), Block(width, width)
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, mu: torch.Tensor) -> torch.Tensor:
        x = ((mu / WATER_PER_MM - 1) * 8).clamp(-2, 2)  # +-250 HU
        one = self.first(x)
        two = self.second(functional.avg_pool2d(one, 2))
        three = self.third(functional.avg_pool2d(two, 2))
        two = self.mix_second(two + functional.interpolate(self.up_second(three), scale_factor=2, mode="bilinear"))
        return self.head(self.mix_first(one + functional.interpolate(self.up_first(two), scale_factor=2, mode="bilinear")))


def train_reader(mu: torch.Tensor, labels: torch.Tensor, *, steps: int, seed: int, batch: int = 12) -> OwnReader:
    """Focal cross-entropy on full-dose images, flipped left to right and with a little noise and blur; Adam, linear decay."""
    draws = np.random.default_rng(seed)
    torch.manual_seed(seed)
    net = OwnReader()
    adam = torch.optim.Adam(net.parameters(), lr=3e-3)
    with_tumour = np.flatnonzero((labels == 2).flatten(1).any(1).numpy())
    weight = torch.tensor([1.0, 1.0, 3.0])
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps) + 1e-5
        some = np.concatenate([draws.integers(0, len(mu), batch // 2), draws.choice(with_tumour, batch - batch // 2)])
        x, y = mu[some], labels[some].long()
        if draws.random() < 0.5:
            x, y = x.flip(-1), y.flip(-1)
        x = x + float(draws.uniform(0, 0.0004)) * torch.from_numpy(draws.normal(size=x.shape)).float()
        log = functional.log_softmax(net(x), 1).gather(1, y[:, None])[:, 0]
        loss = (-((1 - log.exp()) ** 1.5) * log * weight[y]).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net.eval()
