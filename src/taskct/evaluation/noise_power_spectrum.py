"""Noise texture: the noise power spectrum of a region."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError


def noise_power_spectrum(noise_hu: Tensor, *, spacing_mm: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Radially averaged noise power: square or oblong regions (B, 1, Y, X) -> frequency (n,) in 1/mm, power (n,) in HU^2 mm^2.

    NPS(f) = dx dy / (Nx Ny) |DFT(noise - mean)|^2, averaged over the batch, then over rings of one frequency step
    (ICRU Report 87; AAPM TG-233). `noise_hu` is noise alone: reconstruction minus truth, or the difference of two scans over
    sqrt(2). Rings end at the lower of the two Nyquist frequencies. Its integral over the plane is the variance.
    """
    if noise_hu.ndim != 4 or noise_hu.shape[1] != 1 or min(noise_hu.shape[-2:]) < 4:
        raise GeometryError(f"a noise region expects (B, 1, Y, X) of at least 4 x 4 pixels, got {tuple(noise_hu.shape)}")
    if not all(s > 0 for s in spacing_mm):
        raise InputError(f"spacing_mm expects positive lengths (y, x), got {spacing_mm!r}")
    power, frequency = power_spectrum_2d(noise_hu, spacing_mm=spacing_mm)
    steps = [1 / (n * s) for n, s in zip(noise_hu.shape[-2:], spacing_mm, strict=True)]
    width, top = max(steps), min(0.5 / s for s in spacing_mm)
    ring = np.round(frequency / width).astype(int)
    rings = range(1, int(np.floor(top / width + 1e-9)) + 1)  # ring 0 is the mean, which was subtracted
    centres = np.array([frequency[ring == r].mean() for r in rings])
    return centres, np.array([power[ring == r].mean() for r in rings])


def power_spectrum_2d(noise_hu: Tensor, *, spacing_mm: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Noise power (Y, X) in HU^2 mm^2, averaged over the batch, and the distance of each bin from zero frequency in 1/mm."""
    region = noise_hu[:, 0].double()
    region = region - region.mean((-2, -1), keepdim=True)
    dy, dx = spacing_mm
    rows, cols = region.shape[-2:]
    power = (torch.fft.fft2(region).abs() ** 2).mean(0) * (dy * dx / (rows * cols))
    frequency = np.hypot(np.fft.fftfreq(rows, dy)[:, None], np.fft.fftfreq(cols, dx)[None, :])
    return power.cpu().numpy(), frequency


def quiet_square(truth_hu: Tensor, allowed: Tensor, *, size: int) -> tuple[int, int] | None:
    """Corner (y, x) of the most uniform `size` x `size` square of a true image (Y, X) that lies wholly in `allowed`.

    None when no such square exists. Uniform means the least standard deviation.
    """
    rows, cols = truth_hu.shape
    if size > min(rows, cols):
        return None
    values = truth_hu.double()[None, None]
    pool = lambda x: torch.nn.functional.avg_pool2d(x, size, stride=1)[0, 0]
    centre = values.mean()
    variance = pool((values - centre) ** 2) - pool(values - centre) ** 2
    inside = pool(allowed.double()[None, None]) > 1 - 0.5 / size**2
    if not inside.any():
        return None
    place = int(torch.where(inside, variance, torch.inf).argmin())
    return place // variance.shape[1], place % variance.shape[1]
