"""The evaluation itself: every method on every case at every dose, measured under one protocol."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.core.provenance import provenance
from taskct.core.worker_pool import Pool, open_pool
from taskct.core.workers import Workers
from taskct.data.case import Case
from taskct.data.shared_scans import refuse_same_ct
from taskct.evaluation.evaluation_record import describe_case, describe_method, describe_slices, note_geometry
from taskct.evaluation.measure_subject import Findings, SubjectPlan, measure_slices
from taskct.evaluation.project_case import Prepare, ProjectCase
from taskct.evaluation.protocol import Measure, Protocol, chosen_measures
from taskct.evaluation.rows import NOISE_FREE, Row
from taskct.evaluation.slices import Slices, choose_kept, slice_numbers
from taskct.evaluation.storage import refuse_table
from taskct.evaluation.table import Table
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.reconstructor import Reconstructor


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

    >>> import torch
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
    refuse_same_ct(cases)
    chosen = [(case, slice_numbers(case, slices)) for case in cases]
    plan = SubjectPlan(
        methods=dict(methods),
        doses=doses,
        seed=seed,
        protocol=protocol,
        measures=chosen_measures(protocol, measures),
        prepare=prepare or ProjectCase(refine),
        noise_free=noise_free,
        kept=frozenset(choose_kept(chosen, keep) if isinstance(keep, int) else ((str(c), int(z)) for c, z in keep)),
    )
    rows: list[Row] = []
    geometries: list[dict[str, Any]] = []
    found = Findings()
    sizes = _sizes(chosen, A, batch, methods, len(doses) + noise_free)
    total = len(sizes)
    with open_pool(workers) as pool:
        steps = _steps(pool, _pieces(chosen, A, batch, geometries), plan, found)
        for measured in track(steps, "evaluating", total=total, progress=progress, sizes=sizes):
            rows.extend(measured)
    said = _warnings(plan, found, total)
    table = Table(
        [row for row in rows if row.dose != NOISE_FREE or row.method not in found.failed],  # of all slices, or of none
        settings=_settings(plan, slices, geometries),
        cases=[describe_case(case, numbers) for case, numbers in chosen],
        notes=dict(notes or {})
        | ({"warnings": said} if said else {})
        | ({"noise-free": found.failed} if found.failed else {}),
        provenance=provenance(seed=seed),
        images=list(found.images.values()),
    )
    if out is not None:
        table.save(out, overwrite=overwrite)
    return table


class _Piece(NamedTuple):
    """Some slices of a case, or its volume, measured at one time."""

    numbers: list[int]
    A: Projector


def _pieces(
    plan: Sequence[tuple[Case, list[int]]],
    A: Projector | Callable[[Case], Projector],
    batch: int,
    geometries: list[dict[str, Any]],
) -> Iterator[tuple[Case, _Piece]]:
    for case, numbers in plan:
        projector = _projector_for(case, A)
        note_geometry(geometries, projector, case)
        if projector.grid.ndim == 3 and numbers != list(range(len(case.hu))):
            raise InputError("a 3D projector takes whole volumes; restrict the case first: case.take(slice(...))")
        size = len(numbers) if projector.grid.ndim == 3 else batch
        for start in range(0, len(numbers), size):
            yield case, _Piece(numbers[start : start + size], projector)


def _steps(pool: Pool, pieces: Iterable[tuple[Case, _Piece]], plan: SubjectPlan, found: Findings) -> Iterator[list[Row]]:
    """The rows of each method and dose on each piece, in the order of the pieces, whoever measures them."""
    if pool.client is None:
        for case, piece in pieces:
            yield from measure_slices(case, *piece, plan, found)
        return
    for rows, others in pool.map_shared(functools.partial(_measure_piece, plan=plan), pieces):
        found.add(others)
        yield from rows


def _measure_piece(case: Case, piece: _Piece, *, plan: SubjectPlan) -> tuple[list[list[Row]], Findings]:
    """What a worker does with a piece."""
    found = Findings()
    return list(measure_slices(case, *piece, plan, found)), found


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
    from taskct.recon.learned import warn_of_doses

    for name, method in methods.items():
        warn_of_doses(method, doses, who=f"method {name!r} is judged at")


def _projector_for(case: Case, A: Projector | Callable[[Case], Projector]) -> Projector:
    made = A if isinstance(A, Projector) else A(case)
    if not isinstance(made, Projector):
        raise InputError(f"A expects a Projector or a function case -> Projector, got {type(made).__name__}")
    return made


def _sizes(
    plan: Sequence[tuple[Case, list[int]]],
    A: Projector | Callable[[Case], Projector],
    batch: int,
    methods: Mapping[str, Reconstructor],
    scans: int,
) -> list[tuple[str, float]]:
    """The method and the number of samples of every step of `_steps`, in its order."""
    volumes = bool(plan) and _projector_for(plan[0][0], A).grid.ndim == 3
    found: list[tuple[str, float]] = []
    for case, numbers in plan:
        size = max(1, len(numbers)) if volumes else batch
        for start in range(0, len(numbers), size):
            samples = float(len(numbers[start : start + size]) * case.hu[0].numel())
            found += [(name, samples) for _ in range(scans) for name in methods]
    return found


def _warnings(plan: SubjectPlan, found: Findings, total: int) -> dict[str, str]:
    """What methods warned of, in one line each; passed on as one warning per method instead of one per slice."""
    said = {}
    for name, heard in found.warned.items():
        if heard:
            runs = f"{len(heard)} of {total // len(plan.methods)} runs"
            said[name] = f"{runs} with {heard[0].category.__name__}, the first: {heard[0].message}"
            warnings.warn(f"method {name!r} warned in {said[name]}", heard[0].category, stacklevel=3)
    return said


def _settings(plan: SubjectPlan, slices: Slices, geometries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "seed": plan.seed,
        "slices": describe_slices(slices),
        "simulation": str(plan.prepare),
        "doses": [{**asdict(d), "floor_photons": d.floor_photons} for d in plan.doses],
        "methods": {name: describe_method(method) for name, method in plan.methods.items()},
        "protocol": asdict(plan.protocol),
        "metrics": {name: measure.describe(plan.protocol) for name, measure in plan.measures.items()},
        "geometry": geometries,
    }
