"""The one place where Hounsfield units meet linear attenuation.

    mu = mu_water + hu * (mu_water - mu_air) / 1000          hu = 1000 * (mu - mu_water) / (mu_water - mu_air)

`mu` is in 1/mm. Attenuation depends on the photon energy, so the energy is part of each constant's name.
"""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.errors import UnitsError

MU_WATER_60KEV_PER_MM = 0.02059  # NIST XCOM, liquid water, total attenuation
MU_WATER_70KEV_PER_MM = 0.01929  # NIST XCOM; about the effective energy of a filtered 120 kVp beam
MU_WATER_80KEV_PER_MM = 0.01837  # NIST XCOM
MU_WATER_LODOPAB_PER_MM = 0.02  # Leuschner et al. 2021, create_dataset: 20 / m, no energy stated
MU_AIR_LODOPAB_PER_MM = 0.02e-3  # the same source: 0.02 / m
MU_AIR_PER_MM = 0.0  # HU is defined with air's attenuation neglected

_MU_MAX_POSSIBLE_PER_MM = 10.0  # twice lead at 60 keV: beyond it the number is not an attenuation in 1/mm
_MU_MIN_POSSIBLE_PER_MM = -0.5  # noise of a reconstruction reaches below 0, by less than this


def to_mu(hu: Tensor, *, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM, mu_air_per_mm: float = MU_AIR_PER_MM) -> Tensor:
    """Hounsfield units -> linear attenuation in 1/mm, same shape; exact inverse of `to_hu`, nothing is clipped.

    >>> to_mu(torch.tensor([-1000.0, 0.0]), mu_water_per_mm=0.02)
    tensor([0.0000, 0.0200])
    """
    _check_water(mu_water_per_mm, mu_air_per_mm)
    return hu * ((mu_water_per_mm - mu_air_per_mm) / 1000.0) + mu_water_per_mm


def to_hu(mu: Tensor, *, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM, mu_air_per_mm: float = MU_AIR_PER_MM) -> Tensor:
    """Linear attenuation in 1/mm -> Hounsfield units, same shape; exact inverse of `to_mu`, nothing is clipped.

    >>> to_hu(torch.tensor([0.0, 0.02]), mu_water_per_mm=0.02)
    tensor([-1000.,     0.])
    """
    _check_water(mu_water_per_mm, mu_air_per_mm)
    return (mu - mu_water_per_mm) * (1000.0 / (mu_water_per_mm - mu_air_per_mm))


def looks_like_hu(values: Tensor) -> bool:
    """True when values are whole numbers that reach far below zero, as CT in HU does and attenuation never can."""
    if values.numel() == 0 or float(values.min()) > -500:
        return False
    sample = values.flatten()[:: max(1, values.numel() // 4096)]
    return bool((sample == sample.round()).all())


def check_mu(mu: Tensor, *, who: str) -> None:
    """Refuse NaN, infinite and HU-like values where attenuation in 1/mm is wanted; `who` begins the message."""
    with torch.no_grad():
        low, high = (float(v) for v in torch.aminmax(mu))
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # aminmax passes NaN on; NaN < inf is False
        bad = int((~torch.isfinite(mu)).sum())
        raise UnitsError(f"{who} expects finite mu in 1/mm, got {bad} NaN or infinite values; mend or mask them first")
    if low < _MU_MIN_POSSIBLE_PER_MM or high > _MU_MAX_POSSIBLE_PER_MM:
        raise UnitsError(
            f"{who} expects mu in 1/mm (water is about 0.02), got values from {low:g} to {high:g}, "
            "which look like HU; convert them with taskct.to_mu"
        )


def _check_water(mu_water_per_mm: float, mu_air_per_mm: float) -> None:
    if not 0 <= mu_air_per_mm < mu_water_per_mm < 1:
        raise UnitsError(
            f"expected 0 <= mu_air < mu_water < 1 in 1/mm, got mu_air {mu_air_per_mm:g} and mu_water {mu_water_per_mm:g}; "
            "water is about 0.02/mm (0.2/cm, 20/m)"
        )
