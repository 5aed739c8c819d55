"""What a learned dose is for: the quality to hold, how it is held and measured, and what photons cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from taskct.core.errors import ConfigError
from taskct.evaluation.dose.target import Target, parse_target
from taskct.evaluation.protocol import Protocol
from taskct.systems.alara.learned.constraints import Constraint
from taskct.task import FrozenTask

Spend = Literal["photons", "log"]


@dataclass(frozen=True, kw_only=True)
class DoseGoal:
    """The least dose at which a quality holds.

    target             such as "psnr[image range]>=38.57" or "tumour.dice>=0.95*full"
    constraint         how it is held: `Hinge`, `MeanQuality`, `ShareOfPatients`
    reader, classes    of a target with a class: the frozen reader, and the labels of its classes, {"tumour": 2}
    protocol           mask and range of image qualities
    reference_photons  dose 1 of the objective; the dose module's fallback
    full_photons       full dose of targets that are a share of it; the module's highest
    spend              "photons": mean photons cost; "log": their logarithm
    image_weight       of the image error, which keeps the reconstruction learning
    """

    target: Target | str
    constraint: Constraint
    reader: FrozenTask | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    protocol: Protocol | None = None
    reference_photons: float | None = None
    full_photons: float | None = None
    spend: Spend = "photons"
    image_weight: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.constraint, Constraint):
            raise ConfigError(
                f"a dose goal expects a constraint such as MeanQuality() or Hinge(), got {type(self.constraint).__name__}"
            )
        if isinstance(self.target, str):
            object.__setattr__(self, "target", parse_target(self.target))

    @property
    def held(self) -> Target:
        """The target, parsed."""
        assert isinstance(self.target, Target)
        return self.target
