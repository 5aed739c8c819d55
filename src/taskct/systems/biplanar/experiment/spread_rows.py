"""The steps that ask whether a spread means what it says: scaled on skulls of its own, judged on the test skulls.

The factor is set on the skulls that readers learn on, which no method has learnt from and no setting was chosen on: a
network is kept where it did best on the validation skulls, so its errors there are a little too small. Without such skulls the
validation skulls serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from taskct.core.units import HU_PER_MU
from taskct.evaluation.volumes import VolumeCases, ensemble_spread, reliability, score_volumes, spread_factor
from taskct.experiments.made import Made
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.conditions import cases_of
from taskct.systems.biplanar.experiment.method_source import MethodSource, population_model
from taskct.systems.biplanar.experiment.row_scores import write_scores
from taskct.systems.biplanar.experiment.shared_skulls import READING, Skulls

SPREAD = "spread"  # the volumes of it that are kept for the page, in HU


def ensemble_label(label: str, members: int) -> str:
    """The mean of several trainings of one row, in tables.

    >>> ensemble_label("unrolled", 3)
    'unrolled, mean of 3 trainings'
    """
    return f"{label}, mean of {members} trainings"


def score_population_spread(
    folder: Path,
    *,
    settings: BiPlanar,
    skulls: Made[Skulls],
    apart: Made[Skulls] | None,
    source: MethodSource,
    gaussian: MethodSource,
) -> None:
    """The spread of the Gaussian model, scaled to a method's errors on skulls of its own."""
    drawn = skulls.load()
    model, method = population_model(drawn, settings, gaussian), source.method(drawn, settings)
    found = []
    for cases in _cases(settings, skulls, apart):
        with torch.no_grad():
            mu = method(cases.p, cases.A)
            found.append((cases, mu, model.spread(cases.A).expand_as(mu)))
    _write(folder, source.label, found, settings, seed=source.seed)


def score_ensemble(
    folder: Path,
    *,
    settings: BiPlanar,
    skulls: Made[Skulls],
    apart: Made[Skulls] | None,
    members: Sequence[MethodSource],
) -> None:
    """The mean of several trainings of one row as a row of its own, and their standard deviation as its spread."""
    drawn = skulls.load()
    methods = [one.method(drawn, settings) for one in members]
    found = []
    for cases in _cases(settings, skulls, apart):
        with torch.no_grad():
            found.append((cases, *ensemble_spread(torch.stack([method(cases.p, cases.A) for method in methods]))))
    _write(folder, ensemble_label(members[0].label, len(members)), found, settings, scored=True)


def _cases(settings: BiPlanar, skulls: Made[Skulls], apart: Made[Skulls] | None) -> list[VolumeCases]:
    """Those that the factor is set on, and those that it is judged on."""
    where = (skulls.folder, "validation") if apart is None else (apart.folder, READING)
    return [cases_of(folder, settings, part, settings.views) for folder, part in (where, (skulls.folder, "test"))]


def _write(
    folder: Path,
    label: str,
    found: Sequence[tuple[VolumeCases, Tensor, Tensor]],
    settings: BiPlanar,
    *,
    seed: int | None = None,
    scored: bool = False,
) -> None:
    """`found` are cases, images and spreads: first to set the factor on, then to judge it on."""
    (check, image, wide), (test, mu, spread) = found
    factor = spread_factor(wide, image, check.truth)
    spread = factor * spread
    curve = reliability(spread, mu, test.truth)
    ratios = [reliability(s, m, t, bins=1).ratio for s, m, t in zip(spread, mu, test.truth, strict=True)]
    rows = score_volumes(label, mu, test, seed=seed) if scored else []
    rows += test.rows(label, "spread_ratio", ratios, seed=seed)
    facts = {
        "factor": factor, "ratio": curve.ratio, "within": list(curve.within), "spread": list(curve.spread),
        "error": list(curve.error), "calibrated": curve.calibrated(),
    }  # fmt: skip
    kept = {SPREAD: (HU_PER_MU * spread[: settings.examples]).half()}
    write_scores(folder, rows, test, {"method": label, "seed": seed, "spread": facts}, kept)
