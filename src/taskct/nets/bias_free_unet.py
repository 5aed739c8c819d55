"""A U-Net without additive constants: its answer scales with its input, so what it learns at one noise holds at others."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError
from taskct.nets.blocks import check_widths


class BiasFreeUNet(nn.Module):
    """Image and noise map -> corrected image: (B, 1, Y, X) twice -> (B, 1, Y, X), any size.

    No convolution has a bias and nothing is normalised, so net(a x, a s) = a net(x, s) for a > 0 (Mohan et al., ICLR 2020):
    a second channel that holds the noise's standard deviation then conditions the network on the noise, at any level. Blocks
    of 2 x 2 pixels are folded into channels first and unfolded last. `widths` are the channels of each scale, `depth` the
    convolutions of each stage. The untrained network returns its image: the last convolution starts at zero.

    >>> net = BiasFreeUNet(widths=(4, 8))
    >>> x = torch.rand(1, 1, 21, 30)
    >>> torch.equal(net(x, torch.ones_like(x)), x)
    True
    """

    def __init__(self, *, widths: Sequence[int] = (40, 80, 160), depth: int = 2) -> None:
        super().__init__()
        check_widths(widths, who="BiasFreeUNet")
        if depth < 1:
            raise ConfigError(f"BiasFreeUNet expects depth >= 1, got {depth}")
        self.stem = _stage(2 * _FOLD**2, widths[0], depth)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in pairs)
        self.encode = nn.ModuleList(_stage(b, b, depth) for _, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2, bias=False) for a, b in pairs)
        self.decode = nn.ModuleList(_stage(a, a, depth) for a, _ in pairs)
        self.out = nn.Conv2d(widths[0], _FOLD**2, 3, padding=1, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """x plus what the network adds, in the dtype of x; the sum is made outside of a lower precision."""
        rows, cols = x.shape[-2:]
        step = _FOLD * 2 ** len(self.down)
        z = functional.pad(torch.cat([x, noise], dim=1), (0, -cols % step, 0, -rows % step), mode="replicate")
        y = self.stem(functional.pixel_unshuffle(z, _FOLD).contiguous(memory_format=torch.channels_last))
        fine = []
        for down, encode in zip(self.down, self.encode, strict=True):
            fine.append(y)
            y = encode(down(y))
        for up, decode in zip(reversed(self.up), reversed(self.decode), strict=True):
            y = decode(up(y) + fine.pop())
        return x + functional.pixel_shuffle(self.out(y).to(x.dtype), _FOLD)[..., :rows, :cols]


_FOLD = 2


def _stage(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    """`depth` convolutions of 3 x 3, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [nn.Conv2d(outputs if k else inputs, outputs, 3, padding=1, bias=False), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
