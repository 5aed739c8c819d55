"""The PatchGAN discriminator: is each patch of an image a real one?"""

from __future__ import annotations

from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets.blocks import norm_layer

_MOST_WIDENINGS = 3  # 64, 128, 256, 512 channels as published, then no more


class PatchDiscriminator(nn.Module):
    """Image (B, in_channels, [Z,] Y, X) -> one number for each patch, (B, 1, ...), about 1 for real and 0 for made images.

    Convolutions of 4 samples: `layers` of stride 2, one of stride 1 and the answer, with leaky ReLU 0.2 and normalisation but
    in the first and the last; widths `width`, 2 `width` ... 8 `width`; weights drawn from N(0, 0.02). With 3 layers a number
    speaks of 70 samples along each axis. A condition, such as a projection image that belongs to a volume, goes into further
    channels. (Isola et al., CVPR 2017, arXiv 1611.07004, appendix 6.1.2; in three dimensions as in X2CT-GAN, Ying et al.,
    CVPR 2019.)

    Raises GeometryError for an image smaller than 3 * 2^layers along an axis.

    >>> import torch
    >>> PatchDiscriminator(dims=2, width=4)(torch.zeros(2, 1, 32, 40)).shape
    torch.Size([2, 1, 2, 3])
    """

    def __init__(
        self, in_channels: int = 1, *, width: int = 64, layers: int = 3, norm: str = "instance", dims: int = 3
    ) -> None:
        super().__init__()
        if dims not in (2, 3) or min(in_channels, width, layers) < 1:
            raise ConfigError(
                f"PatchDiscriminator expects dims 2 or 3 and in_channels, width and layers of 1 or more, got {dims}, "
                f"{in_channels}, {width}, {layers}"
            )
        self.dims, self.smallest = dims, 3 * 2**layers
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        blocks: list[nn.Module] = []
        inputs = in_channels
        for number in range(layers + 1):
            outputs = width * 2 ** min(number, _MOST_WIDENINGS)
            blocks.append(convolution(inputs, outputs, 4, stride=2 if number < layers else 1, padding=1))
            if number:
                blocks.append(norm_layer(dims, norm, outputs))
            blocks.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        blocks.append(convolution(inputs, 1, 4, padding=1))
        self.blocks = nn.Sequential(*blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, ...) -> (B, 1, ...)."""
        if x.ndim != 2 + self.dims or min(x.shape[2:]) < self.smallest:
            raise GeometryError(
                f"PatchDiscriminator expects images (B, C, ...) of {self.dims} axes of {self.smallest} samples or more, got "
                f"{tuple(x.shape)}; take fewer layers for smaller images"
            )
        return self.blocks(x)
