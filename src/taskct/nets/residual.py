"""A plain residual network at full resolution: a reader of another kind than a U-Net."""

from __future__ import annotations

from torch import Tensor, nn

from taskct.nets.blocks import conv_layer, norm_layer


class ResidualNet(nn.Module):
    """Residual blocks with growing dilation, no down-sampling: (B, in_channels, ...) -> (B, out_channels, ...), any size.

    Dilations 1, 2, 4, 8 ... give the context that a U-Net has from its coarse scales (Yu and Koltun, ICLR 2016).

    >>> import torch
    >>> ResidualNet(1, 3, width=8, blocks=2)(torch.zeros(1, 1, 9, 10)).shape
    torch.Size([1, 3, 9, 10])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        width: int = 32,
        blocks: int = 6,
        norm: str = "batch",
        dims: int = 2,
    ) -> None:
        super().__init__()
        self.stem = conv_layer(dims, in_channels, width)
        self.blocks = nn.ModuleList(_Block(dims, width, norm, dilation=2 ** (i % 5)) for i in range(blocks))
        self.out = conv_layer(dims, width, out_channels, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, ...) -> (B, out_channels, ...)."""
        return self.out(self.scales(x)[-1])

    def scales(self, x: Tensor) -> list[Tensor]:
        """Feature maps after the stem and after each block: for feature losses."""
        features = [self.stem(x)]
        for block in self.blocks:
            features.append(block(features[-1]))
        return features


class _Block(nn.Module):
    def __init__(self, dims: int, width: int, norm: str, *, dilation: int) -> None:
        super().__init__()
        kind = nn.Conv2d if dims == 2 else nn.Conv3d
        self.body = nn.Sequential(
            norm_layer(dims, norm, width),
            nn.LeakyReLU(0.2),
            kind(width, width, 3, padding=dilation, dilation=dilation),
            norm_layer(dims, norm, width),
            nn.LeakyReLU(0.2),
            kind(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)
