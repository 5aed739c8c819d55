"""What the dose module is told of a patient before the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from taskct.core.errors import ConfigError
from taskct.core.seeds import derive_seed, generator
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.learned.scaling import MuScale
from taskct.simulate.noisy_scan import add_noise
from taskct.simulate.scout import SCOUT_PHOTONS, SMOOTH_COLS, smooth_scout, take_scout

PATH_SCALE = 5.0  # line integrals of bodies are 0 to 10
_PATH_LEVEL, _MU_LEVEL = 0.5, -0.5  # in the module's numbers: above it there is body


@dataclass(frozen=True, kw_only=True)
class PriorInfo:
    """The kind of information and how it is taken.

    kind       scout: frontal and lateral line integrals, (2, slices, C); preshot: FBP of the middle slice at very low dose,
               (1, Y, X); earlier: an earlier scan of the middle slice, which never lies quite the same, (1, Y, X)
    photons    of the scout or the pre-shot, per pixel and view, exact Poisson
    smooth_cols  detector columns over which the scout's counts are averaged (`smooth_scout`), by default as many as for the
               strategies that do not learn, so that all see the same; 1: none
    shift_mm   SD of the patient's place in the earlier scan against today
    seed       of its noise
    """

    kind: Literal["scout", "preshot", "earlier"] = "scout"
    photons: float = SCOUT_PHOTONS
    smooth_cols: int = SMOOTH_COLS
    shift_mm: float = 8.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.photons > 0 or self.shift_mm < 0 or self.smooth_cols < 1 or self.smooth_cols % 2 == 0:
            raise ConfigError(
                f"PriorInfo expects photons > 0, shift_mm >= 0 and an odd number of smooth_cols from 1 on, got "
                f"{self.photons!r}, {self.shift_mm!r} and {self.smooth_cols!r}"
            )

    @property
    def channels(self) -> int:
        """Channels of the dose module's input."""
        return 2 if self.kind == "scout" else 1

    def take(self, p: Tensor, mu: Tensor, A: Projector, *, patient_id: str, items: Sequence[int | str]) -> Tensor:
        """From a patient's noise-free p (S, 1, V, C) and mu (S, 1, Y, X) -> (channels, rows, columns) in numbers of order 1.

        `mu` is looked at for the earlier scan only.
        """
        with torch.no_grad():
            if self.kind == "scout":
                lines = take_scout(p, A, photons=self.photons, seed=self.seed, case_id=patient_id)
                return smooth_scout(lines, self.smooth_cols) / PATH_SCALE
            middle = len(p) // 2
            if self.kind == "preshot":
                noisy = add_noise(
                    p[middle : middle + 1],
                    Dose(self.photons),
                    seed=derive_seed(self.seed, "pre-shot"),
                    case_id=patient_id,
                    items=[items[middle]],
                )
                return MuScale().normalise(fbp(noisy, A, window="hann", frequency_scale=0.5))[0]
            stream = generator(self.seed, patient_id, "earlier scan")
            moved = torch.randn(2, generator=stream) * self.shift_mm
            steps = [round(float(m) / s) for m, s in zip(moved, A.grid.spacing_mm[-2:], strict=True)]
            return MuScale().normalise(torch.roll(mu[middle], shifts=steps, dims=(-2, -1)))

    def describe(self, prior: Tensor) -> Tensor:
        """A few numbers of each patient, by which one unlike the others can be told: (B, C, Y, X) -> (B, 5 C), float64.

        Per channel: mean, SD, mean and largest maximum of a row, and the share of samples that hold body.
        """
        x = prior.double()
        rows = x.amax(-1)
        level = _PATH_LEVEL / PATH_SCALE if self.kind == "scout" else _MU_LEVEL
        parts = [x.mean((2, 3)), x.std((2, 3)), rows.mean(-1), rows.amax(-1), (x > level).double().mean((2, 3))]
        return torch.cat(parts, dim=1)
