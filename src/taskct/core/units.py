"""The one place where Hounsfield units meet linear attenuation.

    mu = mu_water + hu * (mu_water - mu_air) / 1000          hu = 1000 * (mu - mu_water) / (mu_water - mu_air)

`mu` is in 1/mm. Attenuation depends on the photon energy, so the energy is part of each constant's name.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import UnitsError

MU_WATER_60KEV_PER_MM = 0.02059  # NIST XCOM, liquid water, total attenuation
MU_WATER_70KEV_PER_MM = 0.01929  # NIST XCOM; about the effective energy of a filtered 120 kVp beam
MU_WATER_80KEV_PER_MM = 0.01837  # NIST XCOM
MU_WATER_LODOPAB_PER_MM = 0.02  # Leuschner et al. 2021, create_dataset: 20 / m, no energy stated
MU_AIR_LODOPAB_PER_MM = 0.02e-3  # the same source: 0.02 / m
MU_AIR_PER_MM = 0.0  # HU is defined with air's attenuation neglected
HU_PER_MU = 1000 / MU_WATER_70KEV_PER_MM  # of differences, spreads and errors, which have no zero to shift

MOST_MU_PER_MM = 10.0  # twice lead at 60 keV: beyond it the number is not an attenuation in 1/mm
LEAST_MU_PER_MM = -0.5  # noise of a reconstruction reaches below 0, by less than this
MOST_TYPICAL_MU_PER_MM = 0.15  # of half an object's voxels: eight times water, twice aluminium
MOST_P = 15.0  # 780 mm of water: of three million photons one comes through
LEAST_P = -50.0  # e^50 times more photons behind the patient than in air: no image does that

_OBJECT_PER_MM = 0.002  # voxels above a tenth of water are an object's
_OBJECT_SHARE = 0.01  # of the image, at least
_SAMPLES = 4096  # values that stand for an image
_AIR_HU, _AIR_SHARE = 50.0, 0.1  # a CT in HU has this share of its voxels within this of -1000
_HU_RANGE = (-32768.0, 70000.0)
_STARVED_SHARE = 0.1  # of the rays through an object: metal in a body starves fewer, a wrong unit more


class UnitsWarning(UserWarning):
    """Numbers that cannot be attenuation in 1/mm, or line integrals of it, are taken as they are, in a unit of their own."""


def to_mu(hu: Tensor, *, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM, mu_air_per_mm: float = MU_AIR_PER_MM) -> Tensor:
    """Hounsfield units -> linear attenuation in 1/mm, same shape; exact inverse of `to_hu`, nothing is clipped.

    >>> to_mu(torch.tensor([-1000.0, 0.0]), mu_water_per_mm=0.02)
    tensor([0.0000, 0.0200])
    """
    _check_water(mu_water_per_mm, mu_air_per_mm)
    return hu * ((mu_water_per_mm - mu_air_per_mm) / 1000.0) + mu_water_per_mm


def to_hu(mu: Tensor, *, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM, mu_air_per_mm: float = MU_AIR_PER_MM) -> Tensor:
    """Linear attenuation in 1/mm -> Hounsfield units, same shape; exact inverse of `to_mu`, nothing is clipped.

    Raises UnitsError for numbers that are no attenuation in 1/mm (docs/units.md); NaN passes, and what carries a gradient or
    lies on a GPU is not looked at.

    >>> to_hu(torch.tensor([0.0, 0.02]), mu_water_per_mm=0.02)
    tensor([-1000.,     0.])
    """
    _check_numbers(mu)
    if isinstance(mu, Tensor) and mu.numel() and not (mu.requires_grad or mu.is_cuda or torch.compiler.is_compiling()):
        doubt = ""
        with contextlib.suppress(RuntimeError):  # inside a transform of torch.func there are no numbers to look at
            doubt = doubt_about_mu(mu)
        if doubt:
            raise UnitsError(f"to_hu expects mu in 1/mm (water is about 0.02), {doubt}")
    return to_hu_unchecked(mu, mu_water_per_mm=mu_water_per_mm, mu_air_per_mm=mu_air_per_mm)


def to_hu_unchecked(
    mu: Tensor, *, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM, mu_air_per_mm: float = MU_AIR_PER_MM
) -> Tensor:
    """`to_hu` for whatever a network makes while it learns: any numbers are converted."""
    _check_water(mu_water_per_mm, mu_air_per_mm)
    return (mu - mu_water_per_mm) * (1000.0 / (mu_water_per_mm - mu_air_per_mm))


def looks_like_hu(values: Tensor) -> bool:
    """True for numbers that a CT in HU has and attenuation never: far below zero, and whole, or a good part of them air."""
    if values.numel() == 0 or not _HU_RANGE[0] <= float(values.min()) <= -500 or float(values.max()) > _HU_RANGE[1]:
        return False
    some = _sample(values)
    air = (some + 1000).abs() <= _AIR_HU
    return bool((some == some.round()).all()) or float(air.double().mean()) >= _AIR_SHARE


def doubt_about_mu(mu: Tensor) -> str:
    """Why finite values cannot be attenuation in 1/mm, and what to do; "" when they can. docs/units.md states the rule.

    They cannot below -0.5 or above 10, nor when half of an object (the voxels above 0.002, at least 1 % of all) is above 0.15.
    """
    if mu.numel() == 0:
        return ""
    low, high = (float(end) for end in torch.aminmax(mu.detach()))
    if low < LEAST_MU_PER_MM:
        return f"got values from {low:g} to {high:g}, which look like HU; convert them with taskct.to_mu"
    if high > MOST_MU_PER_MM:
        return f"got values from {low:g} to {high:g}, which look like HU (see taskct.to_mu) or 1/m (multiply by 0.001)"
    if high <= MOST_TYPICAL_MU_PER_MM:
        return ""
    some = _sample(mu)
    body = some[some > _OBJECT_PER_MM]
    typical = float(body.median()) if len(body) >= _OBJECT_SHARE * len(some) else 0.0  # else beads and wires
    if typical <= MOST_TYPICAL_MU_PER_MM:
        return ""
    return (
        f"got an object of {typical:.3g} (median), {typical / 0.02:.0f} times as much as water; "
        f"scale it to 1/mm: mu * {0.02 / typical:.2g} if that is soft tissue, mu * 0.1 if it is in 1/cm"
    )


def check_mu(mu: Tensor, *, who: str) -> None:
    """Refuse NaN, infinite values and other units where attenuation in 1/mm is wanted; `who` begins the message."""
    with torch.no_grad():
        low, high = (float(v) for v in torch.aminmax(mu))
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # aminmax passes NaN on; NaN < inf is False
        bad = int((~torch.isfinite(mu)).sum())
        raise UnitsError(f"{who} expects finite mu in 1/mm, got {bad} NaN or infinite values; mend or mask them first")
    doubt = doubt_about_mu(mu)
    if doubt:
        raise UnitsError(f"{who} expects mu in 1/mm (water is about 0.02), {doubt}")


def check_photons_pass(p: Tensor, *, who: str) -> None:
    """Refuse, where photons are counted, NaN and line integrals above 15 for a tenth of the rays through an object.

    Fewer rays, as behind metal, are warned of (UnitsWarning).
    """
    if p.numel() == 0:
        return
    p = p.detach()
    low, high = (float(v) for v in torch.aminmax(p))
    if not (low > LEAST_P and high < float("inf")):
        raise UnitsError(
            f"{who} expects finite line integrals above {LEAST_P:g}, got {low:g} to {high:g}; is mu in 1/mm, not NaN?"
        )
    if high <= MOST_P:
        return
    share = int((p > MOST_P).count_nonzero()) / int((p > 0.05).count_nonzero())
    seen = f"line integrals up to {high:.4g}, and no detector sees exp(-{MOST_P:g}) of its photons"
    if share > _STARVED_SHARE:
        raise UnitsError(
            f"{who} got {seen} ({100 * share:.0f} % of the rays through the object); scale mu to 1/mm, where water is "
            "about 0.02 (1/cm: times 0.1; an image from 0 to 1: times 0.02 or so), and check the pixel size in mm"
        )
    warnings.warn(
        f"{who} got {seen} ({100 * share:.2g} % of the rays through the object): they are read at the floor, as behind metal; "
        "if there is no metal, is mu in 1/mm?",
        UnitsWarning,
        stacklevel=3,
    )


def _sample(values: Tensor) -> Tensor:
    """Some of the values, from all rows and columns."""
    return values.detach().flatten()[:: max(1, values.numel() // _SAMPLES) | 1]


def _check_numbers(mu: Any) -> None:
    """Refuse what has no HU: lists, words, truth values, complex numbers."""
    if isinstance(mu, Tensor):
        real = not mu.is_complex() and mu.dtype != torch.bool
    else:
        real = getattr(np.asarray(mu).dtype, "kind", "O") in "iuf" and not isinstance(mu, list | tuple)
    if not real:
        what = f"{mu.dtype} values" if isinstance(mu, Tensor | np.ndarray) else f"a {type(mu).__name__}"
        raise UnitsError(f"to_hu expects mu as a tensor of real numbers, got {what}; pass torch.as_tensor(mu).float()")


def _check_water(mu_water_per_mm: float, mu_air_per_mm: float) -> None:
    if not 0 <= mu_air_per_mm < mu_water_per_mm < 1:
        raise UnitsError(
            f"expected 0 <= mu_air < mu_water < 1 in 1/mm, got mu_air {mu_air_per_mm:g} and mu_water {mu_water_per_mm:g}; "
            "water is about 0.02/mm (0.2/cm, 20/m)"
        )
