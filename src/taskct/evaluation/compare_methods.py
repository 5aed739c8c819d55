"""The evaluation itself: every method on every case at every dose, measured under one protocol."""

from __future__ import annotations

import functools
import itertools
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taskct.core.errors import InputError, TaskctError
from taskct.core.progress import track
from taskct.core.provenance import provenance
from taskct.core.units import check_mu, to_hu
from taskct.core.workers import Pool, Workers, open_pool
from taskct.data.case import Case
from taskct.evaluation.evaluation_record import describe_case, describe_method, describe_slices, note_geometry
from taskct.evaluation.masks import evaluation_mask, label_regions
from taskct.evaluation.protocol import Images, Measure, Protocol, chosen_measures
from taskct.evaluation.rows import ALL, NOISE_FREE, SECONDS, DoseLevel, Example, Row
from taskct.evaluation.slices import Slices, choose_kept, slice_numbers
from taskct.evaluation.storage import refuse_table
from taskct.evaluation.studies import Prepare, ProjectCase, Study
from taskct.evaluation.table import Table
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.reconstructor import Reconstructor
from taskct.simulate.noisy_scan import add_noise

_BATCHES_SENT = 4  # of one case to a worker at a time


def evaluate(
    methods: Mapping[str, Reconstructor],
    cases: Sequence[Case],
    A: Projector | Callable[[Case], Projector],
    dose: Dose | Sequence[Dose],
    *,
    seed: int = 0,
    slices: Slices = None,
    refine: int = 2,
    noise_free: bool = True,
    protocol: Protocol | None = None,
    measures: Mapping[str, Measure] | None = None,
    prepare: Prepare | None = None,
    keep: int | Sequence[tuple[str, int]] = 2,
    batch: int = 4,
    notes: Mapping[str, Any] | None = None,
    out: str | None = None,
    overwrite: bool = False,
    workers: int | Workers = 1,
    progress: bool | None = None,
) -> Table:
    """Run every method on every case at every dose and measure the results: (p, A) -> mu -> a Table.

    `methods` name -> callable (p, A) -> mu in 1/mm; the first is the baseline of comparisons. They run without autograd (use
    `torch.enable_grad` inside to have it). `A` is one Projector, or a function case -> Projector when cases differ in grid.
    A 2D projector takes cases slice by slice (`batch` at a time), a 3D one as volumes. `slices` restricts them: a slice,
    numbers, or numbers per case. All methods see the same noise, which depends on `seed`, case and slice alone.

    `refine` projects the truth on a finer grid (see ProjectCase; 1 is an inverse crime); `prepare` replaces that step
    (PrepareLodopab). `noise_free` also reconstructs every image once without noise, so that the report can tell noise from
    what no dose can mend (evaluation.noise_share).
    `measures` adds metrics of the caller's own. `keep` slices, or (case, slice) pairs, are kept as images for the report.
    `out` is a run folder to save to. `workers`: processes of this machine, or `Workers` of a cluster, which share the batches
    of all cases; methods, measures and `prepare` are then sent to other processes.
    Raises InputError, naming method, case and slices, when a method fails or returns NaN, infinite values or another shape.

    >>> from taskct.geometry import ParallelBeam
    >>> case = Case(torch.zeros(1, 16, 16), (1.0, 1.0, 1.0), case_id="water")
    >>> A = Projector(case.slice_grid, ParallelBeam(views=4, cols=24, pixel_mm=1.0))
    >>> table = evaluate({"none": lambda p, A: torch.zeros(len(p), 1, 16, 16)}, [case], A, Dose(1e5))
    >>> round(table.summary("rmse_hu")[0].interval.mean)
    1000
    """
    protocol = protocol or Protocol()
    doses = [dose] if isinstance(dose, Dose) else list(dose)
    _check_arguments(methods, cases, doses, batch)
    _warn_of_doses(methods, doses)
    if out is not None:
        refuse_table(out, overwrite=overwrite)
    job = _Job(
        methods=dict(methods),
        doses=doses,
        seed=seed,
        protocol=protocol,
        measures=chosen_measures(protocol, measures),
        prepare=prepare or ProjectCase(refine),
        noise_free=noise_free,
        warned={},
        failed={},
    )
    plan = [(case, slice_numbers(case, slices)) for case in cases]
    kept = set(choose_kept(plan, keep)) if isinstance(keep, int) else {(str(c), int(z)) for c, z in keep}
    images: dict[tuple[str, int], Example] = {}
    rows: list[Row] = []
    geometries: list[dict[str, Any]] = []
    batches = _batches(plan, A, batch, geometries)
    total = _count(plan, A, batch) * (len(doses) + noise_free) * len(methods)
    with open_pool(workers) as pool:
        steps = _steps(pool, batches, job, kept, images)
        for found in track(steps, "evaluating", total=total, progress=progress):
            rows.extend(found)
    said = _warnings(job, total)
    table = Table(
        rows,
        settings=_settings(job, slices, geometries),
        cases=[describe_case(case, numbers) for case, numbers in plan],
        notes=dict(notes or {}) | ({"warnings": said} if said else {}) | ({"noise-free": job.failed} if job.failed else {}),
        provenance=provenance(seed=seed),
        images=list(images.values()),
    )
    if out is not None:
        table.save(out, overwrite=overwrite)
    return table


@dataclass(frozen=True)
class _Job:
    methods: dict[str, Reconstructor]
    doses: list[Dose]
    seed: int
    protocol: Protocol
    measures: dict[str, Measure]
    prepare: Prepare
    noise_free: bool
    warned: dict[str, list[warnings.WarningMessage]]  # what each method warned of, once per run
    failed: dict[str, str]  # methods that have no noise-free image, and why


@dataclass(frozen=True)
class _Batch:
    case: Case
    numbers: list[int]  # slice numbers, or all slices of a volume
    A: Projector
    study: Study

    @property
    def volume(self) -> bool:
        return self.A.grid.ndim == 3

    @property
    def places(self) -> list[int | None]:
        return [None] if self.volume else list(self.numbers)

    def __str__(self) -> str:
        where = "the volume" if self.volume else f"slice {', '.join(map(str, self.numbers))}"
        return f"case {self.case.case_id}, {where}"


class _Plain(NamedTuple):
    """Slices of a case, or a volume, before they are projected."""

    case: Case
    numbers: list[int]
    A: Projector

    def ready(self, prepare: Prepare) -> _Batch:
        """With its study."""
        return _Batch(*self, prepare(*self))


class _Done(NamedTuple):
    """What a worker makes of some batches."""

    steps: list[list[Row]]
    images: dict[tuple[str, int], Example]
    warned: dict[str, list[warnings.WarningMessage]]


def _batches(
    plan: Sequence[tuple[Case, list[int]]],
    A: Projector | Callable[[Case], Projector],
    batch: int,
    geometries: list[dict[str, Any]],
) -> Iterator[_Plain]:
    for case, numbers in plan:
        projector = _projector_for(case, A)
        note_geometry(geometries, projector, case)
        if projector.grid.ndim == 3 and numbers != list(range(len(case.hu))):
            raise InputError("a 3D projector takes whole volumes; restrict the case first: case.take(slice(...))")
        size = len(numbers) if projector.grid.ndim == 3 else batch
        for start in range(0, len(numbers), size):
            yield _Plain(case, numbers[start : start + size], projector)


def _steps(
    pool: Pool, batches: Iterable[_Plain], job: _Job, kept: set[tuple[str, int]], images: dict[tuple[str, int], Example]
) -> Iterator[list[Row]]:
    """The rows of each method and dose on each batch, in the order of the batches, whoever measures them."""
    if pool.client is None:
        for one in batches:
            yield from _measure_study(one.ready(job.prepare), job, kept, images)
        return
    for done in pool.map(functools.partial(_measure_part, job=job, kept=kept), _parts(batches)):
        images |= done.images
        for name, heard in done.warned.items():
            job.warned.setdefault(name, []).extend(heard)
        yield from done.steps


def _parts(batches: Iterable[_Plain]) -> Iterator[list[_Plain]]:
    """Batches of one case, some at a time: a case that is sent to a worker is worth some work there."""
    for _, group in itertools.groupby(batches, key=lambda one: one.case.case_id):
        while part := list(itertools.islice(group, _BATCHES_SENT)):
            yield part


def _measure_part(part: list[_Plain], *, job: _Job, kept: set[tuple[str, int]]) -> _Done:
    """What a worker does with it."""
    own = replace(job, warned={})
    images: dict[tuple[str, int], Example] = {}
    steps = [rows for one in part for rows in _measure_study(one.ready(job.prepare), own, kept, images)]
    return _Done(steps, images, own.warned)


def _measure_study(
    unit: _Batch, job: _Job, kept: set[tuple[str, int]], images: dict[tuple[str, int], Example]
) -> Iterator[list[Row]]:
    """The rows of each method and dose on one batch."""
    case, study = unit.case, unit.study
    hu = functools.partial(to_hu, mu_water_per_mm=study.mu_water_per_mm, mu_air_per_mm=study.mu_air_per_mm)
    truth_hu = hu(study.truth_mu)
    mask = evaluation_mask(job.protocol.mask, unit.A.grid, unit.A.beam, truth_hu)
    regions = {} if study.labels is None else label_regions(study.labels, case.label_names)
    items = ["volume"] if unit.volume else list(unit.numbers)
    examples = _start_examples(unit, kept, images, truth_hu, mask)
    seen = lambda mu: Images(mu, study.truth_mu, hu(mu), truth_hu, mask, regions)
    if job.noise_free:
        for name in job.methods:
            mu = _noise_free(name, unit, job)
            yield [] if mu is None else _rows(seen(mu), unit, job, name, NOISE_FREE)
    for dose in job.doses:
        p = add_noise(study.p, dose, seed=job.seed, case_id=case.case_id, items=items)
        level = DoseLevel(dose.fraction, dose.photons)
        for name in job.methods:
            mu, seconds = _reconstruct(name, p, unit, f"{dose.fraction:g} of {dose.photons:g} photons", job)
            measured = seen(mu)
            for place, example in examples:
                example.recon_hu[name, level] = _plane(measured.hu, place).float().cpu()
            rows = [
                Row(name, case.case_id, case.patient_id, place, *level, SECONDS, ALL, seconds / len(unit.places))
                for place in unit.places
            ]
            yield rows + _rows(measured, unit, job, name, level)


def _rows(seen: Images, unit: _Batch, job: _Job, method: str, level: DoseLevel) -> list[Row]:
    rows = []
    axes = tuple(range(1, seen.mask.ndim))
    for metric, measure in job.measures.items():
        regions = {ALL: seen.mask}
        if measure.per_region:
            regions |= {name: region & seen.mask for name, region in seen.regions.items()}
        for region, mask in regions.items():
            values = measure.compute(seen, job.protocol, mask).double().cpu().tolist()
            sizes = mask.sum(axes).tolist()
            for place, value, size in zip(unit.places, values, sizes, strict=True):
                if region == ALL or size >= job.protocol.region_min_pixels:
                    owner = (unit.case.case_id, unit.case.patient_id)
                    rows.append(Row(method, *owner, place, *level, metric, region, value))
    return rows


def _noise_free(name: str, unit: _Batch, job: _Job) -> Tensor | None:
    """The method's image of the scan without noise; None, and a note of the reason, where it has none."""
    if name in job.failed:
        return None
    try:
        return _reconstruct(name, unit.study.p, unit, "no noise", job)[0]
    except TaskctError as error:  # a method may need noise, to estimate it for example
        job.failed[name] = str(error)
        return None


def _reconstruct(name: str, p: Tensor, unit: _Batch, dose: str, job: _Job) -> tuple[Tensor, float]:
    """The method's image and its wall time in seconds; InputError, saying where, when there is none."""
    where = f"method {name!r} on {unit} at {dose}"
    start = time.perf_counter()
    try:
        with torch.no_grad(), warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            mu = job.methods[name](p.clone(), unit.A)  # a copy: a method that edits p in place must not harm the next
    except TaskctError as error:
        raise type(error)(f"{where}: {error}") from error
    except Exception as error:
        raise InputError(f"{where} failed with {type(error).__name__}: {error}") from error
    if p.is_cuda:
        torch.cuda.synchronize(p.device)
    seconds = time.perf_counter() - start
    job.warned.setdefault(name, []).extend(heard[:1])
    if not isinstance(mu, Tensor) or mu.shape != unit.study.truth_mu.shape:
        got = tuple(mu.shape) if isinstance(mu, Tensor) else type(mu).__name__
        raise InputError(f"{where} returned {got}; expected mu in 1/mm of shape {tuple(unit.study.truth_mu.shape)}")
    bad = ~torch.isfinite(mu)
    if bad.any():
        first = next(place for place, one in zip(unit.places, bad, strict=True) if one.any())
        which = "the volume" if first is None else f"slice {first} first"
        raise InputError(f"{where} returned {int(bad.sum())} NaN or infinite values ({which})")
    check_mu(mu.detach(), who=f"{where}: the table")
    return mu.detach().to(unit.study.truth_mu), seconds


def _start_examples(
    unit: _Batch,
    kept: set[tuple[str, int]],
    images: dict[tuple[str, int], Example],
    truth_hu: Tensor,
    mask: Tensor,
) -> list[tuple[tuple[int, ...], Example]]:
    """Examples of this batch that are to be kept, each with its place in the batch's tensors."""
    found: list[tuple[tuple[int, ...], Example]] = []
    for position, number in enumerate(unit.numbers):
        if (unit.case.case_id, number) not in kept:
            continue
        place: tuple[int, ...] = (0, 0, position) if unit.volume else (position, 0)
        spacing = unit.A.grid.spacing_mm
        labels = unit.study.labels
        example = Example(
            unit.case.case_id,
            number,
            (spacing[-2], spacing[-1]),
            _plane(truth_hu, place).float().cpu(),
            {},
            None if labels is None else labels[place].cpu(),
            mask[place].cpu(),
            dict(unit.case.label_names),
        )
        images[unit.case.case_id, number] = example
        found.append((place, example))
    return found


def _plane(images: Tensor, place: tuple[int, ...]) -> Tensor:
    return images[place].clone()


def _check_arguments(methods: Mapping[str, Reconstructor], cases: Sequence[Case], doses: Sequence[Dose], batch: int) -> None:
    if not methods or not cases or not doses:
        raise InputError(f"evaluate expects methods, cases and doses, got {len(methods)}, {len(cases)} and {len(doses)}")
    for name, method in methods.items():
        if not callable(method):
            raise InputError(f"method {name!r} expects a callable (p, A) -> mu, got {type(method).__name__}")
    names = [case.case_id for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"cases need different case_id, {twice[0]!r} occurs {names.count(twice[0])} times")
    levels = [(d.fraction, d.photons) for d in doses]
    if len(set(levels)) != len(levels):
        raise InputError("two doses have the same photons and fraction; a table tells doses apart by them")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise InputError(f"batch expects a whole number of slices from 1, got {batch!r}")


def _warn_of_doses(methods: Mapping[str, Reconstructor], doses: Sequence[Dose]) -> None:
    """A warning for each network that is judged at doses which its training did not hold."""
    from taskct.recon.learned import trained_for

    for name, method in methods.items():
        about = trained_for(method)
        found = [about.dose_difference(dose) for dose in doses] if about is not None else []
        outside = [text for text in found if text]
        if outside:
            more = f", and {len(outside) - 1} more" if len(outside) > 1 else ""
            warnings.warn(f"method {name!r} is judged at a dose that it was not trained for: {outside[0]}{more}", stacklevel=3)


def _projector_for(case: Case, A: Projector | Callable[[Case], Projector]) -> Projector:
    made = A if isinstance(A, Projector) else A(case)
    if not isinstance(made, Projector):
        raise InputError(f"A expects a Projector or a function case -> Projector, got {type(made).__name__}")
    return made


def _count(plan: Sequence[tuple[Case, list[int]]], A: Projector | Callable[[Case], Projector], batch: int) -> int:
    volumes = isinstance(A, Projector) and A.grid.ndim == 3
    return sum(1 if volumes else -(-len(numbers) // batch) for _, numbers in plan)


def _warnings(job: _Job, total: int) -> dict[str, str]:
    """What methods warned of, in one line each; passed on as one warning per method instead of one per slice."""
    said = {}
    for name, heard in job.warned.items():
        if heard:
            runs = f"{len(heard)} of {total // len(job.methods)} runs"
            said[name] = f"{runs} with {heard[0].category.__name__}, the first: {heard[0].message}"
            warnings.warn(f"method {name!r} warned in {said[name]}", heard[0].category, stacklevel=3)
    return said


def _settings(job: _Job, slices: Slices, geometries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "seed": job.seed,
        "slices": describe_slices(slices),
        "simulation": str(job.prepare),
        "doses": [{**asdict(d), "floor_photons": d.floor_photons} for d in job.doses],
        "methods": {name: describe_method(method) for name, method in job.methods.items()},
        "protocol": asdict(job.protocol),
        "metrics": {name: measure.describe(job.protocol) for name, measure in job.measures.items()},
        "geometry": geometries,
    }
