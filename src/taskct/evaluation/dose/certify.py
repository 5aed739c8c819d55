"""The dose that was found, scanned again with other noise and read by other readers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from taskct.core.errors import InputError
from taskct.core.seeds import derive_seed
from taskct.core.worker_pool import Pool
from taskct.evaluation.dose.answer import Certificate
from taskct.evaluation.dose.dose_settings import DoseSearch
from taskct.evaluation.dose.intervals import share_interval
from taskct.evaluation.dose.quality import quality_of
from taskct.evaluation.dose.quality_curves import contrast, held, measure_curves, of_patients
from taskct.evaluation.dose.target import Target
from taskct.evaluation.reading.panel import same_weights
from taskct.evaluation.statistics import bootstrap_mean
from taskct.evaluation.subject import Subject
from taskct.physics.dose import Dose
from taskct.recon.reconstructor import Reconstructor
from taskct.task import FrozenTask


def certify_dose(
    model: Reconstructor,
    subjects: Sequence[Subject],
    targets: Sequence[Target],
    photons: float,
    *,
    full: Dose,
    search: DoseSearch,
    readers: Mapping[str, FrozenTask],
    who: str,
    pool: Pool,
    progress: bool | None = None,
) -> list[Certificate]:
    """Scan again at the dose that was found, with noise that the search never saw.

    `who` names the reader that is asked in the certificate, "" for the readers of the search.
    """
    if not targets:
        return []
    again = measure_curves(
        subjects,
        model,
        {t.key: quality_of(t, protocol=search.protocol, readers=readers) for t in targets},
        [photons, full.photons] if photons < full.photons * (1 - 1e-9) else [photons],
        electronic_std=full.electronic_std,
        seed=derive_seed(search.seed, "certify"),
        draws=search.draws,
        pool=pool,
        progress=progress,
        words=f"checking the dose found{f' by {who}' if who else ''}",
    )
    return [_certificate(t, again.values[t.key], again.patients, search, readers=readers, who=who) for t in targets]


def _certificate(
    target: Target,
    values: np.ndarray,
    patients: Sequence[str],
    search: DoseSearch,
    *,
    readers: Mapping[str, FrozenTask],
    who: str,
) -> Certificate:
    """Of a target's values (N, 1 or 2): at the dose that was found, and at full dose."""
    refuse_blind(target, values[:, -1], who or next(iter(readers), ""))
    gap = contrast(target, values[:, 0], values[:, -1])
    mean = bootstrap_mean(gap, patients, seed=search.seed)
    by = search.held_by
    each = of_patients(gap[:, None], patients, by)
    defined = each[np.isfinite(each)]
    return Certificate(
        target,
        who,
        bootstrap_mean(values[:, 0], patients).mean,
        bootstrap_mean(values[:, -1], patients).mean,
        mean,
        float((defined >= 0).mean()) if len(defined) else math.nan,
        bool(held(each, by)[0] >= 0),
        values[:, 0],
        mean if isinstance(by, str) else share_interval(gap, patients, by),
    )


def refuse_same_readers(asked: Mapping[str, FrozenTask], certify: Mapping[str, FrozenTask]) -> None:
    """InputError where a reader that certifies is, by its weights, one that the search asks."""
    for name, one in certify.items():
        for own, other in asked.items():
            if one is other or same_weights(one, other):
                raise InputError(
                    f"certify: reader {name!r} is {own!r}, which the search asks, with the same weights; take one trained "
                    "from another seed, better with another architecture"
                )


def refuse_blind(target: Target, full: np.ndarray, reader: str) -> None:
    """A share of nothing is nothing: whoever sees nothing at full dose would hold every bound at every dose."""
    seen = full[np.isfinite(full)]
    if target.of_full and not (len(seen) and abs(float(seen.mean())) > 0):
        who = f"reader {reader!r}" if target.class_name else "the reconstruction"
        raise InputError(
            f"{target}: {who} reaches a quality of 0 at full dose, so any dose would keep a share of it; take a reader that "
            "finds the class in such images (its window, its training data), or an absolute bound"
        )
