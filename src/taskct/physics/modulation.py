"""Tube current over views and slices: what automatic exposure asks for, and what a tube can do.

Currents are photons per detector pixel through air, (slices, views) or (views,), as `Dose.photons` counts them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, InputError


@dataclass(frozen=True, kw_only=True)
class ScannerLimits:
    """What the tube can do, in photons: mA limits and how fast the current may change.

    `lowest_photons` and `highest_photons` stand for the least and the largest mA; `largest_step` is the largest factor between
    neighbouring views (1.02: 2 %), infinite when the tube follows at once. `full_turn` closes the circle of views.
    """

    lowest_photons: float = 1.0
    highest_photons: float = math.inf
    largest_step: float = math.inf
    full_turn: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.lowest_photons <= self.highest_photons:
            raise ConfigError(
                f"ScannerLimits expects 0 < lowest_photons <= highest_photons, got {self.lowest_photons!r} and "
                f"{self.highest_photons!r}"
            )
        if not self.largest_step > 1:
            raise ConfigError(f"ScannerLimits expects largest_step above 1 (a factor per view), got {self.largest_step!r}")

    def hold(self, photons: Tensor) -> Tensor:
        """The currents that the tube gives when these are asked for: (..., V) -> the same shape.

        Never fewer photons than asked for, unless the mA limit says so: where the current cannot fall fast enough, it falls
        later and rises earlier. This is the lowest curve above the wanted one whose steps are allowed.

        >>> ScannerLimits(largest_step=2.0, full_turn=False).hold(torch.tensor([8.0, 1.0, 1.0, 1.0]))
        tensor([8., 4., 2., 1.])
        """
        _check_currents(photons)
        held = photons
        if math.isfinite(self.largest_step):
            views = photons.shape[-1]
            place = torch.arange(views, device=photons.device)
            apart = (place[:, None] - place).abs()
            if self.full_turn:
                apart = torch.minimum(apart, views - apart)
            slope = math.log(self.largest_step)
            held = torch.exp((photons.log()[..., None, :] - slope * apart.to(photons.dtype)).amax(-1))
        return held.clamp(self.lowest_photons, self.highest_photons)

    def breaches(self, photons: Tensor) -> list[str]:
        """Which limits a course of currents (..., V) breaks, in words; empty when it can be driven."""
        _check_currents(photons)
        found = []
        low, high = float(photons.min()), float(photons.max())
        if low < self.lowest_photons * (1 - 1e-6):
            found.append(f"{low:.4g} photons, below the least {self.lowest_photons:.4g}")
        if high > self.highest_photons * (1 + 1e-6):
            found.append(f"{high:.4g} photons, above the most {self.highest_photons:.4g}")
        if math.isfinite(self.largest_step) and photons.shape[-1] > 1:
            logs = photons.double().log()
            steps = logs.diff(dim=-1).abs()
            if self.full_turn:
                steps = torch.cat([steps, (logs[..., :1] - logs[..., -1:]).abs()], -1)
            worst = math.exp(float(steps.max()))
            if worst > self.largest_step * (1 + 1e-6):
                found.append(f"a factor of {worst:.4g} from one view to the next, above {self.largest_step:.4g}")
        return found


def longest_paths(p: Tensor) -> Tensor:
    """Largest line integral of each view: p (B, 1, V, C) or (B, 1, V, R, C) -> (B, V)."""
    if p.ndim not in (4, 5):
        raise GeometryError(f"longest_paths expects p (B, 1, V, C) or (B, 1, V, R, C), got {tuple(p.shape)}")
    return p[:, 0].flatten(2).amax(2)


def paths_from_scout(front: Tensor, side: Tensor, angles_rad: Tensor) -> Tensor:
    """Longest path of every view from those of a frontal and a lateral scout: (S,), (S,), (V,) -> (S, V).

    A body is about an ellipse, so the path goes as a cosine of twice the angle from one to the other; 0 is the frontal view.

    >>> paths_from_scout(torch.tensor([4.0]), torch.tensor([6.0]), torch.tensor([0.0, math.pi / 2]))
    tensor([[4., 6.]])
    """
    middle, half = (front + side) / 2, (front - side) / 2
    return middle[:, None] + half[:, None] * torch.cos(2 * angles_rad).to(front.dtype)


def tube_current(paths: Tensor, exponent: float) -> Tensor:
    """Relative current I = A^a with A = exp(longest path), a = `exponent`: (S, V) -> (S, V), geometric mean not fixed.

    a = 0 is a fixed current, a = 0.5 the square-root rule, a = 1 keeps the detector's least signal constant (Gies et al.,
    Med. Phys. 26:2235 (1999) show a = 0.5 to give the least noise for a given dose).
    """
    if not 0 <= exponent <= 2:
        raise InputError(f"tube_current expects an exponent from 0 (fixed) to 1 (constant signal), got {exponent!r}")
    return torch.exp(exponent * paths)


def harmonic_modulation(coefficients: Tensor, angles_rad: Tensor) -> Tensor:
    """Smooth modulation over views with mean 1: coefficients (B, 2 K), angles (V,) -> (B, V), differentiable.

    m_k = exp(sum_j a_j cos(2 j t_k) + b_j sin(2 j t_k)), divided by its mean: even harmonics, as opposite views see the same.

    >>> harmonic_modulation(torch.zeros(1, 2), torch.tensor([0.0, 1.0]))
    tensor([[1., 1.]])
    """
    count = coefficients.shape[-1] // 2
    if coefficients.ndim != 2 or coefficients.shape[1] != 2 * count or count < 1:
        raise GeometryError(f"harmonic_modulation expects coefficients (B, 2 K), got {tuple(coefficients.shape)}")
    raw = torch.exp(coefficients @ harmonic_waves(count, angles_rad).to(coefficients.dtype))
    return raw / raw.mean(1, keepdim=True)


def harmonic_waves(count: int, angles_rad: Tensor) -> Tensor:
    """cos 2 j t, then sin 2 j t for j = 1 to `count`: angles (V,) -> (2 count, V)."""
    order = 2 * torch.arange(1, count + 1, device=angles_rad.device)[:, None] * angles_rad  # (K, V)
    return torch.cat([order.cos(), order.sin()])


def _check_currents(photons: Tensor) -> None:
    low, high = (float(v) for v in torch.aminmax(photons.detach()))
    if not (low > 0 and high < math.inf):
        raise InputError(f"tube currents are expected as finite photons above 0, got {low:g} to {high:g}")
