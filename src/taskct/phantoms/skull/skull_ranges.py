"""What a cohort of skulls is drawn from: ages, kinds of deformation, family, spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from taskct.core.errors import ConfigError, unknown_name

KINDS = ("none", "sagittal", "coronal", "bicoronal", "metopic", "lambdoid", "positional")
FAMILIES = ("first", "second")
_SHARES = {
    "none": 0.58,
    "sagittal": 0.12,
    "coronal": 0.06,
    "bicoronal": 0.03,
    "metopic": 0.06,
    "lambdoid": 0.03,
    "positional": 0.12,
}


@dataclass(frozen=True)
class SkullSettings:
    """Ranges of a cohort of skulls.

    age_months   range of ages, 0 (birth) to 240 (adult), evenly drawn
    kinds        share of each kind: none, craniosynostosis (sagittal, coronal of one side, bicoronal, metopic, lambdoid of
                 one side), positional plagiocephaly. A deformed skull is far commoner here than at birth (1 in 2000 to 2500)
    family       "first", or "second": other base shapes and another law of suture widths, for testing what was learnt
    pose         whether the head is turned and moved a little, as in a scanner
    noise_hu     noise of the reference scan
    """

    age_months: tuple[float, float] = (0.0, 24.0)
    kinds: Mapping[str, float] = field(default_factory=lambda: dict(_SHARES))
    family: str = "first"
    pose: bool = True
    noise_hu: float = 6.0

    def __post_init__(self) -> None:
        low, high = self.age_months
        if not 0 <= low <= high <= 240:
            raise ConfigError(f"skulls expect age_months as (low, high) within 0 to 240 months, got {self.age_months}")
        for kind, share in self.kinds.items():
            if kind not in KINDS:
                raise unknown_name("kind of skull", str(kind), KINDS)
            if not 0 <= share < math.inf:
                raise ConfigError(f"skulls expect shares of kinds from 0, got {kind} = {share!r}")
        if not sum(self.kinds.values()) > 0:
            raise ConfigError(f"skulls expect at least one kind with a share above 0, got {dict(self.kinds)}")
        if self.family not in FAMILIES:
            raise unknown_name("family of skulls", self.family, FAMILIES)
        if not 0 <= self.noise_hu <= 100:
            raise ConfigError(f"skulls expect noise_hu from 0 to 100 HU, got {self.noise_hu}")

    def __hash__(self) -> int:
        return hash((self.age_months, tuple(sorted(self.kinds.items())), self.family, self.pose, self.noise_hu))
