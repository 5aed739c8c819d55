"""Ways to choose a patient's dose from his scout: fixed, tube-current modulation, automatic exposure for constant noise.

A strategy gives photons per pixel of every view, (S, V), up to a common level that is found afterwards (`compare_strategies`).
It sees the scout, never the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.evaluation.subject import Subject
from taskct.physics.modulation import paths_from_scout, tube_current
from taskct.simulate.scout import SCOUT_PHOTONS, SMOOTH_COLS, smooth_scout, view_angles_rad

Strategy = Callable[[Subject], Tensor]
_REFERENCE_PATH = 6.0  # any number: it only keeps levels readable


@dataclass(frozen=True)
class FixedDose:
    """The same photons for everybody."""

    def __call__(self, subject: Subject) -> Tensor:
        """Ones (S, V)."""
        return torch.ones(len(subject.p), subject.p.shape[2], dtype=torch.float64)


@dataclass(frozen=True)
class TubeCurrentModulation:
    """I = A^a over views, slices and patients, A = exp(longest path) from the scout; a = 0, 0.5 or 1 (`tube_current`).

    With `across` False only the shape over the views of a slice follows A: each patient's mean is the same. The scout is
    smoothed over `smooth_cols` columns before its longest path is taken, as it is for everybody (`smooth_scout`).
    """

    exponent: float
    across: bool = True
    scout_photons: float | None = SCOUT_PHOTONS
    smooth_cols: int = SMOOTH_COLS
    seed: int = 0

    def __call__(self, subject: Subject) -> Tensor:
        """Relative current (S, V)."""
        paths = scout_paths(subject, photons=self.scout_photons, smooth_cols=self.smooth_cols, seed=self.seed)
        current = tube_current(paths - _REFERENCE_PATH, self.exponent)
        return current if self.across else current / current.mean()


@dataclass(frozen=True)
class ConstantNoise:
    """Automatic exposure for the same image noise in every patient: photons in proportion to the mean of exp(longest path).

    The variance in the middle of a filtered back-projection is the mean over views of that of its rays, exp(path) / photons.
    One current for all views and slices of a patient; the scout is smoothed as for `TubeCurrentModulation`.
    """

    scout_photons: float | None = SCOUT_PHOTONS
    smooth_cols: int = SMOOTH_COLS
    seed: int = 0

    def __call__(self, subject: Subject) -> Tensor:
        """The patient's relative photons at every view, (S, V)."""
        scout = scout_paths(subject, photons=self.scout_photons, smooth_cols=self.smooth_cols, seed=self.seed)
        paths = scout - _REFERENCE_PATH
        return torch.ones_like(paths) * torch.exp(paths).mean()


@dataclass(frozen=True)
class AlongScan:
    """Another strategy, times a course over the slices that is the same for everybody.

    `profile(S)` gives ln of the share of each of S slices, (S,), by its place in the scan.
    """

    strategy: Strategy
    profile: Callable[[int], Tensor]

    @torch.no_grad()
    def __call__(self, subject: Subject) -> Tensor:
        """The strategy's course (S, V), times that over the slices."""
        course = self.strategy(subject)
        return course * self.profile(len(course)).to(course).exp()[:, None]


def scout_paths(
    subject: Subject, *, photons: float | None = SCOUT_PHOTONS, smooth_cols: int = SMOOTH_COLS, seed: int = 0
) -> Tensor:
    """Longest path of every view as the smoothed scout lets one guess it: (S, V) float64; one row for a volume."""
    scout = smooth_scout(subject.scout(photons=photons, seed=seed).double(), smooth_cols)
    front, side = scout.amax(-1)  # (rows,) each
    if len(front) != len(subject.p):  # a volume: the longest of its rows decides
        front, side = front.amax(0, keepdim=True), side.amax(0, keepdim=True)
    return paths_from_scout(front, side, view_angles_rad(subject.A))


STRATEGIES: dict[str, Strategy] = {
    "fixed": FixedDose(),
    "modulation a=0.5": TubeCurrentModulation(0.5),
    "modulation a=1": TubeCurrentModulation(1.0),
    "constant noise": ConstantNoise(),
}
