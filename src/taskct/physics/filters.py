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

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from taskct.core.errors import ConfigError, GeometryError, unknown_name
from taskct.physics.kept import made_to_keep
from taskct.physics.native.filter import convolve_rows
from taskct.physics.operators import is_plain

FilterWindow = Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann"]
WINDOWS: tuple[FilterWindow, ...] = get_args(FilterWindow)
_CHUNK_VALUES = 2**24  # rows are transformed this many padded values at a time
_MATRIX_COLS = 900  # up to here one matrix product on a CPU is quicker than two transforms (measured: 1000 to 1100)


def ramp_filter(
    p: Tensor,
    *,
    pixel_mm: float | None = None,
    pixel_rad: float | None = None,
    window: FilterWindow = "ram-lak",
    frequency_scale: float = 1.0,
    factors: Sequence[Tensor] = (),
    pad: tuple[int, int] = (0, 0),
) -> Tensor:
    """Each row of columns convolved with the ramp kernel: (..., C) -> (..., C + sum(pad)), in 1/mm, or 1/rad.

    Give `pixel_mm` for columns that are evenly spaced on a plane, `pixel_rad` for columns evenly spaced in fan angle.
    `factors` multiply p first; each broadcasts against p's last dimensions. `pad` zero columns are put on both sides of the
    rows before, and the filtered rows reach into them. Nothing wraps round. Differentiable to any order in p; dtype and
    device follow p. Short rows on a CPU are multiplied with the filter's matrix, without its zeros where the compiled kernels
    serve; all others go through the real FFT.
    Raises ConfigError for an unknown window and a frequency_scale outside (0, 1], GeometryError for a negative pad. NaN and
    Inf stay in their row; how much of the row they reach differs between the three.

    >>> ramp_filter(torch.ones(1, 64), pixel_mm=1.0)[0, 32] < 0.02
    tensor(True)
    """
    if min(pad) < 0:
        raise GeometryError(f"ramp_filter expects pad >= 0 on both sides, got {pad}; cut columns off before")
    cols = p.shape[-1] + sum(pad)
    step = {"pixel_mm": pixel_mm, "pixel_rad": pixel_rad}
    # The matrix product obeys torch's switches for coarse arithmetic, which is not for projections.
    exact = p.dtype == torch.float64 or torch.get_float32_matmul_precision() == "highest"
    if p.device.type == "cpu" and cols <= _MATRIX_COLS and exact and p.dtype in (torch.float32, torch.float64):
        wanted: dict[str, Any] = {"window": window, "frequency_scale": frequency_scale, "dtype": p.dtype, **step}
        if not any(_is_recorded(one) for one in (p, *factors)):
            taps, every_other = made_to_keep(lambda: _ramp_taps(cols, **wanted))
            q = convolve_rows(p, factors, taps, pad=pad[0], every_other=every_other)
            if q is not None:
                return q
        matrix = made_to_keep(lambda: _ramp_matrix(cols, **wanted))
        return _multiply(p, factors, matrix[pad[0] : cols - pad[1]])
    for factor in factors:
        p = p * factor
    response = ramp_response(cols, window=window, frequency_scale=frequency_scale, **step).to(device=p.device, dtype=p.dtype)
    length = _padded_length(cols)
    rows = torch.nn.functional.pad(p, pad).reshape(-1, cols) if any(pad) else p.reshape(-1, cols)
    parts = [
        torch.fft.irfft(torch.fft.rfft(part, n=length) * response, n=length)[:, :cols]
        for part in rows.split(max(1, _CHUNK_VALUES // length))
    ]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(*p.shape[:-1], cols)


def ramp_response(
    cols: int,
    *,
    pixel_mm: float | None = None,
    pixel_rad: float | None = None,
    window: FilterWindow = "ram-lak",
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


def window_response(nyquist_fraction: Tensor, window: FilterWindow = "ram-lak", frequency_scale: float = 1.0) -> Tensor:
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


@functools.lru_cache(maxsize=8)
def _ramp_taps(
    cols: int,
    *,
    pixel_mm: float | None,
    pixel_rad: float | None,
    window: FilterWindow,
    frequency_scale: float,
    dtype: torch.dtype,
) -> tuple[Tensor, bool]:
    """The filter from its middle on, (C,), and whether its taps 2, 4, ... are 0, as those of the plain ramp are (eq. 3.61)."""
    response = ramp_response(cols, pixel_mm=pixel_mm, pixel_rad=pixel_rad, window=window, frequency_scale=frequency_scale)
    kernel = torch.fft.irfft(response, n=_padded_length(cols))[:cols].numpy()
    every_other = window == "ram-lak" and frequency_scale == 1
    n = np.arange(cols)
    used = (n == 0) | (n % 2 == 1) if every_other else n >= 0
    taps = np.zeros_like(kernel)
    taps[used] = _round_keeping_the_sum(kernel[used]) if dtype == torch.float32 else kernel[used]
    return torch.tensor(taps, dtype=dtype), every_other


@functools.lru_cache(maxsize=8)
def _ramp_matrix(cols: int, **wanted: Any) -> Tensor:
    """The filter as a matrix (C, C) that rows are multiplied with from the left."""
    taps = _ramp_taps(cols, **wanted)[0].numpy()
    both_sides = np.concatenate([taps[:0:-1], taps])  # distances from 1 - C to C - 1
    return torch.from_numpy(np.lib.stride_tricks.sliding_window_view(both_sides, cols)[::-1].copy())


def _round_keeping_the_sum(kernel: np.ndarray) -> np.ndarray:
    """One side of an even kernel in float32, each rounding error handed on to the next tap.

    The taps nearly cancel; rounded one by one, their sum (what becomes of the mean) would be wrong by 1e-5 of the image.
    """
    rounded, carry = np.empty(len(kernel), dtype=np.float32), 0.0
    for n, value in enumerate(kernel):
        rounded[n] = value + carry
        carry = value + carry - float(rounded[n])
        if n == 0:
            carry /= 2  # the others stand on both sides
    return rounded


def _multiply(p: Tensor, factors: Sequence[Tensor], matrix: Tensor) -> Tensor:
    """(p * factors) @ matrix, in full precision under autocast too."""
    cols, cols_out = matrix.shape
    with torch.autocast(p.device.type, enabled=False):
        for factor in factors:
            p = p * factor
        return (p.reshape(-1, cols) @ matrix).reshape(*p.shape[:-1], cols_out)


def _is_recorded(p: Tensor) -> bool:
    """True when p is more than numbers: differentiated, traced, batched by vmap."""
    if torch.compiler.is_compiling() or (p.requires_grad and torch.is_grad_enabled()):
        return True
    return not is_plain(p) or forward_ad.unpack_dual(p).tangent is not None


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
