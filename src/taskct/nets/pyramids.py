"""Encoders that return a pyramid: maps of an image from fine to coarse, which several heads can share.

An encoder is any module with `forward(x) -> list of maps`, `widths` (channels of each map) and `strides` (pixels of the image
to a sample of each map). Sizes that do not divide by a stride are rounded up or down as the layers do; heads follow the maps.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets.blocks import check_widths, norm_layer


@runtime_checkable
class Pyramid(Protocol):
    """What heads need to know of an encoder."""

    widths: tuple[int, ...]
    strides: tuple[int, ...]

    def __call__(self, x: Tensor) -> list[Tensor]:
        """(B, C, Y, X) -> maps (B, widths[k], Y / strides[k], X / strides[k]), fine to coarse."""


class SmallPyramid(nn.Module):
    """Pairs of convolutions, halved in size from scale to scale: quick on a laptop.

    With `fold` 2 or 4, blocks of that many pixels are channels of the first scale (Shi et al., CVPR 2016): strides begin at
    `fold`, and a step takes a third of the time or less.

    >>> import torch
    >>> [tuple(m.shape) for m in SmallPyramid(widths=(4, 8))(torch.zeros(1, 1, 10, 12))]
    [(1, 4, 10, 12), (1, 8, 5, 6)]
    """

    def __init__(
        self, in_channels: int = 1, *, widths: Sequence[int] = (16, 32, 64, 96), fold: int = 1, norm: str = "batch"
    ) -> None:
        super().__init__()
        _check_channels("SmallPyramid", in_channels)
        check_widths(widths, who="SmallPyramid")
        if fold not in (1, 2, 4):
            raise ConfigError(f"SmallPyramid expects fold 1, 2 or 4, got {fold!r}")
        self.widths, self.fold = tuple(widths), fold
        self.strides = tuple(fold * 2**k for k in range(len(widths)))
        self.levels = nn.ModuleList(
            _convolutions(a, b, 1 if k == 0 else 2, norm=norm, bias=False)
            for k, (a, b) in enumerate(itertools.pairwise((in_channels * fold**2, *widths)))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, Y, X) -> maps, fine to coarse. Sizes that do not divide by `fold` are filled up with zeros."""
        if self.fold > 1:
            down, right = (-n % self.fold for n in x.shape[2:])
            x = nn.functional.pixel_unshuffle(nn.functional.pad(x, (0, right, 0, down)), self.fold)
        return _climb(self.levels, x)


class VGG13(nn.Module):
    """The convolutions of VGG-13 with batch normalisation: five maps of stride 1, 2, 4, 8, 16.

    Simonyan and Zisserman, arXiv 1409.1556, Table 1, column B: pairs of 3 x 3 convolutions of 64, 128, 256, 512, 512 channels,
    with 2 x 2 maxima between. With three channels of input it has the 9,410,880 weights of the published network before its
    classifier.
    """

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        _check_channels("VGG13", in_channels)
        self.widths, self.strides = (64, 128, 256, 512, 512), (1, 2, 4, 8, 16)
        self.levels = nn.ModuleList(
            _convolutions(a, b, 2, norm="batch", bias=True) for a, b in itertools.pairwise((in_channels, *self.widths))
        )
        _he(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, Y, X) -> five maps, fine to coarse."""
        return _climb(self.levels, x)


class ResNet50(nn.Module):
    """The convolutions of ResNet-50: five maps of stride 2, 4, 8, 16, 32.

    He et al., CVPR 2016, Table 1: a 7 x 7 stem, then 3, 4, 6, 3 bottlenecks of 64, 128, 256, 512 channels that widen four
    times; the stride lies in the 3 x 3 convolution, as in the usual weights. With three channels of input it has the
    23,508,032 weights of the published network before its last layer.
    """

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        _check_channels("ResNet50", in_channels)
        self.widths, self.strides = (64, 256, 512, 1024, 2048), (2, 4, 8, 16, 32)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, inputs = [], 64
        for stage, (width, count) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True)):
            blocks = []
            for k in range(count):
                blocks.append(_Bottleneck(inputs, width, stride=2 if stage and k == 0 else 1))
                inputs = 4 * width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        _he(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, Y, X) -> five maps, fine to coarse."""
        maps = [self.stem(x)]
        for k, stage in enumerate(self.stages):
            maps.append(stage(self.pool(maps[0]) if k == 0 else maps[-1]))
        return maps


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != 4 * width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        return (self.shortcut(x) + self.body(x)).relu()


def _convolutions(inputs: int, outputs: int, count: int, *, norm: str, bias: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k in range(count):
        layers += [
            nn.Conv2d(inputs if k == 0 else outputs, outputs, 3, padding=1, bias=bias),
            norm_layer(2, norm, outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _climb(levels: nn.ModuleList, x: Tensor) -> list[Tensor]:
    if min(x.shape[2:]) < 2 ** (len(levels) - 1):
        raise GeometryError(
            f"a pyramid of {len(levels)} maps expects images of {2 ** (len(levels) - 1)} samples or more along each axis, got "
            f"{tuple(x.shape[2:])}"
        )
    maps: list[Tensor] = []
    for level in levels:
        maps.append(level(nn.functional.max_pool2d(maps[-1], 2) if maps else x))
    return maps


def _check_channels(who: str, in_channels: int) -> None:
    if in_channels < 1:
        raise ConfigError(f"{who} expects in_channels of 1 or more, got {in_channels}")


def _he(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


PYRAMIDS = {"small": SmallPyramid, "vgg13": VGG13, "resnet50": ResNet50}
