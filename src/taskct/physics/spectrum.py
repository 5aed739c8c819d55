"""A polychromatic beam in two materials: water and cortical bone, with tabulated attenuation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import ConfigError
from taskct.core.units import MU_WATER_70KEV_PER_MM

# Mass attenuation in cm2/g: NIST XCOM tables by Hubbell and Seltzer, water and ICRU-44 cortical bone.
_KEV = (20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0)
_WATER = (0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505)
_BONE = (4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480)
BONE_FROM_HU = 250.0  # attenuation above that of such tissue counts as bone mineral
BONE_G_PER_CM3 = 1.92


@dataclass(frozen=True)
class Spectrum:
    """Shares of detected photons by energy in keV; they are divided by their sum.

    `effective_kev` is the energy whose mu the images are in: at it, a spectrum of that one energy changes nothing.
    """

    energies_kev: tuple[float, ...]
    shares: tuple[float, ...]
    effective_kev: float = 70.0

    def __post_init__(self) -> None:
        if len(self.energies_kev) != len(self.shares) or not self.shares:
            raise ConfigError(
                f"Spectrum expects a share for each of {len(self.energies_kev)} energies, got {len(self.shares)}"
            )
        if not all(20 <= e <= 150 for e in (*self.energies_kev, self.effective_kev)):
            raise ConfigError(f"Spectrum expects energies from 20 to 150 keV, got {self.energies_kev}, {self.effective_kev}")
        if min(self.shares) < 0 or not sum(self.shares) > 0:
            raise ConfigError(f"Spectrum expects shares >= 0 that do not all vanish, got {self.shares}")

    @classmethod
    def tungsten(cls, kvp: float = 70.0, *, effective_kev: float = 70.0) -> Spectrum:
        """Kramers' law behind 3 mm of aluminium-like filtration: a plain stand-in for a tube at `kvp`, without lines."""
        if not 40 <= kvp <= 150:
            raise ConfigError(f"Spectrum.tungsten expects a tube voltage from 40 to 150 kVp, got {kvp!r}")
        energies = np.arange(22.0, kvp, 4.0)
        filtered = np.exp(-3.0 * 0.27 * (35.0 / energies) ** 3)  # of 1/mm: .27 at 35 keV, falling as the cube
        shares = np.maximum(kvp - energies, 0) * filtered
        return cls(tuple(energies.tolist()), tuple((shares / shares.sum()).tolist()), effective_kev)

    @property
    def mu_water_per_mm(self) -> float:
        """Attenuation of water at the effective energy, in 1/mm."""
        return MU_WATER_70KEV_PER_MM * float(_ratio(_WATER, (self.effective_kev,), 70.0)[0])

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Attenuation of water and of bone at each energy against the effective one, (E,) each."""
        water = _ratio(_WATER, self.energies_kev, self.effective_kev)
        return water, _ratio(_BONE, self.energies_kev, self.effective_kev)


def split_materials(mu: Tensor, *, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM) -> tuple[Tensor, Tensor]:
    """mu in 1/mm -> the parts of it that attenuate as water and as bone, which add up to mu.

    What exceeds `BONE_FROM_HU` is bone; the two parts are continuous in mu.
    """
    soft = mu.clamp(max=mu_water_per_mm * (1 + BONE_FROM_HU / 1000))
    return soft, mu - soft


def transmitted(p_water: Tensor, p_bone: Tensor, spectrum: Spectrum) -> Tensor:
    """Share of the photons that pass: line integrals of both parts at the effective energy -> the same shape.

    I / I0 = sum_E s_E exp(-(w_E p_water + b_E p_bone))
    """
    water, bone = spectrum.factors()
    shares = np.asarray(spectrum.shares) / sum(spectrum.shares)
    total = torch.zeros_like(p_water)
    for share, w, b in zip(shares, water, bone, strict=True):
        total += float(share) * torch.exp(-(float(w) * p_water + float(b) * p_bone))
    return total


def _ratio(table: tuple[float, ...], energies: tuple[float, ...], effective: float) -> np.ndarray:
    at = lambda e: np.exp(np.interp(np.log(e), np.log(_KEV), np.log(table)))
    return np.asarray(at(np.asarray(energies)) / at(effective))
