"""Hallucination audit: put a lesion in or take one out before the scan; does the reader's answer follow?

Every pair is one anatomy twice, with a lesion and without, scanned with the same noise and reconstructed by every method. The
reader says "lesion" when it marks enough of the place where the lesion is, or would be. Four answers are possible:

                        reader: lesion      reader: none
    lesion present      found               missed
    lesion absent       false               clear

A method is judged against the same reader on the full-dose image: what the reader gets wrong there is not the method's doing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import InputError, unknown_name
from taskct.data.case import Case
from taskct.evaluation.project_case import Prepare, ProjectCase
from taskct.evaluation.reading.panel import read_images
from taskct.evaluation.reading.segmentation import winner
from taskct.evaluation.statistics import Interval, bootstrap_mean
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import check_units
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import neighbours_of, stacks
from taskct.simulate.noisy_scan import add_noise
from taskct.task.frozen import FrozenTask

FULL_DOSE = "full dose"
KINDS = ("inserted", "removed")


@dataclass(frozen=True, eq=False)
class LesionPair:
    """One anatomy without and with a lesion: `kind` says whether it was inserted into the original or removed from it."""

    without: Case
    with_lesion: Case
    kind: str = "inserted"
    lesion_class: int = 2

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of lesion pair", self.kind, KINDS, InputError)
        one, other = self.without, self.with_lesion
        if one.labels is None or other.labels is None or one.hu.shape != other.hu.shape or one.case_id != other.case_id:
            raise InputError(
                f"a lesion pair expects two labelled versions of one case, got {one.case_id} {tuple(one.hu.shape)} and "
                f"{other.case_id} {tuple(other.hu.shape)}"
            )
        if not bool(self.region.any()):
            raise InputError(f"case {one.case_id}: its two versions have the same lesions, so there is nothing to follow")

    @classmethod
    def inserted(cls, case: Case, edit: Callable[[Case], Case], *, lesion_class: int = 2) -> LesionPair:
        """`edit` puts a lesion into the case: `lambda case: insert_lesion(case, centre_mm=..., ...)`."""
        return cls(case, edit(case), "inserted", lesion_class)

    @classmethod
    def removed(cls, case: Case, edit: Callable[[Case], Case], *, lesion_class: int = 2) -> LesionPair:
        """`edit` takes a lesion out of the case: `lambda case: remove_lesion(case, centre_mm=..., seed=0)`."""
        return cls(edit(case), case, "removed", lesion_class)

    @property
    def region(self) -> Tensor:
        """Where the lesion is in one and not in the other, bool (Z, Y, X)."""
        assert self.without.labels is not None and self.with_lesion.labels is not None
        return (self.with_lesion.labels == self.lesion_class) & (self.without.labels != self.lesion_class)

    @property
    def slices(self) -> list[int]:
        """Slices that show it, the largest section first."""
        area = self.region.sum((1, 2))
        return [int(k) for k in torch.argsort(area, descending=True, stable=True) if area[k] > 0]


class Answer(NamedTuple):
    """What one reader said of one slice of a pair, in both states."""

    case: str
    patient: str
    slice: int
    kind: str
    method: str
    reader: str
    when_present: bool
    when_absent: bool
    full_when_present: bool
    full_when_absent: bool


@dataclass(frozen=True)
class Response:
    """Rates over patients of one method under one reader.

    `found` and `false` are the two rates of "lesion" (present, absent), `follows` their difference, slice by slice. `invented`
    are false ones that the reader does not see on the full-dose image, `lost` missed ones that it finds there.
    """

    found: Interval
    false: Interval
    follows: Interval
    invented: Interval
    lost: Interval

    @property
    def matrix(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """((found, missed), (false, clear))."""
        return (self.found.mean, 1 - self.found.mean), (self.false.mean, 1 - self.false.mean)


@dataclass(eq=False)
class Audit:
    """Answers of all pairs, methods and readers; `+` joins audits (of several training seeds, doses apart)."""

    answers: list[Answer] = field(default_factory=list)

    def __add__(self, other: Audit) -> Audit:
        return Audit(self.answers + other.answers)

    @property
    def methods(self) -> list[str]:
        """Methods, full dose first."""
        return list(dict.fromkeys([FULL_DOSE, *(a.method for a in self.answers)]))

    def response(self, method: str, *, reader: str | None = None, kind: str | None = None, seed: int = 0) -> Response:
        """The response matrix of a method with intervals over patients; all readers and both kinds together unless named."""
        chosen = [a for a in self.answers if a.method == method and reader in (None, a.reader) and kind in (None, a.kind)]
        if not chosen:
            raise InputError(f"the audit holds no answer of method {method!r}, reader {reader!r}, kind {kind!r}")
        owners = [a.patient for a in chosen]
        rate = lambda values: bootstrap_mean([float(v) for v in values], owners, seed=seed)
        return Response(
            rate(a.when_present for a in chosen),
            rate(a.when_absent for a in chosen),
            rate(a.when_present - a.when_absent for a in chosen),
            rate(a.when_absent and not a.full_when_absent for a in chosen),
            rate(a.full_when_present and not a.when_present for a in chosen),
        )

    def table_text(self) -> str:
        """One line per method and reader, as Markdown."""
        lines = ["| method | reader | found | false | follows | invented | lost |", "|---|---|---|---|---|---|---|"]
        for method in self.methods:
            for reader in dict.fromkeys(a.reader for a in self.answers if a.method == method):
                r = self.response(method, reader=reader)
                lines.append(f"| {method} | {reader} | {r.found} | {r.false} | {r.follows} | {r.invented} | {r.lost} |")
        return "\n".join(lines)


def audit_lesions(
    pairs: Iterable[LesionPair],
    methods: Mapping[str, Reconstructor],
    A: Projector | Callable[[Case], Projector],
    dose: Dose,
    readers: Sequence[FrozenTask],
    *,
    seed: int = 0,
    slices_per_pair: int = 1,
    min_share: float = 0.1,
    prepare: Prepare | None = None,
) -> Audit:
    """Scan both versions of every pair with the same noise, reconstruct with each method, ask each reader.

    `methods` are callables (p, A) -> mu on slices, as `evaluate` takes them; "full dose" is the truth itself. The reader says
    "lesion" when it marks `min_share` of the place, and one pixel or more. `slices_per_pair` of the largest sections are used;
    a network that looks at neighbouring slices is shown those too.
    """
    if not methods or not readers or FULL_DOSE in methods:
        raise InputError(f"audit_lesions expects methods (none called {FULL_DOSE!r}) and readers")
    project = prepare or ProjectCase()
    most = max(neighbours_of(method) for method in methods.values())
    answers: list[Answer] = []
    for pair in pairs:
        A_case = A if isinstance(A, Projector) else A(pair.without)
        numbers = pair.slices[:slices_per_pair]
        wide = stacks(numbers, most, len(pair.without.hu))
        region = pair.region[numbers]  # (B, Y, X)
        shown: dict[str, list[Tensor]] = {name: [] for name in (FULL_DOSE, *methods)}
        for case in (pair.with_lesion, pair.without):
            subject = project(case, wide, A_case)
            p = add_noise(subject.p, dose, seed=seed, case_id=case.case_id, items=wide)
            p = p.reshape(len(numbers), 2 * most + 1, *p.shape[2:])
            for name, method in methods.items():
                check_units(method, subject.images.mu_water_per_mm, who=f"case {case.case_id} for method {name!r}")
            for reader in readers:
                reader.check_images(
                    who=f"case {case.case_id}",
                    mu_water_per_mm=subject.images.mu_water_per_mm,
                    spacing_mm=subject.images.spacing_mm,
                    label_names=case.label_names,
                )
            shown[FULL_DOSE].append(subject.mu[most :: 2 * most + 1])
            for name, method in methods.items():
                k = neighbours_of(method)
                with torch.no_grad():
                    shown[name].append(method(p[:, most - k : most + k + 1].clone(), A_case).detach())
        for reader in readers:
            said = {
                name: [_says(reader, mu, region, pair.lesion_class, min_share) for mu in states]
                for name, states in shown.items()
            }
            answers.extend(_answers(pair, numbers, reader.name, said))
    return Audit(answers)


def _says(reader: FrozenTask, mu: Tensor, region: Tensor, lesion_class: int, min_share: float) -> np.ndarray:
    """Whether the reader marks enough of the region, bool (B,)."""
    marked = (winner(read_images(reader, mu)) == lesion_class) & region
    needed = (min_share * region.sum((1, 2))).clamp_min(1)
    return np.asarray((marked.sum((1, 2)) >= needed).numpy())


def _answers(pair: LesionPair, numbers: Sequence[int], reader: str, said: Mapping[str, list[np.ndarray]]) -> Iterator[Answer]:
    full_present, full_absent = said[FULL_DOSE]
    for name, (present, absent) in said.items():
        for k, number in enumerate(numbers):
            flags = (bool(x[k]) for x in (present, absent, full_present, full_absent))
            yield Answer(pair.without.case_id, pair.without.patient_id, number, pair.kind, name, reader, *flags)
