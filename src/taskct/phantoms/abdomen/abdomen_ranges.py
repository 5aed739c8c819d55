"""What a cohort's patients have in common: the ranges they are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from taskct.core.errors import ConfigError


@dataclass(frozen=True)
class CohortSettings:
    """Ranges of the cohort. The defaults are meant to be about as hard as portal-venous liver scans.

    width_mm          lateral width of the body
    radius_mm         tumour radius (of the sphere of equal volume), small ones commoner
    contrast_hu       core of the hypodense tumours against the liver, both negative
    bright_share      share of tumours that enhance more than the liver instead
    healthy_share     share of patients without tumours
    most_lesions      largest number of tumours in one patient
    distractors       cysts, haemangiomas, focal fat and uneven perfusion, which are not labelled
    noise_hu          noise of the reference scan in a patient 340 mm wide (0: none); simulated low-dose scans add theirs
    """

    width_mm: tuple[float, float] = (260.0, 480.0)
    radius_mm: tuple[float, float] = (3.0, 25.0)
    contrast_hu: tuple[float, float] = (-70.0, -15.0)
    bright_share: float = 0.08
    healthy_share: float = 0.12
    most_lesions: int = 12
    distractors: bool = True
    noise_hu: float = 6.0

    def __post_init__(self) -> None:
        low, high = self.width_mm
        if not 200 <= low <= high <= 600:
            raise ConfigError(
                f"cohort expects width_mm as (low, high) within 200 to 600 mm, got {self.width_mm}; adults are 260 to 480"
            )
        low, high = self.radius_mm
        if not 1 <= low <= high <= 40:
            raise ConfigError(f"cohort expects radius_mm as (low, high) within 1 to 40 mm, got {self.radius_mm}")
        if not all(-90 <= c <= -2 for c in self.contrast_hu):
            raise ConfigError(
                f"cohort expects contrast_hu as two numbers from -90 to -2 HU (darker than the liver), "
                f"got {self.contrast_hu}; bright tumours are set by bright_share"
            )
        for name in ("bright_share", "healthy_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"cohort expects {name} from 0 to 1, got {getattr(self, name)}")
        if not 1 <= self.most_lesions <= 40:
            raise ConfigError(f"cohort expects most_lesions from 1 to 40, got {self.most_lesions}")
        if not 0 <= self.noise_hu <= 100:
            raise ConfigError(f"cohort expects noise_hu from 0 to 100 HU, got {self.noise_hu}")
