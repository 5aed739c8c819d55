"""`DoseSearch`: how the least dose is searched, which doses are measured and who has to reach the bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from taskct.core.errors import InputError
from taskct.evaluation.dose.quality_curves import EVERY_MEAN, refuse_criterion
from taskct.evaluation.protocol import Protocol
from taskct.evaluation.slices import Slices


@dataclass(frozen=True, kw_only=True)
class DoseSearch:
    """Settings of `optimise_dose`; InputError for values that cannot be searched with.

    held_by     "mean" over patients, or the share of patients that must reach the bound (0.9)
    fractions   doses to measure, as fractions of full dose; by default octaves from 1 down to `lowest`
    within      doses are measured between those, until the two about each answer differ by less than this share (0.02: 2 %);
                0: none are
    draws       independent noise realisations that are averaged at each dose
    slices      of the cases; None takes all of them
    refine      the truth is projected on a grid so many times finer
    protocol    conventions of the image qualities; by default those of `Protocol()`
    seed        of the noise; the dose that is found is scanned again with noise of another seed

    >>> DoseSearch(lowest=1 / 8).levels
    (0.125, 0.25, 0.5, 1.0)
    >>> DoseSearch(fractions=[0.3, 0.1]).levels
    (0.1, 0.3, 1.0)
    """

    held_by: str | float = EVERY_MEAN
    fractions: Sequence[float] | None = None
    lowest: float = 1 / 256
    within: float = 0.02
    draws: int = 1
    slices: Slices = None
    refine: int = 2
    protocol: Protocol | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_criterion(self.held_by)
        if self.draws < 1:
            raise InputError(
                f"DoseSearch expects draws of 1 or more, the noises that are averaged at a dose, got {self.draws!r}"
            )
        if not 0 <= self.within < 1:
            raise InputError(
                f"DoseSearch expects within from 0 (no doses between) to below 1, such as 0.02, got {self.within!r}"
            )
        if not 0 < self.lowest < 1:
            raise InputError(f"DoseSearch expects lowest between 0 and 1, got {self.lowest!r}")
        if self.fractions is None:
            return
        if not len(self.fractions):
            raise InputError("DoseSearch expects at least one of fractions, or None for octaves, got none")
        if not all(0 < f <= 1 for f in self.fractions):
            ends = f"{min(self.fractions):g} to {max(self.fractions):g}"
            raise InputError(f"DoseSearch expects fractions above 0 and up to 1, got {ends}")

    @property
    def levels(self) -> tuple[float, ...]:
        """Fractions of full dose that are measured, rising; the last one is 1."""
        if self.fractions is not None:
            return tuple(sorted({*self.fractions, 1.0}))
        count = math.ceil(-math.log2(self.lowest) - 1e-9)
        return tuple(2.0**-k for k in range(count, -1, -1))
