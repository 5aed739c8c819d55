"""Contrast of a region, and the task-transfer function from the edge of a disk: resolution at that contrast and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError


@dataclass(frozen=True)
class EdgeResponse:
    """Edge profile over distance from the edge (mm, outside positive), its transfer function over frequency (1/mm).

    `f50_per_mm` is where the transfer falls to one half, NaN if it does not below Nyquist. `contrast` is inside minus outside.
    """

    distance_mm: np.ndarray
    profile: np.ndarray
    frequency_per_mm: np.ndarray
    transfer: np.ndarray
    contrast: float

    @property
    def f50_per_mm(self) -> float:
        """Frequency at which the transfer is one half."""
        low = np.flatnonzero(self.transfer < 0.5)
        if len(low) == 0 or low[0] == 0:
            return float("nan")
        k = low[0]
        f, t = self.frequency_per_mm[k - 1 : k + 1], self.transfer[k - 1 : k + 1]
        return float(f[0] + (t[0] - 0.5) / (t[0] - t[1]) * (f[1] - f[0]))


def disk_edge(
    images: Tensor,
    *,
    centre_px: tuple[float, float],
    radius_mm: float,
    pixel_mm: float,
    reach_mm: float | None = None,
) -> EdgeResponse:
    """Radial edge of a disk, averaged over images (B, 1, Y, X) -> profile and task-transfer function.

    Values are binned by distance from the edge in tenths of a pixel, differentiated to a line spread under a Hann window of
    `reach_mm` (half the radius), and its transform is normalised to 1 at 0 (circular-edge method, Richard et al., Med. Phys.
    39:4115 (2012)). For non-linear methods it belongs to this contrast and noise. Raises InputError without any contrast.
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise GeometryError(f"disk_edge expects images (B, 1, Y, X), got {tuple(images.shape)}")
    reach = radius_mm / 2 if reach_mm is None else reach_mm
    y, x = np.mgrid[: images.shape[2], : images.shape[3]]
    distance = pixel_mm * np.hypot(y - centre_px[0], x - centre_px[1]) - radius_mm
    mean = images[:, 0].double().mean(0).cpu().numpy()
    step = 0.1 * pixel_mm
    bins = np.round(distance / step).astype(int)
    half = max(8, int(np.ceil(reach / step)))
    wanted = np.arange(-half, half + 1)
    near = np.abs(bins) <= half
    sums = np.bincount(bins[near] + half, weights=mean[near], minlength=2 * half + 1)
    counts = np.bincount(bins[near] + half, minlength=2 * half + 1)
    filled = counts > 0
    profile = np.interp(wanted, wanted[filled], sums[filled] / counts[filled])
    kernel = np.hanning(13)[1:-1]  # about a pixel: bins of few samples are uneven
    smooth = np.convolve(np.pad(profile, 5, mode="edge"), kernel / kernel.sum(), mode="valid")
    edge = max(3, half // 4)
    contrast = float(smooth[:edge].mean() - smooth[-edge:].mean())
    if not abs(contrast) > 0:
        raise InputError("disk_edge found no contrast between inside and outside; look at centre_px and radius_mm")
    spread = -np.gradient(smooth) * np.hanning(2 * half + 1)
    size = 8 * len(spread)
    transfer = np.abs(np.fft.rfft(spread, size))
    kernel_loss = np.abs(np.fft.rfft(kernel / kernel.sum(), size))  # what the smoothing itself took
    frequency = np.fft.rfftfreq(size, step)
    keep = frequency <= 0.5 / pixel_mm
    transfer = transfer[keep] / transfer[0] / np.maximum(kernel_loss[keep], 0.1)
    return EdgeResponse(wanted * step, smooth, frequency[keep], transfer, contrast)


def region_contrast(images: Tensor, inside: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast and contrast-to-noise ratio: images (B, 1, ...) and two bool masks of its shape -> two (B,).

    Contrast is the difference of the means; noise is the standard deviation outside. NaN where a mask is empty.
    """
    axes = tuple(range(1, images.ndim))
    values = images.double()
    part = lambda v, m: torch.where(m, v, 0.0).sum(axes) / m.sum(axes)
    low, high = part(values, outside), part(values, inside)
    centred = (values - low.reshape(-1, *[1] * (images.ndim - 1))) ** 2
    return high - low, (high - low) / part(centred, outside).sqrt()
