"""Differentiable ways from attenuation to what a task network was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, UnitsError
from taskct.core.units import MU_WATER_70KEV_PER_MM, to_hu_unchecked

WINDOWS_HU = {
    "soft tissue": (40.0, 400.0),
    "liver": (60.0, 160.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
}  # centre, width


class HuWindow(nn.Module):
    """mu in 1/mm -> the window centre ± width / 2 in HU mapped to 0..1, same shape.

    Outside the window the value grows on with `leak` times the slope, so that the gradient there is small but not zero: a
    hard clip (leak=0) tells a pixel outside the window nothing about how to come back.

    >>> import torch
    >>> HuWindow(40, 400)(torch.tensor([[0.01929]]))
    tensor([[0.4000]])
    """

    def __init__(
        self, centre_hu: float, width_hu: float, *, leak: float = 0.01, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM
    ) -> None:
        super().__init__()
        if not width_hu > 0 or not 0 <= leak < 1:
            raise ConfigError(f"HuWindow expects width_hu > 0 and 0 <= leak < 1, got {width_hu!r} and {leak!r}")
        self.centre_hu, self.width_hu, self.leak, self.mu_water_per_mm = centre_hu, width_hu, leak, mu_water_per_mm

    def forward(self, mu: Tensor) -> Tensor:
        """Same shape, window to 0..1."""
        x = (to_hu_unchecked(mu, mu_water_per_mm=self.mu_water_per_mm) - self.centre_hu) / self.width_hu + 0.5
        inside = x.clamp(0, 1)
        return inside + self.leak * (x - inside)


class Resample(nn.Module):
    """Image (B, C, [Z,] Y, X) -> the same region on `shape` samples, by linear interpolation (areas averaged when smaller)."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C, *shape)."""
        if x.ndim != 2 + len(self.shape):
            raise ConfigError(
                f"Resample to {self.shape} expects (B, C, ...) with {len(self.shape)} axes, got {tuple(x.shape)}"
            )
        mode = "bilinear" if x.ndim == 4 else "trilinear"
        shrinks = any(n < m for n, m in zip(self.shape, x.shape[2:], strict=True))
        return functional.interpolate(x, size=self.shape, mode=mode, align_corners=False, antialias=shrinks and x.ndim == 4)


class Chain(nn.Module):
    """Preparation steps one after another: `Chain(HuWindow(40, 400), Resample((256, 256)))`."""

    def __init__(self, *steps: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.steps = steps
        self.modules_ = nn.ModuleList(s for s in steps if isinstance(s, nn.Module))  # so that they follow .to(device)

    def forward(self, x: Tensor) -> Tensor:
        """Every step in turn."""
        for step in self.steps:
            x = step(x)
        return x


def water_of(prepare: object) -> float | None:
    """Attenuation that a preparation takes for water, in 1/mm; None where it does not say."""
    parts = prepare.modules() if isinstance(prepare, nn.Module) else [prepare]
    found = (getattr(part, "mu_water_per_mm", None) for part in parts)
    return next((own for own in found if isinstance(own, float)), None)


def check_water(prepare: object, mu_water_per_mm: float, *, who: str) -> None:
    """UnitsError where a preparation takes another attenuation for water than images have: its HU would not be theirs.

    >>> check_water(HuWindow(40, 400), 0.02, who="reader 'r'")
    Traceback (most recent call last):
    ...
    taskct.core.errors.UnitsError: reader 'r': takes 0.01929/mm for water, which is 0.02/mm in the images, and would see water
    at +37 HU; give images and reader one mu_water_per_mm
    """
    own = water_of(prepare)
    if own is not None and not math.isclose(own, mu_water_per_mm, rel_tol=1e-3):
        raise UnitsError(
            f"{who}: takes {own:.5g}/mm for water, which is {mu_water_per_mm:.5g}/mm in the images, and would see water at "
            f"{1000 * (mu_water_per_mm / own - 1):+.0f} HU; give images and reader one mu_water_per_mm"
        )


def standardise(mean: float, std: float) -> Callable[[Tensor], Tensor]:
    """(x - mean) / std, for networks trained on such input.

    >>> import torch
    >>> standardise(0.5, 2.0)(torch.tensor([2.5]))
    tensor([1.])
    """
    if not std > 0:
        raise ConfigError(f"standardise expects std > 0, got {std!r}")
    return lambda x: (x - mean) / std
