"""`optimise_dose`: the least dose at which a reconstruction keeps what has to be kept, with intervals and a check."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from taskct.core.errors import InputError
from taskct.core.provenance import provenance
from taskct.core.seeds import derive_seed
from taskct.core.worker_pool import Pool, open_pool
from taskct.core.workers import Workers
from taskct.data.case import Case
from taskct.evaluation.dose.answer import Certificate, DoseAnswer, TargetAnswer
from taskct.evaluation.dose.certify import certify_dose, refuse_blind, refuse_same_readers
from taskct.evaluation.dose.dose_settings import DoseSearch
from taskct.evaluation.dose.example import show_slice
from taskct.evaluation.dose.intervals import confirmed_level, dose_interval
from taskct.evaluation.dose.quality import quality_of
from taskct.evaluation.dose.quality_curves import Curves, contrast, held, measure_curves, of_patients, reached_at
from taskct.evaluation.dose.refine import bracket, refined
from taskct.evaluation.dose.target import CONVENTIONS, Target, parse_keep
from taskct.evaluation.project_case import Prepare, PrepareLodopab, ProjectCase, subjects_from_cases
from taskct.evaluation.statistics import bootstrap_mean
from taskct.evaluation.subject import Subject
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import warn_of_doses
from taskct.recon.reconstructor import Reconstructor
from taskct.task import FrozenTask


def optimise_dose(
    model: Reconstructor,
    cases: Sequence[Case] | Sequence[Subject],
    A: Projector | Callable[[Case], Projector] | None,
    dose: Dose,
    *,
    keep: Mapping[str, float | str] | Sequence[str] | str,
    readers: Mapping[str, FrozenTask] | None = None,
    certify: Mapping[str, FrozenTask] | None = None,
    search: DoseSearch | None = None,
    prepare: Prepare | None = None,
    ctdi_vol_mgy: float | None = None,
    workers: int | Workers = 1,
    progress: bool | None = None,
) -> DoseAnswer:
    """The least fraction of full dose, `dose.used_photons`, at which `model`, any callable (p, A) -> mu, keeps `keep`.

    cases       cases with the projector or function `A`, or subjects that are ready (A is then None)
    keep        {"tumour.dice": 0.95}: 95 % of what full dose gives; {"psnr[image range]": 38.57}; texts such as
                "rmse_hu<=20", "noise_sd_hu[liver]<=12", "tumour.dice>=0.95*full" (`parse_keep`)
    readers     frozen tasks for CLASS.dice, the first one decides; `certify`: others, asked at the dose found only
    search      doses to measure, how closely the answer is sought between them, who has to reach the bound, slices, seed
                (`DoseSearch`)
    prepare     how a case is scanned without noise, by default `ProjectCase(search.refine)`
    ctdi_vol_mgy    CTDIvol of the scan at full dose, if known: the answer is then in mGy as well
    workers     processes of this machine, or `Workers` of a cluster, which share the patients; the model is sent to them

    Every scan has exact Poisson counts, the same noise at all doses; the dose that is found is scanned again with other noise.
    `confirmed` is the lowest measured dose from which, and the check is `proven` where, the 95 % interval over patients of
    the difference to the bound stays on the good side: non-inferiority, the margin being what the target gives
    up. A bound that is not met at full dose is said to be unreachable, with the best that was reached.

    >>> import torch
    >>> from taskct.geometry import ParallelBeam
    >>> from taskct.recon import fbp
    >>> case = Case(torch.zeros(2, 16, 16), (1.0, 1.0, 1.0), case_id="water")
    >>> A = Projector(case.slice_grid, ParallelBeam(views=24, cols=24, pixel_mm=1.0))
    >>> search = DoseSearch(refine=1, lowest=1 / 16)
    >>> answer = optimise_dose(fbp, [case], A, Dose(1e5), keep="noise_sd_hu<=300", search=search)
    >>> answer.reached, answer.fraction < 1
    (True, True)
    """
    targets, search = parse_keep(keep), search or DoseSearch()
    dose = Dose(dose.used_photons, electronic_std=dose.electronic_std)  # what is called full dose from here on
    if ctdi_vol_mgy is not None and not 0 < ctdi_vol_mgy < 1000:
        raise InputError(f"ctdi_vol_mgy expects the CTDIvol at full dose in mGy, got {ctdi_vol_mgy!r}")
    refuse_same_readers(readers or {}, certify or {})
    qualities = {t.key: quality_of(t, protocol=search.protocol, readers=readers) for t in targets}
    if prepare is None or isinstance(prepare, ProjectCase | PrepareLodopab):  # any other may bring labels of its own
        others = [quality_of(t, readers=certify, reader=name) for t in targets if t.class_name for name in certify or {}]
        for case in cases:
            for quality in (*qualities.values(), *others):
                quality.check_labels(case)
    with open_pool(workers) as pool:
        subjects = _subjects(cases, A, search=search, prepare=prepare, pool=pool, progress=progress)
        twins = {t.key: _twin(t) for t in targets if t.convention}
        measured = {**qualities, **{t.key: quality_of(t, protocol=search.protocol) for t in twins.values()}}
        scan = partial(
            measure_curves,
            subjects,
            model,
            measured,
            electronic_std=dose.electronic_std,
            seed=search.seed,
            draws=search.draws,
            pool=pool,
            progress=progress,
        )
        curves = scan([f * dose.photons for f in search.levels], words="measuring doses")
        if search.within:
            curves = refined(
                curves,
                targets,
                search.held_by,
                search.within,
                lambda photons: scan([photons], words="measuring between two doses"),
            )
        answers = [_answer(t, twins.get(t.key), curves, search, reader=next(iter(readers or {}), "")) for t in targets]
        needed = max((a.photons for a in answers), key=lambda v: math.inf if math.isnan(v) else v)
        checks: list[Certificate] = []
        shown = None
        if not math.isnan(needed):
            askers = {"": dict(readers or {})} | {name: {name: reader} for name, reader in (certify or {}).items()}
            for who, those in askers.items():
                wanted = [t for t in targets if t.class_name or not who]
                checks += certify_dose(
                    model,
                    subjects,
                    wanted,
                    needed,
                    full=dose,
                    search=search,
                    readers=those,
                    who=who,
                    pool=pool,
                    progress=progress,
                )
            shown = show_slice(
                model,
                subjects,
                targets,
                photons=needed,
                full_photons=dose.photons,
                seed=derive_seed(search.seed, "certify"),
                electronic_std=dose.electronic_std,
                readers={**dict(list((readers or {}).items())[:1]), **(certify or {})},
            )
    if not math.isnan(needed):
        warn_of_doses(
            model, [replace(dose, fraction=needed / dose.photons)], who="the least dose was found with a network, at"
        )
    about = {"seed": search.seed, "draws": search.draws, "refine": search.refine, "held_by": search.held_by}
    about |= provenance(seed=search.seed)
    return DoseAnswer(tuple(answers), tuple(checks), dose, needed, ctdi_vol_mgy, about, shown)


def _answer(target: Target, twin: Target | None, curves: Curves, search: DoseSearch, *, reader: str) -> TargetAnswer:
    """One target's answer from the curves; `twin` is the same quality in the other convention."""
    values, by = curves.values[target.key], search.held_by
    gap = contrast(target, values, values[:, -1:])
    _refuse_undefined(target, gap)
    refuse_blind(target, values[:, -1], reader)
    place = bracket(curves.levels, held(of_patients(gap, curves.patients, by), by))
    photons = math.nan if place is None else place.photons
    low, high = dose_interval(curves.levels, gap, curves.patients, by, search.seed)
    return TargetAnswer(
        target=target,
        levels=curves.levels,
        values=values,
        gap=gap,
        patients=curves.patients,
        held_by=by,
        photons=photons,
        low=low,
        high=high,
        between=math.nan if place is None or not place.below else max(place.above - place.below, search.within * photons),
        confirmed=confirmed_level(curves.levels, gap, curves.patients, by),
        needed=np.array([reached_at(curves.levels, row) for row in gap]),
        hint=_hint(target, twin, curves, by) if twin and math.isnan(photons) else "",
    )


def _subjects(
    cases: Sequence[Case] | Sequence[Subject],
    A: Projector | Callable[[Case], Projector] | None,
    *,
    search: DoseSearch,
    prepare: Prepare | None,
    pool: Pool,
    progress: bool | None,
) -> list[Subject]:
    ready = [c for c in cases if isinstance(c, Subject)]
    if ready and len(ready) == len(cases):
        return ready
    plain = [c for c in cases if isinstance(c, Case)]
    if A is None or len(plain) != len(cases):
        raise InputError("optimise_dose expects cases with their projector A, or subjects alone")
    return subjects_from_cases(
        plain, A, slices=search.slices, refine=search.refine, prepare=prepare, pool=pool, progress=progress
    )


def _twin(target: Target) -> Target:
    """The same quality in the other convention."""
    other = next(c for c in CONVENTIONS if c != target.convention)
    return Target(target.name, target.bound, target.of_full, other)


def _hint(target: Target, other: Target, curves: Curves, held_by: str | float) -> str:
    """Whether a target that is not reached would be in the other convention."""
    values = curves.values[other.key]
    gap = of_patients(contrast(other, values, values[:, -1:]), curves.patients, held_by)
    if not (held(gap, held_by) >= 0).any():
        return ""
    reached = bootstrap_mean(values[:, -1], curves.patients).mean
    return f"in {other.key} the same images reach {reached:.4g} {target.unit}".rstrip() + f" at full dose; was {other} meant?"


def _refuse_undefined(target: Target, gap: np.ndarray) -> None:
    if not np.isfinite(gap).any():
        what = "no patient has this class in the labels" if target.class_name else "no patient has samples to measure"
        raise InputError(f"{target}: is defined for no patient: {what}; take slices that show it (--slices)")
