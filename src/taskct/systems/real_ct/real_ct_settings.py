"""The size of the experiment with real CT: what is learnt from, for how long, and how it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from taskct.core.errors import ConfigError, unknown_name
from taskct.systems.real_ct.judged_ct import JUDGED


@dataclass(frozen=True, kw_only=True)
class RealCTExperiment:
    """Settings of the experiment; every number that a result depends on.

    data            folder with the CT, each in a folder of its name (docs/real-ct-network.md lists them)
    *_slices        built-in slices in training, by site; `validation` of each site of patients that training does not see
    variants        slices made of each real one of training, scaled and stretched anew
    photons         least and most photons per detector pixel in air; their logarithm is drawn evenly
    base_steps      image error alone, for both networks; `fork_steps` then with the image error or with the task term as well
    contrast        weight of the task term
    judged_photons  full dose of the judgement; `fractions` of it are judged, on the CT `judged` (JUDGED)
    strengths       of TV, tried on other slices of the same CT
    draws           scans with noise of their own from which the observers of lesions take their noise
    """

    data: str = "data"
    abdomen_slices: int = 80
    chest_slices: int = 80
    skull_slices: int = 30
    validation: int = 4
    variants: int = 4
    photons: tuple[float, float] = (4e3, 6e5)
    widths: tuple[int, ...] = (40, 80, 160)
    patch: int = 96
    batch: int = 24
    pairs: int = 8
    lr: float = 2e-3
    base_steps: int = 1800
    fork_steps: int = 1200
    contrast: float = 2.0
    judged_photons: float = 3e5
    fractions: tuple[float, ...] = (1.0, 0.25, 0.1, 0.05)
    judged: tuple[str, ...] = tuple(JUDGED)
    strengths: tuple[float, ...] = (0.6, 1.0, 1.6)
    draws: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.photons
        if not 0 < low < high:
            raise ConfigError(f"real-ct expects photons as (least, most), got {self.photons}")
        if self.draws < 2:
            raise ConfigError(f"real-ct expects draws of 2 or more, the scans whose noise is compared, got {self.draws!r}")
        if not self.fractions or not all(0 < f <= 1 for f in self.fractions):
            raise ConfigError(f"real-ct expects fractions of the dose above 0 and up to 1, got {self.fractions!r}")
        for ct in self.judged:
            if ct not in JUDGED:
                raise unknown_name("CT", ct, JUDGED)
        if not 0 < 2 * self.pairs <= self.batch:
            raise ConfigError(f"real-ct expects 1 pair or more, and 2 x pairs <= batch, got {self.pairs} and {self.batch}")

    @property
    def size(self) -> int:
        """Pixels of the images that steps are timed by."""
        return 128
