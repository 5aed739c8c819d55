"""Whether a method says anything beyond the mean of its population: the check for a network that has learnt nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.units import to_hu
from taskct.evaluation.statistics import Interval, paired_difference
from taskct.evaluation.volumes.volume_scores import psnr3d

MARGIN_DB = 0.1
_STILL = 0.02  # of the variance of the truths about the atlas: results that hardly leave it
_NEAR = 0.25  # the same for results whose score equals the atlas's: farther away they only happen to score alike


@dataclass(frozen=True)
class AtlasCheck:
    """`gain_db` is the paired gain in PSNR3D over the mean atlas; `moved` how far the results depart from it.

    `moved` is the energy of (result - atlas) over that of (truth - atlas), over all cases: 0 for the atlas itself, 1 for
    results as far from it as the truths are. `equals_atlas` is True where the results hardly leave the atlas, or stay near it
    and the whole interval of the gain lies within the margin; `beats_atlas` where the interval lies above the margin.
    """

    gain_db: Interval
    moved: float
    margin_db: float = MARGIN_DB

    @property
    def equals_atlas(self) -> bool:
        """Whether the method is the atlas as far as can be told."""
        within = abs(self.gain_db.low) <= self.margin_db and abs(self.gain_db.high) <= self.margin_db
        return self.moved < _STILL or (self.moved < _NEAR and within)

    @property
    def beats_atlas(self) -> bool:
        """Whether the gain is above the margin."""
        return not self.equals_atlas and self.gain_db.low > self.margin_db

    @property
    def text(self) -> str:
        """One sentence for a page."""
        if self.equals_atlas:
            return f"equals the mean atlas (gain {self.gain_db} dB): it has learnt nothing from the radiographs"
        if self.beats_atlas:
            return f"better than the mean atlas by {self.gain_db} dB"
        return f"not better than the mean atlas (gain {self.gain_db} dB)"


def check_against_atlas(
    mu: Tensor, truth: Tensor, atlas: Tensor, patients: Sequence[str], *, mu_water_per_mm: float, margin_db: float = MARGIN_DB
) -> AtlasCheck:
    """Compare results (B, 1, Z, Y, X) in 1/mm with the mean atlas (1, 1, Z, Y, X), paired by case."""
    if mu.shape != truth.shape or atlas.shape[1:] != mu.shape[1:] or len(patients) != len(mu):
        raise InputError(
            f"check_against_atlas expects results, truths and an atlas of one grid and a patient per case, got "
            f"{tuple(mu.shape)}, {tuple(truth.shape)}, {tuple(atlas.shape)} and {len(patients)} patients"
        )
    hu = lambda v: to_hu(v, mu_water_per_mm=mu_water_per_mm)
    here, there = psnr3d(hu(mu), hu(truth)), psnr3d(hu(atlas).expand_as(truth), hu(truth))
    finite = torch.isfinite(here) & torch.isfinite(there)
    kept = [one for one, ok in zip(patients, finite.tolist(), strict=True) if ok]
    gain = paired_difference(here[finite].numpy(), there[finite].numpy(), kept)
    moved = (mu - atlas).double().square().sum() / (truth - atlas).double().square().sum()
    return AtlasCheck(gain, float(moved), margin_db)
