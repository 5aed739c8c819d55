"""Dose in photons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from taskct.core.errors import InputError


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
        if not (np.isfinite(self.photons) and self.photons > 0):
            raise InputError(f"Dose expects photons > 0 per detector pixel, got {self.photons!r}")
        if not (np.isfinite(self.fraction) and self.fraction > 0):
            raise InputError(f"Dose expects fraction > 0 (1 is full dose), got {self.fraction!r}")
        if not (np.isfinite(self.electronic_std) and self.electronic_std >= 0):
            raise InputError(f"Dose expects electronic_std >= 0 in photons, got {self.electronic_std!r}")

    @property
    def used_photons(self) -> float:
        """Photons per detector pixel in this scan: `photons * fraction`."""
        return self.photons * self.fraction

    def at(self, fraction: float) -> Dose:
        """The same tube and detector at another fraction of full dose."""
        return replace(self, fraction=fraction)
