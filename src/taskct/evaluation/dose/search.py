"""`optimise_dose`: the least dose at which a reconstruction keeps what has to be kept, with intervals and a check."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from taskct.core.errors import InputError
from taskct.core.provenance import provenance
from taskct.core.seeds import derive_seed
from taskct.core.workers import Pool, Workers, open_pool
from taskct.data.case import Case
from taskct.evaluation.dose.answer import Certificate, DoseAnswer, TargetAnswer
from taskct.evaluation.dose.curves import EVERY_MEAN, contrast, held, measure_curves, reached_at
from taskct.evaluation.dose.example import show_slice
from taskct.evaluation.dose.quality import quality_of
from taskct.evaluation.dose.subject import Subject, subjects_from_cases
from taskct.evaluation.dose.target import CONVENTIONS, Target, parse_keep
from taskct.evaluation.protocol import Protocol
from taskct.evaluation.reading.panel import same_weights
from taskct.evaluation.slices import Slices
from taskct.evaluation.statistics import Interval, bootstrap_mean
from taskct.evaluation.studies import Prepare
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.reconstructor import Reconstructor
from taskct.task import FrozenTask

RESAMPLES = 2000


def optimise_dose(
    model: Reconstructor,
    cases: Sequence[Case] | Sequence[Subject],
    A: Projector | Callable[[Case], Projector] | None,
    dose: Dose,
    *,
    keep: Mapping[str, float | str] | Sequence[str] | str,
    readers: Mapping[str, FrozenTask] | None = None,
    certify: Mapping[str, FrozenTask] | None = None,
    held_by: str | float = EVERY_MEAN,
    fractions: Sequence[float] | None = None,
    lowest: float = 1 / 256,
    slices: Slices = None,
    refine: int = 2,
    protocol: Protocol | None = None,
    prepare: Prepare | None = None,
    draws: int = 1,
    ctdi_vol_mgy: float | None = None,
    seed: int = 0,
    workers: int | Workers = 1,
    progress: bool | None = None,
) -> DoseAnswer:
    """The least fraction of full dose, `dose.used_photons`, at which `model`, any callable (p, A) -> mu, keeps `keep`.

    keep        {"tumour.dice": 0.95}: 95 % of what full dose gives; {"psnr[image range]": 38.57}; texts such as
                "rmse_hu<=20", "noise_sd_hu[liver]<=12", "tumour.dice>=0.95*full" (`parse_keep`)
    readers     frozen tasks for CLASS.dice, the first one decides; `certify`: others, asked at the dose found only
    held_by     "mean" over patients, or the share of patients that must reach the bound (0.9)
    fractions   doses to measure, as fractions of `dose.used_photons`; by default octaves from 1 down to `lowest`
    cases       cases with the projector or function `A`, or subjects that are ready (A is then None)
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
    >>> answer = optimise_dose(fbp, [case], A, Dose(1e5), keep="noise_sd_hu<=300", refine=1, lowest=1 / 16)
    >>> answer.reached, answer.fraction < 1
    (True, True)
    """
    targets = parse_keep(keep)
    dose = Dose(dose.used_photons, electronic_std=dose.electronic_std)  # what is called full dose from here on
    if draws < 1:
        raise InputError(f"optimise_dose expects draws of 1 or more, the noises that are averaged at a dose, got {draws!r}")
    if fractions is not None and not len(fractions):
        raise InputError("optimise_dose expects at least one of fractions, or None for octaves, got none")
    levels = sorted(fractions) if fractions is not None else _octaves(lowest)
    if levels[0] <= 0 or levels[-1] > 1:
        raise InputError(f"optimise_dose expects fractions above 0 and up to 1, got {levels[0]:g} to {levels[-1]:g}")
    if levels[-1] < 1:
        levels = [*levels, 1.0]
    if ctdi_vol_mgy is not None and not 0 < ctdi_vol_mgy < 1000:
        raise InputError(f"ctdi_vol_mgy expects the CTDIvol at full dose in mGy, got {ctdi_vol_mgy!r}")
    _refuse_same_readers(readers or {}, certify or {})
    with open_pool(workers) as pool:
        subjects = _subjects(cases, A, slices=slices, refine=refine, prepare=prepare, pool=pool, progress=progress)
        qualities = {t.key: quality_of(t, protocol=protocol, readers=readers) for t in targets}
        twins = {t.key: _twin(t) for t in targets if t.convention}
        measured = {**qualities, **{t.key: quality_of(t, protocol=protocol) for t in twins.values()}}
        curves = measure_curves(
            subjects,
            model,
            measured,
            [f * dose.photons for f in levels],
            electronic_std=dose.electronic_std,
            seed=seed,
            draws=draws,
            pool=pool,
            progress=progress,
            words="dose curves",
        )
        answers = []
        for target in targets:
            values = curves.values[target.key]
            gap = contrast(target, values, values[:, -1:])
            _refuse_undefined(target, gap)
            _refuse_blind(target, values[:, -1], next(iter(readers or {}), ""))
            found = reached_at(curves.levels, held(gap, held_by))
            low, high = _interval(curves.levels, gap, curves.patients, held_by, seed)
            confirmed = _confirmed(curves.levels, gap, curves.patients, held_by)
            other = twins.get(target.key)
            hint = _hint(target, other, curves.values[other.key], held_by) if other and math.isnan(found) else ""
            answers.append(
                TargetAnswer(
                    target=target,
                    levels=curves.levels,
                    values=values,
                    gap=gap,
                    patients=curves.patients,
                    held_by=held_by,
                    photons=found,
                    low=low,
                    high=high,
                    confirmed=confirmed,
                    needed=np.array([reached_at(curves.levels, row) for row in gap]),
                    hint=hint,
                )
            )
        needed = max((a.photons for a in answers), key=lambda v: math.inf if math.isnan(v) else v)
        checks: list[Certificate] = []
        shown = None
        if not math.isnan(needed):
            askers = {"": dict(readers or {})} | {name: {name: reader} for name, reader in (certify or {}).items()}
            for who, those in askers.items():
                wanted = [t for t in targets if t.class_name or not who]
                checks += _certify(
                    model, subjects, wanted, readers=those, who=who, photons=needed, dose=dose, protocol=protocol, draws=draws,
                    seed=seed, held_by=held_by, pool=pool,
                )  # fmt: skip
            shown = show_slice(
                model,
                subjects,
                targets,
                photons=needed,
                full_photons=dose.photons,
                seed=derive_seed(seed, "certify"),
                electronic_std=dose.electronic_std,
            )
    return DoseAnswer(
        tuple(answers),
        tuple(checks),
        dose,
        needed,
        ctdi_vol_mgy,
        {"seed": seed, "draws": draws, "refine": refine, "held_by": held_by, **provenance(seed=seed)},
        shown,
    )


def _certify(
    model: Reconstructor,
    subjects: Sequence[Subject],
    targets: Sequence[Target],
    *,
    readers: Mapping[str, FrozenTask],
    who: str,
    photons: float,
    dose: Dose,
    protocol: Protocol | None,
    draws: int,
    seed: int,
    held_by: str | float,
    pool: Pool,
) -> list[Certificate]:
    """Scan again at the dose that was found, with noise that the search never saw."""
    if not targets:
        return []
    again = measure_curves(
        subjects,
        model,
        {t.key: quality_of(t, protocol=protocol, readers=readers) for t in targets},
        [photons, dose.photons] if photons < dose.photons * (1 - 1e-9) else [photons],
        electronic_std=dose.electronic_std,
        seed=derive_seed(seed, "certify"),
        draws=draws,
        pool=pool,
        progress=False,
    )
    found = []
    for target in targets:
        values = again.values[target.key]
        _refuse_blind(target, values[:, -1], who or next(iter(readers), ""))
        gap = contrast(target, values[:, 0], values[:, -1])
        mean = bootstrap_mean(gap, again.patients, seed=seed)
        defined = gap[np.isfinite(gap)]
        share = float((defined >= 0).mean()) if len(defined) else math.nan
        holds = bool(held(gap[:, None], held_by)[0] >= 0)
        criterion = mean if isinstance(held_by, str) else share_interval(gap, again.patients, float(held_by))
        found.append(
            Certificate(
                target,
                who,
                float(np.nanmean(values[:, 0])),
                float(np.nanmean(values[:, -1])),
                mean,
                share,
                holds,
                values[:, 0],
                criterion,
            )
        )
    return found


def _subjects(
    cases: Sequence[Case] | Sequence[Subject],
    A: Projector | Callable[[Case], Projector] | None,
    *,
    slices: Slices,
    refine: int,
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
    return subjects_from_cases(plain, A, slices=slices, refine=refine, prepare=prepare, pool=pool, progress=progress)


def _octaves(lowest: float) -> list[float]:
    if not 0 < lowest < 1:
        raise InputError(f"optimise_dose expects lowest between 0 and 1, got {lowest!r}")
    count = math.ceil(-math.log2(lowest) - 1e-9)
    return [2.0**-k for k in range(count, -1, -1)]


def _interval(
    levels: np.ndarray, gap: np.ndarray, patients: Sequence[str], held_by: str | float, seed: int
) -> tuple[float, float]:
    """95 % interval of the dose over resampled patients; NaN for an end that lies beyond the doses measured."""
    names = list(dict.fromkeys(patients))
    if len(names) < 2:
        return math.nan, math.nan
    members = [np.flatnonzero(np.array(patients) == n) for n in names]
    rng = np.random.default_rng(derive_seed(seed, "dose", len(names)))
    found = []
    for draw in rng.integers(0, len(names), (RESAMPLES, len(names))):
        part = gap[np.concatenate([members[k] for k in draw])]
        if np.isfinite(part).any(0).all():
            found.append(reached_at(levels, held(part, held_by)))
    ends = np.where(np.isfinite(found), found, math.inf)
    low, high = np.quantile(ends, [0.025, 0.975], method="nearest")
    return tuple(float(v) if math.isfinite(v) else math.nan for v in (low, high))  # type: ignore[return-value]


def share_interval(gap: np.ndarray, patients: Sequence[str], share: float) -> Interval:
    """Of the gap that a share of patients reaches: 95 % by order statistics, each patient by the worst value.

    The number of patients below a quantile is binomial, whatever the distribution (David and Nagaraja, Order Statistics,
    section 7.1). An end is NaN where there are too few patients: 90 % of them needs 36, all of them can be proven by none.
    """
    names, defined = np.array(patients), np.isfinite(gap)
    worst = np.sort([gap[defined & (names == n)].min() for n in dict.fromkeys(names[defined])])
    n, values = len(worst), int(defined.sum())
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0, 0, method="order statistics")
    below = np.cumsum([math.comb(n, k) * (1 - share) ** k * share ** (n - k) for k in range(n + 1)])
    low, high = int((below <= 0.025).sum()), int((below < 0.975).sum()) + 1  # ranks, from 1
    return Interval(
        float(held(gap[:, None], share)[0]),
        float(worst[low - 1]) if low >= 1 else math.nan,
        float(worst[high - 1]) if high <= n else math.nan,
        n,
        values,
        method="order statistics",
    )


def _confirmed(levels: np.ndarray, gap: np.ndarray, patients: Sequence[str], held_by: str | float) -> float:
    """Lowest measured dose from which the interval of what is asked stays on the good side; NaN if none.

    What is asked: the mean difference to the bound, or that which a share of patients reaches.
    """
    found = math.nan
    for j in reversed(range(len(levels))):
        column = gap[:, j]
        asked = bootstrap_mean(column, patients) if isinstance(held_by, str) else share_interval(column, patients, held_by)
        if not asked.low >= 0:
            break
        found = float(levels[j])
    return found


def _twin(target: Target) -> Target:
    """The same quality in the other convention."""
    other = next(c for c in CONVENTIONS if c != target.convention)
    return Target(target.name, target.bound, target.of_full, other)


def _hint(target: Target, other: Target, values: np.ndarray, held_by: str | float) -> str:
    """Whether a target that is not reached would be in the other convention."""
    gap = contrast(other, values, values[:, -1:])
    if not (held(gap, held_by) >= 0).any():
        return ""
    return (
        f"in {other.key} the same images reach {np.nanmean(values[:, -1]):.4g} {target.unit}".rstrip()
        + f" at full dose; was {other} meant?"
    )


def _refuse_same_readers(asked: Mapping[str, FrozenTask], certify: Mapping[str, FrozenTask]) -> None:
    for name, one in certify.items():
        for own, other in asked.items():
            if one is other or same_weights(one, other):
                raise InputError(
                    f"certify: reader {name!r} is {own!r}, which the search asks, with the same weights; take one trained "
                    "from another seed, better with another architecture"
                )


def _refuse_blind(target: Target, full: np.ndarray, reader: str) -> None:
    """A share of nothing is nothing: whoever sees nothing at full dose would hold every bound at every dose."""
    seen = full[np.isfinite(full)]
    if target.of_full and not (len(seen) and abs(float(seen.mean())) > 0):
        who = f"reader {reader!r}" if target.class_name else "the reconstruction"
        raise InputError(
            f"{target}: {who} reaches a quality of 0 at full dose, so any dose would keep a share of it; take a reader that "
            "finds the class in such images (its window, its training data), or an absolute bound"
        )


def _refuse_undefined(target: Target, gap: np.ndarray) -> None:
    if not np.isfinite(gap).any():
        what = "no patient has this class in his labels" if target.class_name else "no patient has samples to measure"
        raise InputError(f"{target}: is defined for no patient: {what}; take slices that show it (--slices)")
