"""Model observers: how well a linear observer tells a lesion from its absence, with an interval, and as a task penalty.

Regions are (N, Y, X), with the lesion and without. An observer turns each into J numbers; with mean difference dv and
within-class covariance K its detectability is

    d'^2 = dv^T K^-1 dv        area under the ROC curve = Phi(d' / sqrt 2)

Hotelling observers choose the best weights K^-1 dv of their channels (Barrett & Myers, Foundations of Image Science, ch. 13);
the non-prewhitening observer with an eye filter (NPWE) uses the known signal as its one channel (Burgess, JOSA A 11:1237
(1994)). All of it is differentiable in the regions, intervals apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError


@dataclass(frozen=True)
class Detectability:
    """d' corrected for the number of regions, with its interval (exact for normal responses) and the area under the curve.

    `squared` is the unbiased d'^2, which may fall below 0 where there is little to see.
    """

    squared: float
    low: float
    high: float
    present: int
    absent: int
    channels: int

    @property
    def d_prime(self) -> float:
        """The root of `squared`, 0 where that is negative."""
        return math.sqrt(max(self.squared, 0.0))

    @property
    def auc(self) -> float:
        """Area under the ROC curve of an observer with this d'."""
        return 0.5 * (1 + math.erf(self.d_prime / 2))


def responses(regions: Tensor, channels: Tensor) -> Tensor:
    """Inner products: regions (N, Y, X), channels (J, Y, X) -> (N, J)."""
    if regions.ndim != 3 or channels.ndim != 3 or regions.shape[1:] != channels.shape[1:]:
        raise GeometryError(f"regions and channels differ in size: {tuple(regions.shape)} and {tuple(channels.shape)}")
    return regions.flatten(1).to(torch.float64) @ channels.flatten(1).T.to(regions.device, torch.float64)


def squared_detectability(present: Tensor, absent: Tensor, *, ridge: float = 1e-9) -> Tensor:
    """Hotelling's d'^2 of responses (N, J) and (M, J) -> scalar, differentiable, as found (too high for few regions)."""
    _check_enough(present, absent)
    shift = present.mean(0) - absent.mean(0)
    pooled = _scatter(present) + _scatter(absent)
    cov = pooled / (len(present) + len(absent) - 2)
    power = cov.diagonal().mean()
    floor = torch.where(power > 0, ridge * power, torch.ones_like(power))  # a flat image: no spread and no difference
    cov = cov + floor * torch.eye(len(cov), dtype=cov.dtype, device=cov.device)
    return shift @ torch.linalg.solve(cov, shift)


def detectability(present: Tensor, absent: Tensor, channels: Tensor, *, level: float = 0.95) -> Detectability:
    """d' of a channelised Hotelling observer (or NPWE: its template as only channel), regions (N, Y, X) and (M, Y, X).

    The bias of few regions is removed and the interval is exact for normal responses of independent regions, since Hotelling's
    T^2 follows a non-central F (Wunderlich et al., IEEE Trans. Med. Imaging 34:453 (2015)). Regions of one patient are not
    independent: take one of each.
    """
    from scipy.optimize import brentq
    from scipy.special import ncfdtr

    v, w = responses(present, channels), responses(absent, channels)
    n, m, j = len(v), len(w), len(channels)
    found = float(squared_detectability(v, w))
    free, scale = n + m - j - 1, n * m / (n + m)
    if n + m - j - 3 <= 0:
        raise InputError(f"{n} + {m} regions are too few for {j} channels; give more than {j + 3} in all")
    value = found * scale * free / ((n + m - 2) * j)
    tail = (1 - level) / 2
    ends = []
    for q in (1 - tail, tail):
        below = lambda centre, q=q: float(ncfdtr(j, free, centre, value)) - q
        if below(1e-12) <= 0:  # even no difference at all gives values this small
            ends.append(0.0)
            continue
        top = 10.0 + 4 * value * j
        while below(top) > 0:
            top *= 2
        ends.append(math.sqrt(brentq(below, 1e-12, top) / scale))
    unbiased = (n + m - j - 3) / (n + m - 2) * found - j * (n + m) / (n * m)
    return Detectability(unbiased, ends[0], ends[1], n, m, j)


def noise_power_2d(noise: Tensor, *, pixel_mm: float) -> Tensor:
    """Noise power (Y, X), zero frequency first, of noise regions (N, Y, X): unit^2 mm^2, differentiable."""
    centred = noise - noise.mean((-2, -1), keepdim=True)
    return torch.fft.fft2(centred).abs().square().mean(0) * (pixel_mm**2 / (noise.shape[-2] * noise.shape[-1]))


def npwe_from_spectrum(signal: Tensor, noise_power: Tensor, *, pixel_mm: float, peak_per_mm: float = 0.4) -> Tensor:
    """d' of NPWE from a signal (Y, X) and a noise power (Y, X): differentiable in both, for stationary noise.

    d'^2 = [sum |S|^2 E^2]^2 / sum |S|^2 E^4 W, over frequencies, S and W the transforms of signal and noise power.
    """
    if signal.shape != noise_power.shape:
        raise GeometryError(f"signal and noise power differ in size: {tuple(signal.shape)}, {tuple(noise_power.shape)}")
    fy, fx = (torch.fft.fftfreq(n, pixel_mm, dtype=signal.dtype, device=signal.device) for n in signal.shape)
    f = (fy[:, None] ** 2 + fx[None] ** 2).sqrt()
    eye = f**1.3 * torch.exp(-(1.3 / (2 * peak_per_mm**2)) * f**2)
    power = (torch.fft.fft2(signal) * pixel_mm**2).abs().square()
    cell = 1 / (signal.shape[0] * signal.shape[1] * pixel_mm**2)
    above = ((power * eye**2).sum() * cell) ** 2
    return (above / ((power * eye**4 * noise_power).sum() * cell)).sqrt()


def _scatter(v: Tensor) -> Tensor:
    centred = v - v.mean(0)
    return centred.T @ centred


def _check_enough(present: Tensor, absent: Tensor) -> None:
    if present.ndim != 2 or absent.ndim != 2 or present.shape[1] != absent.shape[1]:
        raise GeometryError(f"responses expect (N, J) and (M, J), got {tuple(present.shape)} and {tuple(absent.shape)}")
    if min(len(present), len(absent)) < 2:
        raise InputError(f"an observer needs two regions or more of each kind, got {len(present)} and {len(absent)}")
