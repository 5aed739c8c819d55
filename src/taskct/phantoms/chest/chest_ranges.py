"""What a cohort of chests is drawn from: sizes, lesions and what only resembles them."""

from __future__ import annotations

from dataclasses import dataclass

from taskct.core.errors import ConfigError


@dataclass(frozen=True)
class ChestSettings:
    """Ranges of a cohort of chests.

    width_mm                lateral width of the trunk
    nodule_share            share of patients with nodules; infection_share with ground glass and consolidation
    effusion_share          share of patients with fluid beside a lung
    diameter_mm             range of nodule diameters, small ones commoner
    solid, part_solid       shares of the nodules' kinds; the rest are ground glass. Below 6 mm none is part-solid
    most_nodules            largest number of nodules in one patient
    distractors             emphysema, atelectasis of the dependent lung, thick fissures: not labelled as lesions
    noise_hu                noise of the reference scan in a patient 340 mm wide
    """

    width_mm: tuple[float, float] = (280.0, 460.0)
    nodule_share: float = 0.42
    infection_share: float = 0.30
    effusion_share: float = 0.12
    diameter_mm: tuple[float, float] = (3.0, 30.0)
    solid: float = 0.55
    part_solid: float = 0.2
    most_nodules: int = 6
    distractors: bool = True
    noise_hu: float = 8.0

    def __post_init__(self) -> None:
        low, high = self.width_mm
        if not 220 <= low <= high <= 560:
            raise ConfigError(f"chests expect width_mm as (low, high) within 220 to 560 mm, got {self.width_mm}")
        low, high = self.diameter_mm
        if not 2 <= low <= high <= 60:
            raise ConfigError(f"chests expect diameter_mm as (low, high) within 2 to 60 mm, got {self.diameter_mm}")
        for name in ("nodule_share", "infection_share", "effusion_share", "solid", "part_solid"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"chests expect {name} from 0 to 1, got {getattr(self, name)}")
        if self.solid + self.part_solid > 1:
            raise ConfigError(f"chests expect solid + part_solid up to 1, got {self.solid} + {self.part_solid}")
        if not 1 <= self.most_nodules <= 40:
            raise ConfigError(f"chests expect most_nodules from 1 to 40, got {self.most_nodules}")
        if not 0 <= self.noise_hu <= 100:
            raise ConfigError(f"chests expect noise_hu from 0 to 100 HU, got {self.noise_hu}")
