"""The slices of some cases as lists of images, and the refusal of cases that do not make one set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.data.case import Case
from taskct.data.marks import MARKS, Marks


@dataclass(eq=False)
class CaseSlices:
    """Slices mu (1, Y, X) in 1/mm, whose they are, their names, label maps (Y, X) and marks where a case has them."""

    mu: list[Tensor] = field(default_factory=list)
    patient_ids: list[str] = field(default_factory=list)
    case_ids: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    maps: list[Tensor | None] = field(default_factory=list)
    marks: list[Marks | None] = field(default_factory=list)
    label_names: Mapping[int, str] | None = None

    @property
    def labels(self) -> list[Tensor | None] | None:
        """The label maps; None where no slice has one."""
        return self.maps if any(m is not None for m in self.maps) else None

    @property
    def targets(self) -> dict[str, Sequence[Any]] | None:
        """The marks as a target; None where no slice has them."""
        return {MARKS: self.marks} if any(m is not None for m in self.marks) else None


def slices_of_cases(
    cases: Sequence[Case], slices: slice | None = None, *, labelled_only: bool = False, partly_labelled: bool = False
) -> CaseSlices:
    """All slices of some cases of one grid (or those of `slices`); `labelled_only` leaves out slices without any label.

    Raises GeometryError for cases of several grids, InputError where some have labels and others none (`partly_labelled`
    allows it), where water or the names of labels differ, or where no slice is left.
    """
    found = CaseSlices(label_names=_one_meaning(cases, partly_labelled=partly_labelled))
    for case in cases:
        part = case.take(slices) if slices is not None else case
        images = part.mu
        for k in range(len(images)):
            if labelled_only and (part.labels is None or not bool((part.labels[k] > 0).any())):
                continue
            found.mu.append(images[k])
            found.patient_ids.append(case.patient_id)
            found.case_ids.append(case.case_id)
            found.ids.append(f"{case.case_id}-s{range(len(case.hu))[slices or slice(None)][k]:03d}")
            found.maps.append(None if part.labels is None else part.labels[k])
            found.marks.append(None if part.marks is None else part.marks.crop(k))
    if not found.mu:
        raise InputError("ImageSet found no slice in the cases; are they empty, or without any label?")
    return found


def _one_meaning(cases: Sequence[Case], *, partly_labelled: bool) -> Mapping[int, str] | None:
    """The names of the labels that all cases share, after the refusal of cases that do not make one set."""
    shapes = {(tuple(c.hu.shape[1:]), tuple(round(s, 4) for s in c.spacing_mm[1:])) for c in cases}
    if len(shapes) > 1:
        raise GeometryError(f"ImageSet expects cases of one slice grid, got {sorted(shapes)}; resample them first")
    unlabelled = [c.case_id for c in cases if c.labels is None]
    if not partly_labelled and unlabelled and len(unlabelled) < len(cases):
        raise InputError(
            f"{unlabelled[0]}: has no labels, other cases do; give all of them labels or none, or say partly_labelled=True"
        )
    waters = sorted({c.mu_water_per_mm for c in cases})
    if len(waters) > 1:
        raise InputError(f"ImageSet expects cases with one mu_water_per_mm, got {waters}; open them with the same one")
    named = [dict(c.label_names) for c in cases if c.labels is not None and c.label_names]
    if any(n != named[0] for n in named):
        raise InputError(f"ImageSet expects cases whose labels mean the same, got {named[0]} and others; see with_classes")
    return named[0] if named else None
