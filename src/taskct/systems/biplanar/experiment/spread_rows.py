"""The steps that ask whether a spread means what it says: scaled on the validation skulls, judged on the test skulls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.evaluation.volumes import ensemble_spread, reliability, score_volumes, spread_factor
from taskct.experiments.made import Made
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.conditions import cases_of
from taskct.systems.biplanar.experiment.method_source import MethodSource, population_model
from taskct.systems.biplanar.experiment.row_scores import write_scores
from taskct.systems.biplanar.experiment.shared_skulls import Skulls

SPREAD = "spread"  # the volumes of it that are kept for the page, in HU
HU_PER_MU = 1000 / MU_WATER_70KEV_PER_MM


def ensemble_label(label: str, members: int) -> str:
    """The mean of several trainings of one row, in tables.

    >>> ensemble_label("unrolled", 3)
    'unrolled, mean of 3 trainings'
    """
    return f"{label}, mean of {members} trainings"


def score_population_spread(
    folder: Path, *, settings: BiPlanar, skulls: Made[Skulls], source: MethodSource, gaussian: MethodSource
) -> None:
    """The spread of the Gaussian model, scaled to a method's errors on the validation skulls."""
    drawn = skulls.load()
    model, method = population_model(drawn, settings, gaussian), source.method(drawn, settings)
    found = []
    for part in ("validation", "test"):
        cases = cases_of(drawn.folder, settings, part, settings.views)
        with torch.no_grad():
            mu = method(cases.p, cases.A)
            found.append((mu, model.spread(cases.A).expand_as(mu)))
    _write(folder, source.label, found, settings, drawn, seed=source.seed)


def score_ensemble(folder: Path, *, settings: BiPlanar, skulls: Made[Skulls], members: Sequence[MethodSource]) -> None:
    """The mean of several trainings of one row as a row of its own, and their standard deviation as its spread."""
    drawn = skulls.load()
    methods = [one.method(drawn, settings) for one in members]
    found = []
    for part in ("validation", "test"):
        cases = cases_of(drawn.folder, settings, part, settings.views)
        with torch.no_grad():
            found.append(ensemble_spread(torch.stack([method(cases.p, cases.A) for method in methods])))
    _write(folder, ensemble_label(members[0].label, len(members)), found, settings, drawn, scored=True)


def _write(
    folder: Path,
    label: str,
    found: Sequence[tuple[Tensor, Tensor]],
    settings: BiPlanar,
    drawn: Skulls,
    *,
    seed: int | None = None,
    scored: bool = False,
) -> None:
    """`found` are image and spread of the validation skulls, and of the test skulls."""
    check, test = (cases_of(drawn.folder, settings, part, settings.views) for part in ("validation", "test"))
    factor = spread_factor(found[0][1], found[0][0], check.truth)
    mu, spread = found[1][0], factor * found[1][1]
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
