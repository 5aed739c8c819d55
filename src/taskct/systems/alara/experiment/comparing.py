"""The steps that compare: every strategy scaled to the same quality on held-out patients, exact Poisson counts throughout.

What does not learn is measured once for a quality (`compare_rivals`); the comparison of an arm adds its learned dose. Where
the reconstruction is learned along with the dose, the others are measured through it, each time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from taskct.core.files import make_folder, write_text
from taskct.core.open_files import read_json
from taskct.evaluation.dose.curves import Curves
from taskct.evaluation.dose.subject import Reconstruct
from taskct.evaluation.dose.target import Target
from taskct.systems.alara.experiment.arms import arm_named, criteria
from taskct.systems.alara.experiment.settings import DoseExperiment
from taskct.systems.alara.experiment.shared import measure_of, reconstruct_of, smooth_fbp, subjects_of
from taskct.systems.alara.experiment.trainings import bound_of
from taskct.systems.alara.learned import LearnedDose, load_dose, load_strategy
from taskct.systems.alara.rivals.compare import compare_strategies
from taskct.systems.alara.rivals.comparison import Comparison
from taskct.systems.alara.rivals.rays import RegionRays
from taskct.systems.alara.rivals.strategies import STRATEGIES, AlongScan, Strategy

LEARNED, BASE = "learned", "fixed, reconstruction not learned along"
_GIVEN = ("fixed", "modulation a=0.5")
_FILE = "comparison.json"


def compare_rivals(
    folder: Path, needed: Mapping[str, Path], *, settings: DoseExperiment, quality: str, reader: str = ""
) -> None:
    """Compare the strategies that do not learn, and under the first reader the oracles, through FBP."""
    target = bound_of(needed, quality, "fbp")
    found = _compared(STRATEGIES, dict.fromkeys(STRATEGIES, smooth_fbp), target, needed, settings, quality, reader)
    _write(folder, {"comparisons": [c.plain() for c in found]})


def compare_arm(
    folder: Path, needed: Mapping[str, Path], *, settings: DoseExperiment, arm: str, seed: int, reader: str = ""
) -> None:
    """Compare the learned dose of an arm with the others, by the mean and, unless it serves a task, by share of patients."""
    about = arm_named(arm)
    name = f"dose-{arm}-{seed}"
    target = bound_of(needed, about.quality, about.model)
    strategy: LearnedDose = load_strategy(needed[name])
    if about.model == "unet":
        own: Reconstruct = load_dose(needed[name]).reconstruct
        strategies: dict[str, Strategy] = {**STRATEGIES, LEARNED: strategy, BASE: STRATEGIES["fixed"]}
        models = dict.fromkeys(strategies, own) | {BASE: reconstruct_of("unet", needed)}
        found = _compared(strategies, models, target, needed, settings, about.quality, reader)
    else:
        learnt: dict[str, Strategy] = {LEARNED: strategy, **_along(strategy)}
        alone = _compared(learnt, dict.fromkeys(learnt, smooth_fbp), target, needed, settings, about.quality, reader)
        rivals = read_comparisons(needed[rivals_name(about.quality, reader)])[1]
        found = [_beside(r, c) for r, c in zip(rivals, alone, strict=True)]
    subjects = subjects_of(needed["images"], "test", settings)
    about_arm = {"arm": arm, "seed": seed, "about": about.about, "reader": reader, "hold": about.hold}
    _write(
        folder,
        {
            "about": about_arm,
            "comparisons": [c.plain() for c in found],
            "advice": {s.patient_id: strategy.advise(s).text for s in subjects},
            "unit": strategy.unit,
        },
    )


def rivals_name(quality: str, reader: str) -> str:
    """Name of the step that `compare_arm` finds the others in."""
    return f"rivals-{quality}" + (f"-{reader}" if reader else "")


def read_comparisons(folder: Path) -> tuple[dict[str, Any], list[Comparison]]:
    """What `compare_arm` wrote."""
    values = read_json(folder / _FILE)
    return values, [Comparison.from_plain(c) for c in values["comparisons"]]


def _compared(  # noqa: PLR0917  (what a comparison is of)
    strategies: Mapping[str, Strategy],
    models: Mapping[str, Reconstruct],
    target: Target,
    needed: Mapping[str, Path],
    settings: DoseExperiment,
    quality: str,
    reader: str,
) -> list[Comparison]:
    """Some strategies under each criterion of a quality, with oracles where the fixed dose is among them."""
    subjects = subjects_of(needed["images"], "test", settings)
    curves: dict[str, Curves] = {}
    oracles = "fixed" in strategies and not reader  # a second reader certifies, and needs no bounds of its own
    region = target.region or target.class_name
    shape = RegionRays(region, by_size=bool(target.class_name)) if region and oracles else None
    return [
        compare_strategies(
            strategies,
            subjects,
            models,
            measure_of(target, needed, settings, reader=reader),
            target,
            settings.levels,
            held_by=held_by,
            full_photons=settings.full_photons,
            seed=settings.seed + 1,
            draws=settings.draws,
            oracles=oracles,
            known_shape=shape,
            as_deployed=(LEARNED,) if LEARNED in strategies else (),
            curves=curves,
            show=False,
        )
        for held_by in criteria(quality, settings.promised)
    ]


def _along(learned: LearnedDose) -> dict[str, Strategy]:
    """Rivals that are given the course over the scan that a dose has learnt for all: what is left of its gain is its own."""
    if not learned.module.spec.profile:
        return {}
    return {f"{name}, learned course": AlongScan(STRATEGIES[name], learned.module.profile) for name in _GIVEN}


def _beside(rivals: Comparison, learned: Comparison) -> Comparison:
    """One comparison of both: the learned dose stands before the oracles."""
    first = sum(not o.strategy.startswith("oracle") for o in rivals.outcomes)
    outcomes = (*rivals.outcomes[:first], *learned.outcomes, *rivals.outcomes[first:])
    return replace(rivals, outcomes=outcomes, unreached=(*rivals.unreached, *learned.unreached))


def _write(folder: Path, values: Mapping[str, Any]) -> None:
    make_folder(folder)
    write_text(folder / _FILE, json.dumps(_finite(values), indent=1) + "\n", overwrite=True)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
