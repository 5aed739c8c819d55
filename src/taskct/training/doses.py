"""Doses that a reconstruction is trained for, and their noise, fast enough to be drawn anew in every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.physics.dose import Dose


@dataclass(frozen=True)
class DoseRange:
    """Doses between two fractions of `full`, drawn evenly in the logarithm: one network for all of them.

    >>> round(DoseRange(Dose(1e5), lowest=0.04, highest=0.25).middle.fraction, 3)
    0.1
    """

    full: Dose
    lowest: float
    highest: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= self.highest < math.inf:
            raise InputError(f"DoseRange expects 0 < lowest <= highest, got {self.lowest!r} and {self.highest!r}")

    @property
    def middle(self) -> Dose:
        """The dose in the middle of the range, by its logarithm: validation is done there."""
        return self.full.at(math.sqrt(self.lowest * self.highest))

    def draw_photons(self, count: int, generator: torch.Generator) -> Tensor:
        """(count,) photons per detector pixel in air, float32, on the generator's device."""
        share = torch.rand(count, generator=generator, device=generator.device, dtype=torch.float64)
        log_fraction = math.log(self.lowest) + share * (math.log(self.highest) - math.log(self.lowest))
        return (self.full.photons * log_fraction.exp()).float()


def as_dose_range(dose: Dose | DoseRange) -> DoseRange:
    """A single dose as a range of that dose alone."""
    return dose if isinstance(dose, DoseRange) else DoseRange(dose, dose.fraction, dose.fraction)


def noisy_scans(p: Tensor, photons: Tensor, streams: Sequence[torch.Generator], *, electronic_std: float = 0.0) -> Tensor:
    """Noise-free p (B, 1, ...) -> noisy p, same shape: image i at photons[i], with the draws of streams[i].

    The noise model is that of `simulate_scan`: exact Poisson counts, read-out noise, the same floor. The draws are others:
    float32 and rejection sampled, some seven times faster, and not coupled between doses, which training does not need.
    """
    log_air = photons.to(device=p.device, dtype=p.dtype).log().reshape(-1, *[1] * (p.ndim - 1))
    expected = torch.exp(log_air - p)
    counts = torch.stack([torch.poisson(e, generator=s) for e, s in zip(expected, streams, strict=True)])
    if electronic_std > 0:
        for image, stream in zip(counts, streams, strict=True):
            draws = torch.randn(image.shape, generator=stream, device=image.device, dtype=image.dtype)
            image.add_(draws, alpha=electronic_std)
    return log_air - counts.clamp_min(Dose(1.0, electronic_std=electronic_std).floor_photons).log()
