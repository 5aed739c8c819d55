"""The steps that compare: every strategy scaled to the same quality on held-out patients, exact Poisson counts throughout."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskct.core.files import make_folder, write_text
from taskct.evaluation.dose.compare import compare_strategies
from taskct.evaluation.dose.comparison import Comparison
from taskct.evaluation.dose.curves import Curves
from taskct.evaluation.dose.rays import RegionRays
from taskct.evaluation.dose.strategies import STRATEGIES, Strategy
from taskct.evaluation.dose.subject import Reconstruct
from taskct.experiments.dose.arms import arm_named
from taskct.experiments.dose.material import measure_of, reconstruct_of, smooth_fbp, subjects_of
from taskct.experiments.dose.settings import DoseExperiment
from taskct.experiments.dose.trainings import bound_of
from taskct.training.dose import LearnedDose, load_dose, load_strategy

LEARNED, BASE = "learned", "fixed, reconstruction not learned along"
_FILE = "comparison.json"


def compare_arm(
    folder: Path, needed: Mapping[str, Path], *, settings: DoseExperiment, arm: str, seed: int, reader: str = ""
) -> None:
    """Compare the learned dose of an arm with the others, by the mean and by the promised share of patients."""
    about = arm_named(arm)
    name = f"dose-{arm}-{seed}"
    target = bound_of(needed, about.quality, about.model)
    learned = about.model == "unet"
    system = load_dose(needed[name])
    own: Reconstruct = system.reconstruct if learned else smooth_fbp
    strategy: LearnedDose = load_strategy(needed[name])
    strategies: dict[str, Strategy] = {**STRATEGIES, LEARNED: strategy}
    models: dict[str, Reconstruct] = dict.fromkeys(strategies, own)
    if learned:
        strategies[BASE] = STRATEGIES["fixed"]
        models[BASE] = reconstruct_of("unet", needed)
    subjects = subjects_of(needed["images"], "test", settings)
    quality = measure_of(target, needed, settings, reader=reader)
    curves: dict[str, Curves] = {}
    found = [
        compare_strategies(
            strategies,
            subjects,
            models,
            quality,
            target,
            settings.levels,
            held_by=held_by,
            full_photons=settings.photons[2],
            seed=settings.seed + 1,
            draws=settings.draws,
            known_shape=RegionRays(target.region) if target.region else None,
            as_deployed=(LEARNED,),
            curves=curves,
            show=False,
        )
        for held_by in ("mean", settings.promised)
    ]
    advice = {s.patient_id: strategy.advise(s).text for s in subjects}
    about_arm = {"arm": arm, "seed": seed, "about": about.about, "reader": reader, "hold": about.hold}
    values: dict[str, Any] = {
        "about": about_arm,
        "comparisons": [c.plain() for c in found],
        "advice": advice,
        "unit": strategy.unit,
    }
    make_folder(folder)
    write_text(folder / _FILE, json.dumps(_finite(values), indent=1) + "\n", overwrite=True)


def read_comparisons(folder: Path) -> tuple[dict[str, Any], list[Comparison]]:
    """What `compare_arm` wrote."""
    values = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return values, [Comparison.from_plain(c) for c in values["comparisons"]]


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
