"""Checkerboards and other peaks in the spectrum of what a method adds to the full-dose image.

Networks that fold pixels into channels or stride over them paint patterns of period 2 and 4 pixels, which a frozen reader may
like and an eye does not. They stand as narrow peaks at 1/2 and 1/4 cycle per pixel. The statistic of a peak is its power over
what a smooth surface (quadratic in the logarithm) through the bins round it predicts there, over the same of the full-dose
image, whose own edges may make ridges. How large it gets by chance is measured on noise of the same smooth spectrum.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.seeds import derive_seed
from taskct.evaluation.noise_power_spectrum import noise_power_spectrum

PERIODS_PX = (2, 4)
_NEAR, _ROUND = 1, 6  # bins of the peak, and of the neighbourhood that it is compared with
_STEPS = np.arange(-_ROUND, _ROUND + 1)
_DY, _DX = np.meshgrid(_STEPS, _STEPS, indexing="ij")
_FAR = np.maximum(np.abs(_DY), np.abs(_DX)) > _NEAR + 1
_SURFACE = np.stack([np.ones_like(_DY), _DY, _DX, _DY**2, _DX**2, _DY * _DX], axis=-1)[_FAR].astype(float)
_LEVEL = np.linalg.pinv(_SURFACE)[0]  # what the bins of a neighbourhood weigh in the height of their quadratic at its middle


@dataclass(frozen=True)
class ArtefactReport:
    """Peaks over their neighbourhood, {frequency (y, x) in cycles per pixel: ratio}, against a calibrated threshold.

    `false_alarm_rate` is the share of noise images, not those of the calibration, whose highest peak passes the threshold.
    """

    peaks: dict[str, float]
    threshold: float
    false_alarm_rate: float
    images: int
    spectrum: dict[str, list[float]] = field(default_factory=dict, repr=False)

    @property
    def found(self) -> dict[str, float]:
        """Peaks above the threshold, the highest first."""
        high = {name: ratio for name, ratio in self.peaks.items() if ratio > self.threshold}
        return dict(sorted(high.items(), key=lambda kv: -kv[1]))

    def __str__(self) -> str:
        if not self.found:
            return f"no checkerboard (highest peak {max(self.peaks.values()):.2f}, threshold {self.threshold:.2f})"
        name, ratio = next(iter(self.found.items()))
        return f"checkerboard at {name} cycles per pixel: {ratio:.1f} times its surroundings, threshold {self.threshold:.2f}"


def spectrum_ratio(images_hu: Tensor, full_hu: Tensor, *, spacing_mm: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Radially averaged power of images over that of the full-dose ones: (B, 1, Y, X) twice -> frequency in 1/mm, ratio.

    Below 1: texture is lost; above 1: noise or invented detail.
    """
    frequency, ours = noise_power_spectrum(_tapered(images_hu), spacing_mm=spacing_mm)
    _, theirs = noise_power_spectrum(_tapered(full_hu), spacing_mm=spacing_mm)
    return frequency, ours / theirs


def find_checkerboards(
    images_hu: Tensor,
    full_hu: Tensor,
    *,
    periods_px: tuple[int, ...] = PERIODS_PX,
    false_alarm_rate: float = 0.01,
    trials: int = 200,
    seed: int = 0,
) -> ArtefactReport:
    """Search the difference to full dose, (B, 1, Y, X) each, for peaks at multiples of 1/period cycle per pixel.

    The threshold is the `1 - false_alarm_rate` quantile of the highest peak among `trials` sets of noise with the spectrum
    of this difference, smoothed so that no peak is left in it; another `trials` sets measure the rate. Raises
    GeometryError for images of fewer than 32 pixels a side, where peaks and neighbourhoods overlap.
    """
    if images_hu.shape != full_hu.shape or images_hu.ndim != 4 or min(images_hu.shape[-2:]) < 32:
        raise GeometryError(
            f"find_checkerboards expects two (B, 1, Y, X) of 32 x 32 pixels or more, got {tuple(images_hu.shape)} and "
            f"{tuple(full_hu.shape)}"
        )
    if not 0 < false_alarm_rate < 1 or trials < 20:
        raise InputError(f"expected 0 < false_alarm_rate < 1 and trials >= 20, got {false_alarm_rate!r} and {trials!r}")
    if not (bool(images_hu.isfinite().all()) and bool(full_hu.isfinite().all())):
        raise InputError("find_checkerboards expects finite images: with NaN in them no peak would pass the threshold")
    power, own = (_power(x.double()) for x in (images_hu - full_hu, full_hu))
    places = _places(power.shape, periods_px)
    at = np.array(list(places.values()))
    peaks = dict(zip(places, (_peaks(power, at) / np.maximum(1.0, _peaks(own, at))).tolist(), strict=True))
    shape = np.sqrt(_smooth(power, list(places.values())))
    highest = [float(_peaks(one, at).max()) for one in _noise_powers(shape, min(len(images_hu), 16), 2 * trials, seed)]
    threshold = float(np.quantile(highest[:trials], 1 - false_alarm_rate))
    measured = float(np.mean(np.array(highest[trials:]) > threshold))
    return ArtefactReport(peaks, threshold, measured, len(images_hu))


def _places(shape: tuple[int, ...], periods: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Bins (y, x) of all frequencies k / period, half of the plane; their names are 'y, x' in cycles per pixel."""
    steps = sorted({k / p for p in periods for k in range(p // 2 + 1)})
    signed = sorted({*steps, *(-s for s in steps if 0 < s < 0.5)})
    found = {}
    for fy, fx in itertools.product(steps, signed):
        if (fy == 0 and fx <= 0) or (fy == 0.5 and fx < 0):
            continue
        found[f"{fy:g}, {fx:g}"] = (round(fy * shape[0]) % shape[0], round(fx * shape[1]) % shape[1])
    return found


def _peaks(power: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Mean power of the bins at places (N, 2) over what those round each predict there, (N,); the spectrum is periodic."""
    rows, cols = ((places[:, k, None] + _STEPS) % power.shape[k] for k in (0, 1))
    patches = np.log(power + 1e-300)[rows[:, :, None], cols[:, None, :]]
    level = patches[:, _FAR] @ _LEVEL  # the surface at the places themselves
    middle = slice(_ROUND - _NEAR, _ROUND + _NEAR + 1)
    return np.asarray(np.exp(patches[:, middle, middle]).mean((1, 2)) / np.exp(level))


def _smooth(power: np.ndarray, places: list[tuple[int, int]]) -> np.ndarray:
    """The spectrum without narrow peaks: its logarithm under a Gaussian, the bins of the places left out."""
    from scipy.ndimage import gaussian_filter

    counts = np.ones(power.shape)
    for y, x in places:
        for sign in (1, -1):
            rows, cols = (
                np.arange(sign * c - _NEAR - 1, sign * c + _NEAR + 2) % n for c, n in zip((y, x), power.shape, strict=True)
            )
            counts[np.ix_(rows, cols)] = 0.0
    blur = lambda values: gaussian_filter(values, 2.0, mode="wrap")
    return np.asarray(np.exp(blur(counts * np.log(power + 1e-300)) / np.maximum(blur(counts), 1e-9)))


def _noise_powers(shape: np.ndarray, images: int, trials: int, seed: int) -> list[np.ndarray]:
    """Mean spectra of `trials` sets of tapered Gaussian noise with spectrum `shape` squared."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "noise of a spectrum"))
    weights = torch.from_numpy(shape).float()
    found = []
    for _ in range(trials):
        white = torch.randn(images, *shape.shape, generator=generator)
        coloured = torch.fft.ifft2(torch.fft.fft2(white) * weights).real
        found.append(_power(coloured[:, None]))
    return found


def _power(images: Tensor) -> np.ndarray:
    """Mean power (Y, X) of tapered images."""
    return torch.fft.fft2(_tapered(images)[:, 0]).abs().square().mean(0).double().cpu().numpy()


def _tapered(images: Tensor) -> Tensor:
    """Each image minus its mean, under a Hann window, so that its borders make no cross in the spectrum."""
    values = images - images.mean((-2, -1), keepdim=True)
    rows, cols = (torch.hann_window(n, periodic=False, dtype=values.dtype, device=values.device) for n in images.shape[-2:])
    return values * rows[:, None] * cols
