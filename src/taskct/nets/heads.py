"""Heads on a shared pyramid: findings, class maps, an image, lesions as boxes. Each is `head(maps, x)`, x what was encoded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets.blocks import norm_layer
from taskct.nets.pyramids import Pyramid


class FindingsHead(nn.Module):
    """Logits of several findings, each on its own (multi-label): maps -> (B, findings).

    Mean and maximum over the image of every map from `from_stride` on: a small lesion is in the maximum, a diffuse one in the
    mean.
    """

    def __init__(self, pyramid: Pyramid, findings: int, *, dropout: float = 0.2, from_stride: int = 4) -> None:
        super().__init__()
        if findings < 1 or not 0 <= dropout <= 1:
            raise ConfigError(f"FindingsHead expects findings >= 1 and dropout from 0 to 1, got {findings!r} and {dropout!r}")
        self.chosen = [k for k, stride in enumerate(pyramid.strides) if stride >= from_stride] or [len(pyramid.strides) - 1]
        inputs = 2 * sum(pyramid.widths[k] for k in self.chosen)
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, findings))

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        """(B, findings)."""
        pooled = [part for k in self.chosen for part in (maps[k].mean((2, 3)), maps[k].amax((2, 3)))]
        return self.out(torch.cat(pooled, 1))


class Decoder(nn.Module):
    """From the coarsest map back to `stride` pixels: maps -> (B, outputs, Y / stride, X / stride).

    With `skips` each scale is joined by the encoder's map of it (U-Net); without, everything passes the coarsest map. Where
    the encoder's finest map is coarser than `stride`, the last convolution answers for all pixels of a sample.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        outputs: int,
        *,
        skips: bool = True,
        stride: int = 1,
        widest: int = 256,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        if outputs < 1:
            raise ConfigError(f"a decoder expects outputs of 1 or more, got {outputs!r}")
        if stride < 1 or stride & (stride - 1) or stride > pyramid.strides[-1]:
            raise ConfigError(f"a decoder expects a stride of 1, 2, 4 ... {pyramid.strides[-1]}, got {stride!r}")
        self.skips, self.stride = skips, stride
        self.scales = [k for k in range(len(pyramid.strides) - 2, -1, -1) if pyramid.strides[k] >= stride]
        self.steps = nn.ModuleList()
        inputs = pyramid.widths[-1]
        for k in self.scales:
            width = min(pyramid.widths[k], widest)
            self.steps.append(_block(inputs + (pyramid.widths[k] if skips else 0), width, norm=norm))
            inputs = width
        finest = pyramid.strides[self.scales[-1]] if self.scales else pyramid.strides[-1]
        self.ratio = max(1, finest // stride)
        self.out = nn.Conv2d(inputs, outputs * self.ratio**2, 3, padding=1)

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        """(B, outputs, Y / stride, X / stride)."""
        y = maps[-1]
        for k, step in zip(self.scales, self.steps, strict=True):
            y = functional.interpolate(y, size=maps[k].shape[2:], mode="nearest")
            y = step(torch.cat([y, maps[k]], 1) if self.skips else y)
        y = functional.pixel_shuffle(self.out(y), self.ratio) if self.ratio > 1 else self.out(y)
        size = [math.ceil(n / self.stride) for n in x.shape[2:]]
        if y.shape[2] >= size[0] and y.shape[3] >= size[1]:  # the encoder rounded up
            return y[:, :, : size[0], : size[1]]
        return functional.interpolate(y, size=size, mode="bilinear")


class SegmentHead(Decoder):
    """Logits of a class map, with skips: (B, classes, Y, X)."""

    def __init__(self, pyramid: Pyramid, classes: int, *, norm: str = "batch") -> None:
        super().__init__(pyramid, classes, norm=norm)


class RestoreHead(nn.Module):
    """An image of one channel: (B, 1, Y, X), in the units of the encoder's input.

    Without skips (the published auto-encoding) the image passes the coarsest map; with skips it would be copied. For an input
    of low dose and a truth of full dose, `correction` adds the answer to the input, and `skips` may be given.
    """

    def __init__(self, pyramid: Pyramid, *, skips: bool = False, correction: bool = False, norm: str = "batch") -> None:
        super().__init__()
        self.decoder, self.correction = Decoder(pyramid, 1, skips=skips, norm=norm), correction
        if correction:
            nn.init.zeros_(self.decoder.out.weight)
            if self.decoder.out.bias is not None:
                nn.init.zeros_(self.decoder.out.bias)

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        """(B, 1, Y, X); of several input channels the middle one is corrected."""
        y = self.decoder(maps, x)
        middle = x.shape[1] // 2
        return x[:, middle : middle + 1] + y if self.correction else y


class CentresHead(nn.Module):
    """Lesions as cells of `stride` pixels: {"centres": logits (B, classes, y, x), "boxes": (B, 4, y, x)}.

    Each cell says how surely a lesion of each class has its centre in it, and its box: log height, log width (in cells), and
    where in the cell the centre lies (logits of y, x). `taskct.task.centres` learns and decodes such answers.
    """

    def __init__(self, pyramid: Pyramid, classes: int, *, stride: int = 4, rare: float = 0.01, norm: str = "batch") -> None:
        super().__init__()
        if classes < 1 or not 0 < rare < 1:
            raise ConfigError(f"CentresHead expects classes >= 1 and 0 < rare < 1, got {classes!r} and {rare!r}")
        self.classes, self.stride = classes, stride
        self.decoder = Decoder(pyramid, classes + 4, stride=stride, norm=norm)
        assert self.decoder.out.bias is not None
        rare_bias = math.log(rare / (1 - rare))  # lesions are rare at first
        nn.init.constant_(self.decoder.out.bias[: classes * self.decoder.ratio**2], rare_bias)

    def forward(self, maps: Sequence[Tensor], x: Tensor) -> dict[str, Tensor]:
        """The answer of each cell."""
        if min(x.shape[2:]) < self.stride:
            raise GeometryError(f"cells of {self.stride} pixels expect a larger image than {tuple(x.shape[2:])}")
        y = self.decoder(maps, x)
        return {"centres": y[:, : self.classes], "boxes": y[:, self.classes :]}


def stride_for_cells(cell_mm: float, pixel_mm: float, *, most: int = 32) -> int:
    """The stride whose cells are nearest to `cell_mm` on a logarithmic scale: what counts is the cell in mm, not in pixels.

    >>> stride_for_cells(7.0, 2.0), stride_for_cells(7.0, 0.7), stride_for_cells(7.0, 8.0)
    (4, 8, 1)
    """
    if not cell_mm > 0 or not pixel_mm > 0:
        raise ConfigError(f"cells expect cell_mm and pixel_mm above 0, got {cell_mm!r} and {pixel_mm!r}")
    return 2 ** min(max(0, round(math.log2(cell_mm / pixel_mm))), int(math.log2(most)))


def _block(inputs: int, outputs: int, *, norm: str) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), norm_layer(2, norm, outputs), nn.ReLU(inplace=True)
    )
