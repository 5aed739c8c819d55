"""2D encoders of one radiograph: its feature maps at every level, fine to coarse."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from taskct.nets import DenseBlock
from taskct.nets.blocks import conv_block, conv_layer, norm_layer

DENSE_LAYERS = (6, 12, 24, 16, 6)  # of the dense blocks after each halving, as released
DENSE_VIEW_STEM = 64


class PlainViewEncoder(nn.Module):
    """(B, 1, R, C) -> maps of `widths` channels at R / fold, R / (2 fold) ...: strided and plain convolutions by turns."""

    def __init__(self, widths: Sequence[int], *, fold: int = 2, norm: str = "instance") -> None:
        super().__init__()
        self.fold, self.widths = fold, tuple(widths)
        self.stem = nn.Sequential(
            conv_block(2, fold**2, 2 * widths[0], norm=norm), conv_block(2, 2 * widths[0], widths[0], norm=norm)
        )
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(2, a, b, norm=norm, stride=2), conv_block(2, b, b, norm=norm))
            for a, b in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps, fine to coarse."""
        levels = [self.stem(functional.pixel_unshuffle(x, self.fold))]
        for down in self.down:
            levels.append(down(levels[-1]))
        return levels


class DenseViewEncoder(nn.Module):
    """(B, 1, R, C) -> maps of 64, 128, 256, 512, 512 and 704 channels at R, R / 2 ... R / 32: a DenseNet.

    7 x 7 convolution, then five times: normalisation, ReLU, 3 x 3 convolution of stride 2, a dense block of 6, 12, 24, 16, 6
    layers (growth 32), and, but for the last, a 1 x 1 convolution to half the channels. (The encoder of PSCT-Net as released;
    DenseNet-121 of Huang et al., arXiv 1608.06993, in its numbers of layers.)
    """

    def __init__(self, *, norm: str = "batch") -> None:
        super().__init__()
        self.stem = conv_layer(2, 1, DENSE_VIEW_STEM, size=7)
        self.stages = nn.ModuleList()
        width, widths = DENSE_VIEW_STEM, [DENSE_VIEW_STEM]
        for number, layers in enumerate(DENSE_LAYERS):
            block = DenseBlock(2, width, layers=layers, norm=norm)
            last = number == len(DENSE_LAYERS) - 1
            after = block.outputs if last else block.outputs // 2
            self.stages.append(
                nn.Sequential(
                    norm_layer(2, norm, width),
                    nn.ReLU(),
                    conv_layer(2, width, width, stride=2),
                    block,
                    nn.Identity() if last else conv_layer(2, block.outputs, after, size=1),
                )
            )
            width = after
            widths.append(width)
        self.widths = tuple(widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps, fine to coarse."""
        levels = [self.stem(x)]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        return levels
