"""What a report on a task experiment is made of: the readers' table, verdicts, examples, and what was looked for beside."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from taskct.core.errors import InputError
from taskct.evaluation.reading import ArtefactReport, Audit, NeededDose, TaskVerdict, needed_dose
from taskct.evaluation.reading.recovery import share_recovered
from taskct.evaluation.reading.task_verdict import BOUND_WORD, LOWER_BOUND
from taskct.evaluation.rows import UNSEEN, DoseLevel
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import Table
from taskct.training.flatness import Flatness

LEAD = "dice"
"""The score that a page leads with: the Dice of a patient; lesions at equal alarms and pooled Dice stand beside it."""


@dataclass(frozen=True, eq=False)
class TaskExample:
    """One slice: `truth_hu` (Y, X) with its labels, and what methods made of it, {(method, dose): hu}.

    `marks` {(method, dose, reader): labels (Y, X)} is what readers said. The dose of full-dose images is that of the table.
    """

    name: str
    spacing_mm: tuple[float, float]
    truth_hu: Tensor
    labels: Tensor
    images_hu: Mapping[tuple[str, DoseLevel], Tensor]
    marks: Mapping[tuple[str, DoseLevel, str], Tensor]


@dataclass(frozen=True)
class BaseTraining:
    """How the validation error of one base went: (step, error) each time, and what `flatness` says of its end.

    `model` is the label of its network, with which the names of its methods begin; `seed` that of its training.
    """

    model: str
    curve: tuple[tuple[int, float], ...]
    flatness: Flatness
    seed: int = 0

    @property
    def name(self) -> str:
        """The base in tables and figures."""
        return f"{self.model}, seed {self.seed}" if self.seed else self.model


class Rival(NamedTuple):
    """The best task method, the best method without a task loss, and the first minus the second in Dice of a patient."""

    best: str
    rival: str
    lead: Interval


@dataclass(frozen=True, eq=False)
class TaskStory:
    """A task experiment as its report tells it.

    `baselines` names for each method the one that it is compared with; methods without one stand for themselves.
    `verdicts` are by (method, baseline, dose). `compute` is the training time of each method in seconds of one core, `notes`
    are lines about how it was made, `bases` the trainings that all others begin from, `shown` the methods in the pictures and
    curves (all of them when empty). The first lines of the page speak of the methods in `task_adaptive` (all with a verdict
    when empty) and of the negative `controls`; `has_task_losses` is False where only reconstructors are compared. `missing`
    names what is not scored yet: the page of an unfinished experiment says so first.
    """

    table: Table
    baselines: Mapping[str, str]
    verdicts: Mapping[tuple[str, str, DoseLevel], TaskVerdict]
    examples: Sequence[TaskExample] = ()
    audit: Audit | None = None
    artefacts: Mapping[tuple[str, DoseLevel], ArtefactReport] = field(default_factory=dict)
    compute: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    full_dose: str = "full dose"
    shown: Sequence[str] = ()
    task_adaptive: Sequence[str] = ()
    controls: Sequence[str] = ()
    bases: Sequence[BaseTraining] = ()
    margin: float = 0.05
    missing: Sequence[str] = ()
    has_task_losses: bool = True

    @property
    def doses(self) -> list[DoseLevel]:
        """Doses at which methods were scored, the highest first; not that of the full-dose images."""
        found = {r.dose for r in self.table.rows if r.method != self.full_dose}
        return sorted(found, key=lambda d: -d.used_photons)

    def share(self, method: str, baseline: str, dose: DoseLevel) -> Interval:
        """The share of the recoverable gap in a patient's Dice, one reader in gain and gap; InputError where not measured."""
        return share_recovered(self.table, LEAD, method, baseline, dose=dose, region=self.lesion)

    def needed_doses(self) -> list[NeededDose]:
        """The dose at which each method comes within the margin of full dose under unseen readers, where it was measured."""
        found = []
        for method in self.table.methods:
            if method == self.full_dose:
                continue
            with suppress(InputError):
                found.append(
                    needed_dose(self.table, method, margin=self.margin, metric=LEAD, region=self.lesion, full=self.full_dose)
                )
        return found

    def readers(self, reader: str) -> str | list[str]:
        """Readers as `Table` takes them: all of a role of which there may be several, or the one that is named."""
        return self.table.of_role(reader) if reader in ("training", "retrained") else reader

    def mean(self, metric: str, method: str, *, dose: DoseLevel, region: str, reader: str) -> Interval | None:
        """The mean of a score, None where it was not measured."""
        names = self.readers(reader)
        if not names:
            return None
        try:
            found = self.table.mean(metric, method, dose=dose, region=region, reader=names)
        except InputError:
            return None
        return found if math.isfinite(found.mean) else None

    @property
    def task_methods(self) -> list[str]:
        """The methods that the first lines speak of."""
        return [m for m in (self.task_adaptive or self.baselines) if m not in self.controls]

    def verdicts_of(self, methods: Iterable[str], dose: DoseLevel | None = None) -> list[TaskVerdict]:
        """Verdicts of some methods at a dose (None: at any) that asked unseen readers."""
        wanted = list(methods)
        return [v for (m, _, d), v in self.verdicts.items() if m in wanted and d == (dose or d) and "unseen" in v.numbers]

    def unseen_mean(self, method: str, dose: DoseLevel) -> float:
        """Dice of a patient under unseen readers; minus infinity where it was not measured."""
        found = self.mean(LEAD, method, dose=dose, region=self.lesion, reader=UNSEEN)
        return -math.inf if found is None else found.mean

    def best_rival(self, dose: DoseLevel) -> Rival | None:
        """The best task method beside the best method without a task loss under unseen readers; None without either."""
        ours = {v.method: self.unseen_mean(v.method, dose) for v in self.verdicts_of(self.task_methods, dose)}
        left_out = {*ours, *self.task_methods, *self.controls, self.full_dose}
        others = {m: self.unseen_mean(m, dose) for m in self.table.methods if m not in left_out}
        best = max(ours, key=lambda m: ours[m], default=None)
        rival = max(others, key=lambda m: others[m], default=None)
        if best is None or rival is None or not math.isfinite(ours[best] + others[rival]):
            return None
        return Rival(best, rival, self.table.paired(LEAD, best, rival, dose=dose, region=self.lesion))

    @property
    def comparisons(self) -> int:
        """How many comparisons the verdicts were corrected for together; 0 before the correction."""
        return max((v.comparisons for v in self.verdicts.values()), default=0)

    @property
    def bound_word(self) -> str:
        """What a retrained reader gives: "bound" where it earns the name, else "lower bound"."""
        return str(self.table.notes.get(BOUND_WORD, LOWER_BOUND))

    @property
    def lesion(self) -> str:
        """The region of the lesions."""
        return str(self.table.notes.get("lesion_class", "tumour"))

    @property
    def drawn(self) -> list[str]:
        """Methods in the pictures and curves, full dose first."""
        wanted = self.shown or [m for m in self.table.methods if m != self.full_dose]
        return [m for m in wanted if m in self.table.methods]
