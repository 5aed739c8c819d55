"""ResNet-18: from an image to a few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.nets.blocks import norm_layer


class ResNet(nn.Module):
    """Residual network with two convolutions a block: (B, in_channels, Y, X) of any size -> (B, outputs).

    The default is ResNet-18 (He et al., CVPR 2016, Table 1): 7 x 7 stem of stride 2, 3 x 3 maximum of stride 2, four stages of
    two blocks with widths 64, 128, 256, 512, mean over all pixels, one linear layer. `width` scales the stages; the stem
    takes one or two channels (or more) instead of three. A single row of pixels will do: it is a profile then.

    Raises ConfigError for impossible sizes.

    >>> ResNet(2, 1, width=8)(torch.zeros(3, 2, 1, 40)).shape
    torch.Size([3, 1])
    """

    def __init__(
        self,
        in_channels: int = 1,
        outputs: int = 1,
        *,
        width: int = 64,
        blocks: Sequence[int] = (2, 2, 2, 2),
        norm: str = "batch",
    ) -> None:
        super().__init__()
        if min(in_channels, outputs, width, *blocks) < 1:
            raise ConfigError(
                f"ResNet expects channels, outputs, width and blocks of 1 or more, got {in_channels}, {outputs}, {width}, "
                f"{tuple(blocks)}"
            )
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            norm_layer(2, norm, width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        layers: list[nn.Module] = []
        inputs = width
        for stage, count in enumerate(blocks):
            for k in range(count):
                layers.append(_Block(inputs, width << stage, stride=2 if stage and k == 0 else 1, norm=norm))
                inputs = width << stage
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, Y, X) -> (B, outputs)."""
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Mean over pixels of the last stage: (B, in_channels, Y, X) -> (B, 8 width)."""
        return self.stages(self.stem(x)).mean((2, 3))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, stride: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            norm_layer(2, norm, outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            norm_layer(2, norm, outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), norm_layer(2, norm, outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.body(x))
