"""Studies of a run folder: the slices that an evaluation kept, with the scores of its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from taskct.core.names import plain_name
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.case import Case
from taskct.evaluation.metrics import rmse
from taskct.evaluation.rows import ALL, SECONDS, DoseLevel, Example
from taskct.evaluation.table import Table
from taskct.viewer.lesion_list import is_lesion, lesions_of_case
from taskct.viewer.study import REFERENCE, Lesion, Score, Study, StudyFacts

TRUTH = "truth"


class Mark(NamedTuple):
    """What a stored mark belongs to."""

    plane: int
    method: str
    dose: DoseLevel
    reader: str


class RunStudy(Study):
    """The kept slices of one case: `examples` of one size, the table of their scores, and marks that were stored."""

    def __init__(
        self,
        examples: Sequence[Example],
        table: Table,
        *,
        title: str,
        names: Sequence[str] = (),
        marks: Mapping[Mark, Tensor] | None = None,
        unfinished: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self._examples, self._table, self._marks = list(examples), table, dict(marks or {})
        first = self._examples[0]
        have = {key for example in self._examples for key in example.recon_hu}
        methods = list(dict.fromkeys(method for example in self._examples for method, _ in example.recon_hu))
        doses = sorted({dose for _, dose in have}, key=lambda d: (-d.used_photons, d))
        named: dict[int, str] = {}
        for example in self._examples:
            named |= example.label_names
        water = {c.get("case_id"): c.get("mu_water_per_mm") for c in table.cases}.get(first.case)
        self.facts = StudyFacts(
            title=plain_name(title),
            methods=(TRUTH, *methods),
            doses=tuple(doses),
            shown=((), *(tuple(k for k, d in enumerate(doses) if (m, d) in have) for m in methods)),
            planes=tuple(names) or tuple(f"slice {example.slice}" for example in self._examples),
            shape=(first.truth_hu.shape[0], first.truth_hu.shape[1]),
            spacing_mm=(0.0, *first.spacing_mm),
            label_names=named,
            labelled=any(example.labels is not None for example in self._examples),
            mu_water_per_mm=float(water) if isinstance(water, int | float) else MU_WATER_70KEV_PER_MM,
            marked_by=tuple(dict.fromkeys(mark.reader for mark in self._marks)),
            unfinished=unfinished,
            notes=tuple(notes),
        )
        self._rows: dict[tuple[str, DoseLevel, int | None], list[tuple[str, float]]] = {}
        for row in table.rows:
            if row.case == first.case and row.region == ALL and row.metric != SECONDS and not row.reader:
                self._rows.setdefault((row.method, row.dose, row.item), []).append((row.metric, row.value))

    def image(self, method: int, dose: int, plane: int) -> Tensor:
        """The truth, or the image that the run stored of it (in 16 bits)."""
        self.check(method, dose, plane)
        example = self._examples[plane]
        if method == REFERENCE:
            return example.truth_hu
        stored = example.recon_hu.get((self.facts.methods[method], self.facts.doses[dose]))
        return torch.full_like(example.truth_hu, math.nan) if stored is None else stored

    def labels(self, plane: int) -> Tensor | None:
        """The labels of the slice."""
        return self._examples[plane].labels

    def marks(self, reader: str, method: int, dose: int, plane: int) -> Tensor | None:
        """What the reader marked when the run was scored."""
        if method == REFERENCE:
            ours = (m for k, m in self._marks.items() if (k.plane, k.method, k.reader) == (plane, TRUTH, reader))
            return next(ours, None)
        return self._marks.get(Mark(plane, self.facts.methods[method], self.facts.doses[dose], reader))

    def scores(self, method: int, dose: int, plane: int) -> Sequence[Score]:
        """The scores of the table for this slice; where it has none, the RMSE of the image that is shown."""
        if method == REFERENCE:
            return ()
        self.check(method, dose, plane)
        example, level = self._examples[plane], self.facts.doses[dose]
        found = []
        for metric, value in self._rows.get((self.facts.methods[method], level, example.slice), ()):
            about = self._table.label(metric)
            found.append(Score(about["label"], about["unit"], about["better"], value))
        if found:
            return found
        error = rmse(self.image(method, dose, plane)[None, None], example.truth_hu[None, None], mask=example.mask)
        return [Score("RMSE", "HU", "lower", float(error))]

    def lesions(self) -> Sequence[Lesion]:
        """The labelled lesions, slice by slice."""
        found: list[Lesion] = []
        words = any(is_lesion(name) for name in self.facts.label_names.values())
        for plane, example in enumerate(self._examples):
            if example.labels is None or (not words and plane):
                continue
            case = Case(
                torch.zeros(1, *self.facts.shape),
                (1.0, *example.spacing_mm),
                labels=example.labels[None].to(torch.int64),
                label_names=self.facts.label_names,
            )
            here = lesions_of_case(case)
            found += [one._replace(plane=plane) for one in here if not words or is_lesion(one.name)]
        return found


def studies_of_table(table: Table, *, title: str, unfinished: str = "", notes: Sequence[str] = ()) -> list[RunStudy]:
    """A study for each case of a table with kept images, its slices in order; slices of another size are one of their own."""
    groups: dict[tuple[str, tuple[int, ...]], list[Example]] = {}
    for example in table.images:
        groups.setdefault((example.case, tuple(example.truth_hu.shape)), []).append(example)
    cases = len({case for case, _ in groups})
    return [
        RunStudy(
            sorted(examples, key=lambda one: one.slice),
            table,
            title=f"{title}: {case}" if cases > 1 else f"{title}, {case}",
            unfinished=unfinished,
            notes=notes,
        )
        for (case, _), examples in groups.items()
    ]
