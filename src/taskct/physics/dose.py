"""Dose in photons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from taskct.core.errors import InputError
from taskct.core.notebook_html import fact_card

MOST_PHOTONS = 1e18  # per detector pixel: more are a wrong unit, and leave the range of float32
MIN_FLOOR_PHOTONS = 0.1  # Leuschner et al. 2021, `create_dataset.py`: a ray without photons counts as 0.1


@dataclass(frozen=True)
class Dose:
    """How many photons a scan spends.

    `photons` reach a detector pixel through air at full dose; `fraction` of them are used; the read-out adds noise of
    `electronic_std`, in photons. The tube current is proportional to `fraction`, so is the radiation dose.

    >>> Dose(photons=1e5, fraction=0.1).used_photons
    10000.0
    """

    photons: float
    fraction: float = 1.0
    electronic_std: float = 0.0

    def __post_init__(self) -> None:
        if not (_is_number(self.photons) and self.photons > 0):
            raise InputError(
                f"Dose expects photons > 0 (and at most {MOST_PHOTONS:g}) per detector pixel, got {self.photons!r}"
            )
        if not (_is_number(self.fraction) and self.fraction > 0):
            raise InputError(f"Dose expects fraction > 0 (1 is full dose), got {self.fraction!r}")
        if not (_is_number(self.electronic_std) and self.electronic_std >= 0):
            raise InputError(f"Dose expects electronic_std >= 0 in photons, got {self.electronic_std!r}")

    @property
    def used_photons(self) -> float:
        """Photons per detector pixel in this scan: `photons * fraction`."""
        return self.photons * self.fraction

    @property
    def floor_photons(self) -> float:
        """Fewer counts than this are read as this many before the logarithm: 0.1, or half of `electronic_std` if larger.

        At half the read-out noise the mean of the log is right for a ray whose signal equals that noise (docs/dose.md).

        >>> Dose(4096).floor_photons, Dose(1e5, electronic_std=10).floor_photons
        (0.1, 5.0)
        """
        return max(MIN_FLOOR_PHOTONS, self.electronic_std / 2)

    def _repr_html_(self) -> str:
        facts = {
            "photons per pixel in air, at full dose": f"{self.photons:g}",
            "fraction used": f"{self.fraction:g}",
            "photons used": f"{self.used_photons:g}",
            "read-out noise in photons": f"{self.electronic_std:g}",
        }
        return fact_card("Dose", facts)

    def at(self, fraction: float) -> Dose:
        """The same tube and detector at another fraction of full dose."""
        return replace(self, fraction=fraction)


def _is_number(value: object) -> bool:
    is_real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return is_real and -MOST_PHOTONS <= value <= MOST_PHOTONS  # type: ignore[operator]
