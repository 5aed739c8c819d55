"""Quality over dose, patient by patient, with exact Poisson counts; and the dose at which a bound is met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.names import photon_count
from taskct.core.progress import track
from taskct.core.worker_pool import Pool
from taskct.core.workers import Workers
from taskct.evaluation.dose.quality import Quality
from taskct.evaluation.dose.target import Target
from taskct.evaluation.reading.task_curves import crossing, monotone
from taskct.evaluation.subject import Subject
from taskct.physics.modulation import ScannerLimits
from taskct.recon.reconstructor import Reconstructor

EVERY_MEAN = "mean"
Course = Tensor | float
"""Photons of one patient, one number or (S, V), at level 1 of a strategy."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Quality of N patients at L levels: `values[quality]` (N, L), `photons` (N, L) as spent on average over views."""

    levels: np.ndarray
    photons: np.ndarray
    values: dict[str, np.ndarray]
    patients: tuple[str, ...]


def measure_curves(
    subjects: Sequence[Subject],
    model: Reconstructor,
    qualities: Mapping[str, Quality],
    levels: Sequence[float],
    *,
    courses: Sequence[Course] | None = None,
    limits: ScannerLimits | None = None,
    electronic_std: float = 0.0,
    seed: int = 0,
    draws: int = 1,
    pool: Pool | None = None,
    progress: bool | None = None,
    words: str = "measuring",
) -> Curves:
    """Scan every patient at `level * course` photons for every level, reconstruct and measure.

    Noise is coupled over levels, so curves are smooth; `draws` independent noises are averaged. Courses are 1 by default: the
    levels are then photons per pixel. A `pool` of workers shares the scans, each of one patient at one level.
    """
    steps = sorted(float(level) for level in levels)
    if not steps or steps[0] <= 0:
        raise InputError(f"dose curves expect levels above 0, got {steps[:1]}")
    measure = partial(
        _measure_one,
        model=model,
        qualities=dict(qualities),
        limits=limits,
        electronic_std=electronic_std,
        seed=seed,
        draws=draws,
    )
    given = [1.0] * len(subjects) if courses is None else courses
    tried = ""

    def scans() -> Iterator[tuple[Subject, tuple[Course, float]]]:
        nonlocal tried
        for subject, course in zip(subjects, given, strict=True):
            for level in steps:
                tried = (
                    f"{subject.patient_id} at {photon_count(level, digits=3)} photons"
                    if courses is None
                    else subject.patient_id
                )
                yield subject, (course, level)

    total = len(subjects) * len(steps)
    sent = (pool or Pool(Workers())).map_shared(measure, scans())
    found = list(track(sent, words, total=total, progress=progress, now=lambda: tried))
    spent = np.array([one for one, _ in found]).reshape(len(subjects), len(steps))
    values = {name: np.array([one[name] for _, one in found]).reshape(len(subjects), len(steps), draws) for name in qualities}
    means = {name: one.mean(-1) for name, one in values.items()}
    return Curves(np.array(steps), spent, means, tuple(s.patient_id for s in subjects))


def _measure_one(
    subject: Subject,
    scan: tuple[Course, float],
    *,
    model: Reconstructor,
    qualities: Mapping[str, Quality],
    limits: ScannerLimits | None,
    electronic_std: float,
    seed: int,
    draws: int,
) -> tuple[float, dict[str, np.ndarray]]:
    """Photons and qualities (draws,) of one patient at one level of the course."""
    course, level = scan
    photons = subject.driven(torch.as_tensor(course, dtype=torch.float64) * level, limits)
    values = {name: np.empty(draws) for name in qualities}
    for k in range(draws):
        p = subject.scan(photons, seed=seed, electronic_std=electronic_std, draw=k)
        mu = subject.reconstruct(model, p)
        for name, quality in qualities.items():
            values[name][k] = quality(subject, mu)
    return float(photons.mean()), values


def contrast(target: Target, values: np.ndarray, full: np.ndarray | float | None = None) -> np.ndarray:
    """How far values are on the good side of the bound, in the quality's unit; `full` (N, 1) is what full dose gives.

    With a share of full dose this is Q - share * Q_full patient by patient: its mean above 0 is non-inferiority with a margin
    of 1 - share.
    """
    bound = target.bound * full if target.of_full and full is not None else target.bound
    return np.asarray(target.sign * (values - bound))


def held(contrasts: np.ndarray, by: str | float) -> np.ndarray:
    """The criterion: (..., N, L) -> (..., L), 0 or more where it holds.

    "mean": the mean over patients. A share such as 0.9: the contrast that this share of patients reaches, by order.
    NaN patients (without the class) take no part; NaN where there is none but such.
    """
    refuse_criterion(by)
    if isinstance(by, str):
        known = ~np.isnan(contrasts)
        total = np.where(known, contrasts, 0.0).sum(axis=-2)
        with np.errstate(invalid="ignore"):  # 0 / 0 where nobody has the class
            return np.asarray(total / known.sum(axis=-2))
    rising = np.sort(contrasts, axis=-2)  # NaN last
    count = np.isfinite(rising).sum(axis=-2, keepdims=True)
    place = np.floor(count * (1 - by) + 1e-9).astype(int).clip(0, np.maximum(count - 1, 0))
    return np.asarray(np.take_along_axis(rising, place, axis=-2)[..., 0, :])


def of_patients(contrasts: np.ndarray, patients: Sequence[str], by: str | float) -> np.ndarray:
    """Contrasts of patients from those of their scans: (N, L) -> (P, L), in the order in which patients first occur.

    The patient is the unit, however many scans there are: their mean, or the worst of them at each dose where a share of
    patients is asked for. NaN scans (without the class) take no part.

    >>> gaps = np.array([[1.0], [3.0], [-4.0]])
    >>> of_patients(gaps, ["anna", "anna", "bert"], "mean").tolist(), of_patients(gaps, ["anna", "anna", "bert"], 0.9).tolist()
    ([[2.0], [-4.0]], [[1.0], [-4.0]])
    """
    names = list(dict.fromkeys(patients))
    if len(names) == len(patients):
        return contrasts
    own = np.array(patients)
    each = [contrasts[own == name] for name in names]
    if isinstance(by, str):
        return np.stack([held(one, by) for one in each])
    return np.stack([held(one, 1.0) for one in each])


def refuse_criterion(by: str | float) -> None:
    """InputError unless the criterion is "mean" or a share of patients, above 0 and up to 1."""
    if by != EVERY_MEAN if isinstance(by, str) else not 0 < by <= 1:
        raise InputError(f"held_by expects 'mean' or a share of patients such as 0.9, got {by!r}")


def reached_at(levels: np.ndarray, contrasts: np.ndarray) -> float:
    """Level at which a contrast (L,), made rising, passes 0; the lowest if at once, NaN if never."""
    return crossing(levels, contrasts, 0.0)


def photons_at(levels: np.ndarray, photons: np.ndarray, level: float) -> np.ndarray:
    """Photons of each patient at a level between those measured, linear in the logarithms: (N, L) -> (N,)."""
    logs = np.log(photons)
    return np.exp(np.array([np.interp(np.log(level), np.log(levels), row) for row in logs]))


def value_at(levels: np.ndarray, values: np.ndarray, level: float, *, sign: float = 1.0) -> np.ndarray:
    """Quality of each patient at a level between those measured, made monotone first: (N, L) -> (N,)."""
    x = np.log(levels)
    rows = [sign * monotone(sign * row) if np.isfinite(row).all() else row for row in values]
    return np.array([np.interp(np.log(level), x, row) for row in rows])
