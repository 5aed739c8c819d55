"""Ramp filters along the detector columns, as filtered back-projection needs them.

The ramp is built from its band-limited kernel in space, not sampled in frequency (Kak & Slaney 1988, section 3.3.3): sampling
|f| sets the mean of every row to zero, which darkens the whole image. With columns `d` apart (mm, or rad on a curved detector)

    h(0) = 1 / (4 d^2)      h(n) = -1 / (pi n d)^2 for odd n      h(n) = 0 for even n                    (eq. 3.61)

and on a curved detector h(n) is multiplied by (n d / sin(n d))^2 (eq. 3.98, without its factor 1/2). A window W then
multiplies the transform, where f is the frequency over the cut-off, itself `frequency_scale` times Nyquist; above it W = 0:

    ram-lak 1     shepp-logan sin(pi f/2) / (pi f/2)     cosine cos(pi f/2)
    hamming 0.54 + 0.46 cos(pi f)                        hann 0.5 + 0.5 cos(pi f)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, unknown_name

WINDOWS = ("ram-lak", "shepp-logan", "cosine", "hamming", "hann")
_CHUNK_VALUES = 2**24  # rows are filtered this many padded values at a time


def ramp_filter(
    p: Tensor,
    *,
    pixel_mm: float | None = None,
    pixel_rad: float | None = None,
    window: str = "ram-lak",
    frequency_scale: float = 1.0,
) -> Tensor:
    """Each row of columns convolved with the ramp kernel: (..., C) -> (..., C), in 1/mm (or 1/rad for a curved detector).

    Give `pixel_mm` for columns that are evenly spaced on a plane, `pixel_rad` for columns evenly spaced in fan angle.
    Rows are padded with zeros, so nothing wraps round. Differentiable to any order; dtype and device follow `p`.
    Raises ConfigError for an unknown window and a frequency_scale outside (0, 1].

    >>> ramp_filter(torch.ones(1, 64), pixel_mm=1.0)[0, 32] < 0.02
    tensor(True)
    """
    cols = p.shape[-1]
    response = ramp_response(cols, pixel_mm=pixel_mm, pixel_rad=pixel_rad, window=window, frequency_scale=frequency_scale).to(
        device=p.device, dtype=p.dtype
    )
    length = _padded_length(cols)
    rows = p.reshape(-1, cols)
    parts = [
        torch.fft.irfft(torch.fft.rfft(part, n=length) * response, n=length)[:, :cols]
        for part in rows.split(max(1, _CHUNK_VALUES // length))
    ]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(p.shape)


def ramp_response(
    cols: int,
    *,
    pixel_mm: float | None = None,
    pixel_rad: float | None = None,
    window: str = "ram-lak",
    frequency_scale: float = 1.0,
) -> Tensor:
    """What `ramp_filter` multiplies the real FFT of a padded row with, float64 (L // 2 + 1,), in 1/mm (or 1/rad)."""
    if (pixel_mm is None) == (pixel_rad is None):
        raise GeometryError("a ramp filter expects one of pixel_mm (flat detector) and pixel_rad (curved detector)")
    step = pixel_mm if pixel_mm is not None else pixel_rad
    assert step is not None
    if not (math.isfinite(step) and step > 0):
        raise GeometryError(f"a ramp filter expects a column spacing > 0, got {step!r}")
    length = _padded_length(cols)
    n = torch.arange(length, dtype=torch.float64)
    n = torch.minimum(n, length - n)  # distance on the padded circle
    place = math.pi * n * step if pixel_rad is None else math.pi * torch.sin(n * step)
    kernel = torch.where((n % 2 == 1) & (n < cols), -1 / place**2, torch.zeros(()).double())
    kernel[0] = 1 / (4 * step**2)
    nyquist_fraction = torch.arange(length // 2 + 1, dtype=torch.float64) * 2 / length
    return torch.fft.rfft(kernel).real * step * window_response(nyquist_fraction, window, frequency_scale)


def window_response(nyquist_fraction: Tensor, window: str = "ram-lak", frequency_scale: float = 1.0) -> Tensor:
    """The window at frequencies given as fractions of Nyquist, same shape: 1 at zero, 0 beyond `frequency_scale`.

    >>> window_response(torch.tensor([0.0, 0.5, 1.0]), "hann")
    tensor([1.0000, 0.5000, 0.0000])
    """
    if window not in WINDOWS:
        raise unknown_name("window", window, WINDOWS)
    if not 0 < frequency_scale <= 1:
        raise ConfigError(f"frequency_scale expects a fraction of Nyquist in (0, 1], got {frequency_scale!r}")
    f = nyquist_fraction / frequency_scale
    shape = {
        "ram-lak": torch.ones_like(f),
        "shepp-logan": torch.sinc(f / 2),
        "cosine": torch.cos(math.pi * f / 2),
        "hamming": 0.54 + 0.46 * torch.cos(math.pi * f),
        "hann": 0.5 + 0.5 * torch.cos(math.pi * f),
    }[window]
    return torch.where(f <= 1 + 1e-12, shape, torch.zeros_like(shape))


def _padded_length(cols: int) -> int:
    """The next even number with factors 2, 3 and 5 only that holds the row and the reach of the kernel."""
    length = 2 * cols
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 2
