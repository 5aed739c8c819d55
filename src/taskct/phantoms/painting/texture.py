"""What lies on top of anatomy: tissue texture, which belongs to the patient, and scanner noise, which belongs to the image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from taskct.core.seeds import generator
from taskct.phantoms.painting.fields import Axes, LatticeField

STEPS_MM = (2.5, 7.0, 22.0)
_RESOLUTION_MM = 0.85  # sd of the kernel's blur
_SLOW_MM = 3.0  # slower than this, filtered back-projection leaves little noise


def texture_fields(seed: int) -> tuple[LatticeField, ...]:
    """The three fields (fine, middle, slow) that every tissue weights by its own amounts."""
    return tuple(LatticeField(seed, f"texture-{step}", step_mm=step, pixel_average=True) for step in STEPS_MM)


def texture_tables(amounts_hu: Mapping[int, tuple[float, float, float]]) -> tuple[np.ndarray, ...]:
    """SD in HU of the three fields by tissue number, as arrays that a map of tissues indexes."""
    made = np.zeros((3, max(amounts_hu) + 1), np.float32)
    for organ, amounts in amounts_hu.items():
        made[:, organ] = amounts
    return tuple(made)


def texture_hu(
    fields: tuple[LatticeField, ...], tables: tuple[np.ndarray, ...], organ: np.ndarray, z_mm: float, axes: Axes
) -> np.ndarray:
    """Texture of a slice in HU (Y, X), by the tissue that each pixel belongs to."""
    total = np.zeros(organ.shape, np.float32)
    for field, table in zip(fields, tables, strict=True):
        total += table[organ] * field.sample(z_mm, axes)
    return total


def scanner_noise_hu(seed: int, z_mm: float, axes: Axes, *, std_hu: float, organ: np.ndarray) -> np.ndarray:
    """Noise of the reference scan in HU (Y, X): correlated over about a millimetre, without its slow part.

    Drawn for the height (to 1 um) and the image grid, so a slice and a volume through the same height agree.
    Air and lung show less of it, as their rays meet less matter.
    """
    from scipy.ndimage import gaussian_filter

    drawn = torch.randn(organ.shape, generator=generator(seed, "scanner", round(z_mm * 1000), *organ.shape)).numpy()
    pixel = sum(axes.pixel_mm) / 2
    shaped = gaussian_filter(drawn, _RESOLUTION_MM / pixel, truncate=3) if pixel < 2 * _RESOLUTION_MM else drawn
    shaped = shaped - 0.8 * gaussian_filter(drawn, max(_SLOW_MM / pixel, 0.6), truncate=2.5)
    return np.asarray(shaped * np.float32(std_hu / _shaped_std(pixel)) * np.where(organ == 0, np.float32(0.6), np.float32(1)))


def _shaped_std(pixel_mm: float) -> float:
    """Standard deviation that the shaping leaves of unit white noise."""
    from scipy.ndimage import gaussian_filter

    impulse = np.zeros((33, 33))
    impulse[16, 16] = 1
    fast = gaussian_filter(impulse, _RESOLUTION_MM / pixel_mm, truncate=3) if pixel_mm < 2 * _RESOLUTION_MM else impulse
    return float(np.sqrt(((fast - 0.8 * gaussian_filter(impulse, max(_SLOW_MM / pixel_mm, 0.6), truncate=2.5)) ** 2).sum()))
