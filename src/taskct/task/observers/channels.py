"""Channels of model observers: templates (J, Y, X) that a region of the image is weighed with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taskct.core.errors import ConfigError


def gabor_channels(size: int, *, pixel_mm: float, bands: int = 4, angles: int = 5, lowest_per_mm: float = 0.02) -> Tensor:
    """Gabor channels (bands * angles, size, size): octave bands from `lowest_per_mm`, even phase (Eckstein et al. 1998)."""
    _check_size(size, pixel_mm)
    centre = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2) * pixel_mm
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    found = []
    for band in range(bands):
        frequency = lowest_per_mm * 2**band * 1.5  # the middle of the octave
        width = 4 * math.log(2) / (math.pi**2 * (lowest_per_mm * 2**band) ** 2)
        for k in range(angles):
            turn = math.pi * k / angles
            wave = torch.cos(2 * math.pi * frequency * (x * math.cos(turn) + y * math.sin(turn)))
            found.append(torch.exp(-(x * x + y * y) / width) * wave)
    return _unit(torch.stack(found))


def difference_of_gaussians(size: int, *, pixel_mm: float, channels: int = 6, lowest_per_mm: float = 0.02) -> Tensor:
    """Dense difference-of-Gaussians channels (J, size, size), round (Abbey & Barrett, JOSA A 18:473 (2001))."""
    _check_size(size, pixel_mm)
    axis = torch.fft.fftfreq(size, pixel_mm, dtype=torch.float64)
    square = axis[:, None] ** 2 + axis[None] ** 2
    found = []
    for j in range(channels):
        sigma = lowest_per_mm * 1.4**j
        response = torch.exp(-square / (2 * (1.67 * sigma) ** 2)) - torch.exp(-square / (2 * sigma**2))
        found.append(torch.fft.fftshift(torch.fft.ifft2(response).real))
    return _unit(torch.stack(found))


def npwe_template(signal: Tensor, *, pixel_mm: float, peak_per_mm: float = 0.4) -> Tensor:
    """The NPWE observer's template (1, Y, X) for a known signal (Y, X): filtered twice by the eye, E = f^1.3 exp(-c f^2).

    `peak_per_mm` is the frequency at which the eye is most sensitive: at 500 mm with fourfold magnification about 0.4/mm.
    """
    _check_size(min(signal.shape), pixel_mm)
    fy, fx = (torch.fft.fftfreq(n, pixel_mm, dtype=torch.float64) for n in signal.shape)
    f = (fy[:, None] ** 2 + fx[None] ** 2).sqrt()
    eye = f**1.3 * torch.exp(-(1.3 / (2 * peak_per_mm**2)) * f**2)
    eye = eye / eye.max()
    return _unit(torch.fft.ifft2(torch.fft.fft2(signal.double()) * eye**2).real[None])


def _unit(channels: Tensor) -> Tensor:
    return channels / channels.flatten(1).norm(dim=1)[:, None, None]


def _check_size(size: int, pixel_mm: float) -> None:
    if size < 3 or not pixel_mm > 0:
        raise ConfigError(f"channels expect a size of 3 pixels or more and pixel_mm > 0, got {size!r} and {pixel_mm!r}")
