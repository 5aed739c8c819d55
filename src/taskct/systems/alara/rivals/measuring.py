"""The measurements of a comparison: curves, values at one level, and the level at which a criterion holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from taskct.evaluation.dose.quality import Quality
from taskct.evaluation.dose.quality_curves import EVERY_MEAN, Curves, contrast, held, measure_curves
from taskct.evaluation.dose.target import Target
from taskct.evaluation.subject import Subject
from taskct.physics.modulation import ScannerLimits
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.alara.rivals.outcomes import Outcome

CLOSE = 0.002  # in the logarithm of a level
_MOST_STEPS = 7


@dataclass(frozen=True)
class Measuring:
    """What all measurements of a comparison share: patients, the quality and its bound, and how scans are made.

    held_by   "mean" over patients, or the share of patients that must reach the bound
    limits    of the tube current; draws: independent noise realisations that are averaged
    scout     photons per pixel of each view that the scout adds to every patient's dose (`scout_share`), whatever the strategy
    """

    subjects: Sequence[Subject]
    quality: Quality
    target: Target
    held_by: str | float = EVERY_MEAN
    limits: ScannerLimits | None = None
    electronic_std: float = 0.0
    draws: int = 1
    scout: float = 0.0

    def curves(self, model: Reconstructor, courses: Sequence[torch.Tensor], levels: Sequence[float], seed: int) -> Curves:
        """Quality of everybody at all levels."""
        found = measure_curves(
            self.subjects,
            model,
            {self.target.key: self.quality},
            levels,
            courses=courses,
            limits=self.limits,
            electronic_std=self.electronic_std,
            seed=seed,
            draws=self.draws,
            progress=False,
        )
        return replace(found, photons=found.photons + self.scout)

    def values(self, model: Reconstructor, courses: Sequence[torch.Tensor], seed: int) -> np.ndarray:
        """Quality of everybody, (N,)."""
        return self.curves(model, courses, [1.0], seed).values[self.target.key][:, 0]

    def gaps(self, values: np.ndarray, full: np.ndarray | None) -> np.ndarray:
        """Of (N, L) or (N, 1) values."""
        return contrast(self.target, values, None if full is None else full[:, None])

    def outcome(  # noqa: PLR0917
        self,
        name: str,
        level: float,
        model: Reconstructor,
        courses: Sequence[torch.Tensor],
        seed: int,
        forecast: np.ndarray | None = None,
    ) -> Outcome:
        """A strategy at one level."""
        wanted = [c * level for c in courses]
        photons = [float(s.driven(c, self.limits).mean()) + self.scout for s, c in zip(self.subjects, wanted, strict=True)]
        return Outcome(name, level, np.array(photons), self.values(model, wanted, seed), forecast)

    def found(  # noqa: PLR0917
        self,
        level: float,
        curves: Curves,
        model: Reconstructor,
        courses: Sequence[torch.Tensor],
        full: np.ndarray | None,
        seed: int,
    ) -> float:
        """The level by scans between the two measured ones about it, to within CLOSE: `level` is what the curves say.

        By false position, which needs two or three scans of everybody where a bisection needs seven; the criterion holds at
        what comes back.
        """
        levels, asked = curves.levels, held(self.gaps(curves.values[self.target.key], full), self.held_by)
        above = int(np.searchsorted(levels, level * (1 - 1e-9)))
        if above == 0:
            return level
        above = min(above, len(levels) - 1)
        low, high = math.log(levels[above - 1]), math.log(levels[above])
        below, beyond = float(asked[above - 1]), float(asked[above])
        middle = math.log(level)
        for _ in range(_MOST_STEPS):
            values = self.values(model, [c * math.exp(middle) for c in courses], seed)
            gap = float(held(self.gaps(values[:, None], full), self.held_by)[0])
            if gap >= 0:
                high, beyond = middle, gap
            else:
                low, below = middle, gap
            share = below / (below - beyond) if below < 0 <= beyond else 0.5
            crossing = low + share * (high - low)
            if high - crossing < CLOSE:
                break
            middle = min(crossing + CLOSE / 2, (crossing + high) / 2)
        return math.exp(high)
