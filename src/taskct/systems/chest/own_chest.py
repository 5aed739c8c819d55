"""What was read of a user's chest CT, before it is written."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from taskct.data.case import Case
from taskct.data.lungs import Lungs
from taskct.systems.chest.own_lesions import Finding, OwnAnswers, OwnLesion


@dataclass(frozen=True, eq=False)
class OwnChest:
    """What was read of a CT. `labels` are areas on its samples; `outside` says what of the CT the network never saw.

    `trained_on` and `limits` are sentences on the network; `votes` counts readers at each sample, where such
    a map was given; `left_out` says what was marked where no lung can be, "" for nothing.
    """

    case: Case
    lungs: Lungs
    answers: OwnAnswers
    outside: tuple[str, ...]
    trained_on: str
    limits: tuple[str, ...]
    network: str
    votes: Tensor | None = None
    left_out: str = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Scores of the findings."""
        return self.answers.findings

    @property
    def lesions(self) -> tuple[OwnLesion, ...]:
        """Lesions, the surest first."""
        return self.answers.lesions

    @property
    def labels(self) -> Tensor | None:
        """0 nothing, k the k-th of `AREAS`."""
        return self.answers.labels

    def slice_at(self, z_mm: float) -> int:
        """Number of the slice at a height above the first one."""
        return min(max(round(z_mm / self.case.spacing_mm[0]), 0), len(self.case.hu) - 1)
