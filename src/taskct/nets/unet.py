"""The U-Net, for denoising after reconstruction and for segmentation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets.blocks import check_widths, concatenate, conv_block, conv_layer, norm_layer, upsample_to


class UNet(nn.Module):
    """Encoder and decoder with skips: (B, in_channels, [Z,] Y, X) -> (B, out_channels, [Z,] Y, X), any image size.

    `widths` are the channels of each scale. `skip_channels` narrows the skips by a 1x1 convolution (None keeps them whole).
    With `residual` the input is added to the output, so that the untrained network changes little: the last convolution
    starts at zero. The defaults are the shape of DIVal's FBP+U-Net for LoDoPaB-CT (Leuschner et al., J. Imaging 7:44 (2021)):
    five scales, leaky ReLU 0.2, strided convolutions down, linear interpolation up, skips of 4 channels.

    `unshuffle` 2 folds blocks of 2 x 2 pixels into channels first and unfolds the answer (Shi et al., CVPR 2016): several
    times faster, at the price that checkerboards become cheap for the network to paint. The image size must divide by it.

    >>> import torch
    >>> UNet(widths=(8, 16))(torch.zeros(1, 1, 21, 30)).shape
    torch.Size([1, 1, 21, 30])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        widths: Sequence[int] = (32, 32, 64, 64, 128),
        skip_channels: int | None = 4,
        norm: str = "batch",
        dims: int = 2,
        residual: bool = False,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        if unshuffle < 1 or (unshuffle > 1 and dims != 2):
            raise ConfigError(f"UNet expects unshuffle 1, or more in two dimensions, got {unshuffle} with dims {dims}")
        check_widths(widths, who="UNet")
        if residual and in_channels != out_channels:
            raise ConfigError(
                f"a residual UNet adds its input, so in and out channels must match: {in_channels}, {out_channels}"
            )
        self.residual, self.unshuffle = residual, unshuffle
        folded = unshuffle**2
        self.stem = conv_block(dims, in_channels * folded, widths[0], norm=norm)
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(dims, a, b, norm=norm, stride=2), conv_block(dims, b, b, norm=norm))
            for a, b in itertools.pairwise(widths)
        )
        self.skip, self.up = nn.ModuleList(), nn.ModuleList()
        for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True):
            kept = high if skip_channels is None else skip_channels
            self.skip.append(nn.Identity() if skip_channels is None else _narrow(dims, high, kept, norm))
            self.up.append(
                nn.Sequential(conv_block(dims, low + kept, high, norm=norm), conv_block(dims, high, high, norm=norm))
            )
        self.out = conv_layer(dims, widths[0], out_channels * folded, size=1)
        if residual:
            nn.init.zeros_(self.out.weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, ...) -> (B, out_channels, ...)."""
        scales = self.scales(x)
        y = self.out(scales[-1])
        if self.unshuffle > 1:
            y = functional.pixel_shuffle(y, self.unshuffle)
        return x + y if self.residual else y

    def scales(self, x: Tensor) -> list[Tensor]:
        """Feature maps of every stage, encoder fine to coarse, then decoder coarse to fine: for feature losses."""
        if self.unshuffle > 1:
            if x.shape[-1] % self.unshuffle or x.shape[-2] % self.unshuffle:
                raise GeometryError(
                    f"a UNet with unshuffle {self.unshuffle} expects an image size that divides by it, got {tuple(x.shape)}"
                )
            x = functional.pixel_unshuffle(x, self.unshuffle)
        features = [self.stem(x)]
        for down in self.down:
            features.append(down(features[-1]))
        encoder, y = features[:], features[-1]
        for fine, skip, up in zip(encoder[-2::-1], self.skip, self.up, strict=True):
            y = up(concatenate(upsample_to(y, fine), skip(fine)))
            features.append(y)
        return features


def _narrow(dims: int, inputs: int, outputs: int, norm: str) -> nn.Module:
    return nn.Sequential(
        conv_layer(dims, inputs, outputs, size=1), norm_layer(dims, norm, outputs), nn.LeakyReLU(0.2, inplace=True)
    )
