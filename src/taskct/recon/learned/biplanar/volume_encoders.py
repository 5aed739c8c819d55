"""3D encoders of what is known as a volume: radiographs spread along their rays, and an image that is to be improved."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from taskct.nets import DenseBlock, fold_volume
from taskct.nets.blocks import concatenate, conv_block, conv_layer, norm_layer
from taskct.recon.learned.biplanar.view_encoders import DENSE_LAYERS


class PlainVolumeEncoder(nn.Module):
    """(B, inputs, Z, Y, X) -> features of `widths` channels at Z / fold, Z / (2 fold) ...

    `beside` are channels that come in at each level, such as the maps of the views along their rays.
    """

    def __init__(
        self, inputs: int, widths: Sequence[int], *, beside: Sequence[int], fold: int = 2, norm: str = "instance"
    ) -> None:
        super().__init__()
        self.fold, self.inputs = fold, inputs
        self.stem = conv_block(3, inputs * fold**3 + beside[0], widths[0], norm=norm)
        self.down = nn.ModuleList(conv_block(3, a, b, norm=norm, stride=2) for a, b in itertools.pairwise(widths))
        self.mix = nn.ModuleList(conv_block(3, b + more, b, norm=norm) for b, more in zip(widths[1:], beside[1:], strict=True))

    def forward(self, x: Tensor | None, beside: Sequence[Tensor]) -> list[Tensor]:
        """Features, fine to coarse. `beside` has an entry for each level, or none."""
        first = [fold_volume(x, self.fold)] if x is not None else []
        levels = [self.stem(concatenate(*first, *beside[:1]))]
        for number, (down, mix) in enumerate(zip(self.down, self.mix, strict=True), 1):
            levels.append(mix(concatenate(down(levels[-1]), *beside[number : number + 1])))
        return levels


class DenseVolumeEncoder(nn.Module):
    """(B, inputs, Z, Y, X) -> features of 16, 16, 32, 64, 128, 256 channels at Z, Z / 2 ... Z / 32.

    7^3 convolution, then five times: normalisation, ReLU, convolution of stride 2, a dense block, 1^3 convolution to the
    level's width. What comes in `beside` a level is narrowed to half its width by a 3^3 convolution and concatenated; it
    is taken at all levels but the first and the last. (PSCT-Net as released: BP-I in, BP-C beside.)
    """

    def __init__(self, inputs: int, widths: Sequence[int], *, beside: Sequence[int], norm: str = "batch") -> None:
        super().__init__()
        self.stem = conv_layer(3, inputs, widths[0], size=7)
        self.stages, self.narrow = nn.ModuleList(), nn.ModuleList()
        width = widths[0]
        for number, (layers, after) in enumerate(zip(DENSE_LAYERS, widths[1:], strict=True), 1):
            block = DenseBlock(3, width, layers=layers, norm=norm)
            self.stages.append(
                nn.Sequential(
                    norm_layer(3, norm, width),
                    nn.ReLU(),
                    conv_layer(3, width, width, stride=2),
                    block,
                    conv_layer(3, block.outputs, after, size=1),
                )
            )
            taken = beside[number] and number < len(DENSE_LAYERS)
            self.narrow.append(conv_layer(3, beside[number], after // 2) if taken else nn.Identity())
            width = after + after // 2 if taken else after
        self.widths = tuple(widths)

    def forward(self, x: Tensor | None, beside: Sequence[Tensor]) -> list[Tensor]:
        """Features, fine to coarse, without what came in beside them."""
        assert x is not None
        y = self.stem(x)
        levels = [y]
        for number, (stage, narrow) in enumerate(zip(self.stages, self.narrow, strict=True), 1):
            y = stage(y)
            levels.append(y)
            if not isinstance(narrow, nn.Identity):
                y = concatenate(y, narrow(beside[number]))
        return levels
