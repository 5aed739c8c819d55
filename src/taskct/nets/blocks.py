"""Layers that every network here is made of, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, unknown_name

MOST_SCALES = 17  # an image of 65,536 pixels is halved 16 times until one is left
NORMS = ("batch", "group", "instance", "none")


def check_widths(widths: Sequence[int], *, who: str) -> None:
    """Channels of the scales of a network that halves its images: two scales or more, and no more than can be halved."""
    if len(widths) < 2 or min(widths) < 1:
        raise ConfigError(f"{who} expects at least two positive widths, got {tuple(widths)}")
    if len(widths) > MOST_SCALES:
        raise ConfigError(
            f"{who} expects at most {MOST_SCALES} widths, each of half the size before, got {len(widths)} of them"
        )


def conv_layer(dims: int, inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> nn.Module:
    """A convolution that keeps the size of its image (divided by `stride`)."""
    if dims not in (2, 3):
        raise ConfigError(f"networks have dims 2 or 3, got {dims!r}")
    kind = nn.Conv2d if dims == 2 else nn.Conv3d
    return kind(inputs, outputs, size, stride=stride, padding=size // 2)


def norm_layer(dims: int, name: str, channels: int) -> nn.Module:
    """Normalisation by name: batch, group (8 channels a group), instance or none."""
    if name == "batch":
        return nn.BatchNorm2d(channels) if dims == 2 else nn.BatchNorm3d(channels)
    if name == "group":
        return nn.GroupNorm(max(1, channels // 8) if channels % max(1, channels // 8) == 0 else 1, channels)
    if name == "instance":
        return nn.InstanceNorm2d(channels, affine=True) if dims == 2 else nn.InstanceNorm3d(channels, affine=True)
    if name == "none":
        return nn.Identity()
    raise unknown_name("normalisation", name, NORMS)


def conv_block(dims: int, inputs: int, outputs: int, *, norm: str, slope: float = 0.2, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation, leaky ReLU."""
    return nn.Sequential(
        conv_layer(dims, inputs, outputs, stride=stride), norm_layer(dims, norm, outputs), nn.LeakyReLU(slope, inplace=True)
    )


def upsample_to(x: Tensor, like: Tensor) -> Tensor:
    """x (B, C, ...) interpolated linearly to the image size of `like`, so that odd sizes come back as they went."""
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    return _DenseGradient.apply(functional.interpolate(x, size=like.shape[2:], mode=mode, align_corners=True))


def concatenate(*parts: Tensor) -> Tensor:
    """Channels of several images side by side: (B, C1, ...), (B, C2, ...) -> (B, C1 + C2, ...)."""
    return torch.cat(parts, dim=1)


class _DenseGradient(torch.autograd.Function):
    """Identity with a dense gradient: that of a concatenation is a strided slice, on which interpolation is slow."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
        ctx.layout = torch.channels_last if last else torch.contiguous_format
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].contiguous(memory_format=ctx.layout)
