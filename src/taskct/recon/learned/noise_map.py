"""How noisy an image is, place by place: from the two halves of its scan, or from the image alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

WIDTH_MM = 8.0  # of the Gaussian over which noise is averaged
EVERY = 2  # the noise is measured at every second pixel of each axis
LEAST_HU = 0.5  # added to the map, so that no part of an image counts as free of noise
_CUT_HU = 3000.0  # metal must not lift the noise of the whole slice
_REACH = 3.0  # standard deviations of the Gaussian that are summed
_ROOT_MOMENT = 2**0.25 * math.gamma(0.75) / math.sqrt(math.pi)  # E |x|^(1/2) of a standard normal x
BEND_SHARE = 0.85  # of the standard deviation of ramp-filtered noise that `bends` sees, on pixels of .75 mm


def noise_from_halves(difference_hu: Tensor, pixel_mm: float) -> Tensor:
    """Standard deviation of the noise in HU, (B, 1, Y, X), from half the difference of two half-scans' images.

    The mean of two images with independent noise and half their difference have the same noise; the anatomy is in the mean
    alone. The squares are averaged over a Gaussian of 8 mm, so every `EVERY`-th pixel of the difference is enough. Scales with
    its input, but for the .5 HU that are added.
    """
    square = difference_hu.clamp(-_CUT_HU, _CUT_HU).square()
    return _smooth(square, WIDTH_MM / pixel_mm).clamp_min(0).sqrt() + LEAST_HU


def on_every_pixel(noise: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A map of every `EVERY`-th pixel on all of them: (B, 1, y, x) -> (B, 1, *shape)."""
    every = noise.repeat_interleave(EVERY, -2).repeat_interleave(EVERY, -1)
    return every[..., : shape[0], : shape[1]]


def noise_from_image(image_hu: Tensor, pixel_mm: float) -> Tensor:
    """The same from one image: second differences along both axes, whose roots are averaged so that edges count little.

    Assumes ramp-filtered noise on pixels of about .75 mm; images of smoother kernels are given less noise than they have.
    """
    return (_smooth(bends(image_hu).abs().sqrt(), WIDTH_MM / pixel_mm) / _ROOT_MOMENT).square() / BEND_SHARE + LEAST_HU


def bends(image: Tensor) -> Tensor:
    """Mixed second differences, scaled to keep the standard deviation of white noise: (B, 1, Y, X) -> the same."""
    row = image.new_tensor([1.0, -2.0, 1.0])
    kernel = (row[:, None] * row[None, :] / 6)[None, None]
    return functional.conv2d(functional.pad(image, (1, 1, 1, 1), mode="replicate"), kernel)


def _smooth(x: Tensor, sigma: float) -> Tensor:
    """Gaussian mean over the pixels that exist: at the border the weights are those inside the image."""
    reach = max(1, math.ceil(_REACH * sigma))
    at = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    bell = torch.exp(-0.5 * (at / sigma) ** 2)
    bell = bell / bell.sum()
    for down in (True, False):
        kernel = bell.view(1, 1, -1, 1) if down else bell.view(1, 1, 1, -1)
        padding = (reach, 0) if down else (0, reach)
        ones = torch.ones_like(x[:1, :1, :, :1] if down else x[:1, :1, :1])
        x = functional.conv2d(x, kernel, padding=padding) / functional.conv2d(ones, kernel, padding=padding)
    return x
