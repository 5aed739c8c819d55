"""Every method at every dose on one subject: reconstructed, measured, and kept as images where they are asked for."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from taskct.core.errors import InputError, TaskctError
from taskct.core.units import check_mu
from taskct.data.case import Case
from taskct.evaluation.masks import evaluation_mask, label_regions
from taskct.evaluation.project_case import Prepare
from taskct.evaluation.protocol import Images, Measure, Protocol
from taskct.evaluation.rows import ALL, NOISE_FREE, SECONDS, DoseLevel, Example, Row
from taskct.evaluation.subject import Subject
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import check_units, check_unseen
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import neighbours_of, stacks
from taskct.simulate.noisy_scan import add_noise


@dataclass(frozen=True)
class SubjectPlan:
    """What is done with every subject: methods, doses, measures, and which (case, slice) are kept as images."""

    methods: dict[str, Reconstructor]
    doses: list[Dose]
    seed: int
    protocol: Protocol
    measures: dict[str, Measure]
    prepare: Prepare
    noise_free: bool
    kept: frozenset[tuple[str, int]]

    @property
    def most_neighbours(self) -> int:
        """How many slices on each side some method looks at."""
        return max(neighbours_of(method) for method in self.methods.values())

    def shown_to(self, name: str, p: Tensor, slices: int) -> Tensor:
        """Of the stacks of slices p, what a method looks at: a copy, since one that edits it must not harm the next."""
        wide, k = len(p) // slices // 2, neighbours_of(self.methods[name])
        if not wide:
            return p.clone()
        return p.reshape(slices, 2 * wide + 1, *p.shape[2:])[:, wide - k : wide + k + 1].clone()


@dataclass
class Findings:
    """What subjects add beside rows.

    images    the examples that are kept
    warned    what each method warned of, once a run
    failed    methods that have no image without noise, and why
    """

    images: dict[tuple[str, int], Example] = field(default_factory=dict)
    warned: dict[str, list[warnings.WarningMessage]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, other: Findings) -> None:
        """What another process found."""
        self.images |= other.images
        for name, heard in other.warned.items():
            self.warned.setdefault(name, []).extend(heard)
        self.failed = other.failed | self.failed


def measure_slices(
    case: Case, numbers: Sequence[int], A: Projector, plan: SubjectPlan, found: Findings
) -> Iterator[list[Row]]:
    """The rows of some slices of a case, or of its volume; 2.5D methods are shown the slices of the case beside them."""
    k = 0 if A.grid.ndim == 3 else plan.most_neighbours
    wide = stacks(numbers, k, len(case.hu)) if k else []
    shown = sorted(set(wide))  # each slice is projected once, however many stacks it stands in
    beside = (plan.prepare(case, shown, A), [shown.index(n) for n in wide]) if k else None
    yield from measure_subject(plan.prepare(case, numbers, A), plan, found, beside=beside)


def measure_subject(
    subject: Subject, plan: SubjectPlan, found: Findings, *, beside: tuple[Subject, list[int]] | None = None
) -> Iterator[list[Row]]:
    """The rows of each method, without noise and at each dose, on one subject; images and warnings are added to `found`.

    `beside` holds the slices that the plan's methods look at, and where those of each stack stand among them, one stack after
    the other.
    """
    for name, method in plan.methods.items():
        who = f"case {subject.case_id} for method {name!r}"
        check_units(method, subject.images.mu_water_per_mm, who=who)
        check_unseen(method, subject.patient_id, lambda: subject.truth_hu, who=f"case {subject.case_id}")
    mask = evaluation_mask(plan.protocol.mask, subject.A.grid, subject.A.beam, subject.truth_hu)
    labels = _labels(subject)
    regions = {} if labels is None else label_regions(labels, subject.label_names)
    examples = _start_examples(subject, plan, found, mask)
    seen = lambda mu: Images(mu, subject.mu, subject.hu(mu), subject.truth_hu, mask, regions)
    places = _places(subject)
    scanned, places_of_stacks = beside or (subject, None)
    stacked = lambda p: p if places_of_stacks is None else p[places_of_stacks]
    if plan.noise_free:
        for name in plan.methods:
            mu = _noise_free(name, stacked(scanned.p), subject, plan, found)
            yield [] if mu is None else _rows(seen(mu), subject, plan, name, NOISE_FREE)
    for dose in plan.doses:
        p = stacked(add_noise(scanned.p, dose, seed=plan.seed, case_id=scanned.case_id, items=scanned.items))
        level = DoseLevel(dose.fraction, dose.photons)
        for name in plan.methods:
            mu, seconds = _reconstruct(name, p, subject, plan, found, at=f"{dose.fraction:g} of {dose.photons:g} photons")
            measured = seen(mu)
            for place, example in examples:
                example.recon_hu[name, level] = _plane(measured.hu, place).float().cpu()
            rows = [
                Row(name, subject.case_id, subject.patient_id, place, *level, SECONDS, ALL, seconds / len(places))
                for place in places
            ]
            yield rows + _rows(measured, subject, plan, name, level)


def _rows(seen: Images, subject: Subject, plan: SubjectPlan, method: str, level: DoseLevel) -> list[Row]:
    rows = []
    axes = tuple(range(1, seen.mask.ndim))
    for metric, measure in plan.measures.items():
        regions = {ALL: seen.mask}
        if measure.per_region:
            regions |= {name: region & seen.mask for name, region in seen.regions.items()}
        for region, mask in regions.items():
            values = measure.compute(seen, plan.protocol, mask).double().cpu().tolist()
            sizes = mask.sum(axes).tolist()
            for place, value, size in zip(_places(subject), values, sizes, strict=True):
                if region == ALL or size >= plan.protocol.region_min_pixels:
                    owner = (subject.case_id, subject.patient_id)
                    rows.append(Row(method, *owner, place, *level, metric, region, value))
    return rows


def _noise_free(name: str, p: Tensor, subject: Subject, plan: SubjectPlan, found: Findings) -> Tensor | None:
    """The method's image of the scan without noise; None, and a note of the reason, where it has none."""
    if name in found.failed:
        return None
    try:
        return _reconstruct(name, p, subject, plan, found, at="no noise")[0]
    except TaskctError as error:  # a method may need noise, to estimate it for example
        found.failed[name] = str(error)
        return None


def _reconstruct(
    name: str, p: Tensor, subject: Subject, plan: SubjectPlan, found: Findings, *, at: str
) -> tuple[Tensor, float]:
    """The method's image and its wall time in seconds; InputError, saying where, when there is none."""
    where = f"method {name!r} on {subject} at {at}"
    p = plan.shown_to(name, p, len(subject.p))
    start = time.perf_counter()
    try:
        with torch.no_grad(), warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            mu = plan.methods[name](p, subject.A)
    except TaskctError as error:
        raise type(error)(f"{where}: {error}") from error
    except Exception as error:
        raise InputError(f"{where} failed with {type(error).__name__}: {error}") from error
    if p.is_cuda:
        torch.cuda.synchronize(p.device)
    seconds = time.perf_counter() - start
    found.warned.setdefault(name, []).extend(heard[:1])
    if not isinstance(mu, Tensor) or mu.shape != subject.mu.shape:
        got = tuple(mu.shape) if isinstance(mu, Tensor) else type(mu).__name__
        raise InputError(f"{where} returned {got}; expected mu in 1/mm of shape {tuple(subject.mu.shape)}")
    bad = ~torch.isfinite(mu)
    if bad.any():
        first = next(place for place, one in zip(_places(subject), bad, strict=True) if one.any())
        which = "the volume" if first is None else f"slice {first} first"
        raise InputError(f"{where} returned {int(bad.sum())} NaN or infinite values ({which})")
    check_mu(mu.detach(), who=f"{where}: the table")
    return mu.detach().to(subject.mu), seconds


def _start_examples(
    subject: Subject, plan: SubjectPlan, found: Findings, mask: Tensor
) -> list[tuple[tuple[int, ...], Example]]:
    """Examples of this subject that are to be kept, each with its place in the subject's tensors."""
    started: list[tuple[tuple[int, ...], Example]] = []
    labels = _labels(subject)
    for position, number in enumerate(range(subject.mu.shape[2]) if subject.volume else subject.items):
        if (subject.case_id, number) not in plan.kept:
            continue
        place: tuple[int, ...] = (0, 0, position) if subject.volume else (position, 0)
        spacing = subject.A.grid.spacing_mm
        example = Example(
            subject.case_id,
            int(number),
            (spacing[-2], spacing[-1]),
            _plane(subject.truth_hu, place).float().cpu(),
            {},
            None if labels is None else labels[place].cpu(),
            mask[place].cpu(),
            dict(subject.label_names),
        )
        found.images[subject.case_id, int(number)] = example
        started.append((place, example))
    return started


def _places(subject: Subject) -> list[int | None]:
    """The number of each slice; None for a volume."""
    return [None] if subject.volume else [int(number) for number in subject.items]


def _labels(subject: Subject) -> Tensor | None:
    """Label maps (S, 1, ...) as they are stored."""
    return None if subject.images.labels is None else subject.images.labels[:, None]


def _plane(images: Tensor, place: tuple[int, ...]) -> Tensor:
    return images[place].clone()
