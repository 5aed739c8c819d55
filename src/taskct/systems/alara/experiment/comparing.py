"""The steps that compare: every strategy scaled to the same quality on held-out patients, exact Poisson counts throughout.

What does not learn is measured once for a quality (`compare_rivals`); the comparison of an arm adds its learned dose. Where
the reconstruction is learned along with the dose, the others are measured through it, each time.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taskct.core.files import make_folder, write_text
from taskct.core.open_files import read_json
from taskct.evaluation.dose.quality import Quality
from taskct.evaluation.dose.quality_curves import Curves
from taskct.evaluation.dose.target import Target
from taskct.evaluation.subject import Subject
from taskct.experiments.cohort_images import DrawnPatients
from taskct.experiments.made import Made
from taskct.recon.reconstructor import Reconstructor
from taskct.simulate.scout import SCOUT_PHOTONS, scout_share
from taskct.systems.alara.experiment.alara_arms import arm_named, criteria
from taskct.systems.alara.experiment.alara_settings import DoseExperiment
from taskct.systems.alara.experiment.shared_subjects import measure_of, protocol_of, reconstruct_of, smooth_fbp, subjects_of
from taskct.systems.alara.learned import LearnedDose, load_dose, load_strategy
from taskct.systems.alara.learned.held_check import HELD_FILE, HeldCheck
from taskct.systems.alara.rivals.compare_strategies import compare_strategies
from taskct.systems.alara.rivals.measuring import Measuring
from taskct.systems.alara.rivals.outcomes import Comparison
from taskct.systems.alara.rivals.region_rays import RegionRays
from taskct.systems.alara.rivals.strategies import STRATEGIES, AlongScan, Strategy
from taskct.task import FrozenTask

LEARNED, BASE = "learned", "fixed, reconstruction not learned along"
_GIVEN = ("fixed", "modulation a=0.5")
_FILE = "comparison.json"


@dataclass(frozen=True)
class Compared:
    """What `compare_rivals` and `compare_arm` write: facts about the arm, and a comparison by each criterion."""

    values: Mapping[str, Any]
    comparisons: list[Comparison]


@dataclass(frozen=True)
class Ground:
    """What a comparison is made on: patients, quality and its bound, and who reads the images of a task.

    With `certify` the reader was not part of the training; it certifies, and needs no oracles of its own.
    """

    settings: DoseExperiment
    quality: str
    subjects: Sequence[Subject]
    target: Target
    measure: Quality
    certify: bool


def compare_rivals(
    folder: Path,
    *,
    settings: DoseExperiment,
    images: Made[DrawnPatients],
    bound: Made[Target],
    readers: Sequence[Made[FrozenTask]],
    quality: str,
    by: int = 0,
) -> None:
    """Compare the strategies that do not learn through FBP, read by `readers[by]`; the first reader has the oracles too."""
    ground = _ground(settings, images, bound, readers, quality=quality, by=by)
    found = _compared(STRATEGIES, dict.fromkeys(STRATEGIES, smooth_fbp), ground)
    write_comparisons(folder, {"comparisons": [c.plain() for c in found]})


def compare_arm(
    folder: Path,
    *,
    settings: DoseExperiment,
    images: Made[DrawnPatients],
    bound: Made[Target],
    readers: Sequence[Made[FrozenTask]],
    trained: Made[DoseRun],
    base: Made[Reconstructor] | None,
    rivals: Made[Compared] | None,
    arm: str,
    seed: int,
    by: int = 0,
) -> None:
    """Compare the learned dose of an arm with the others, by the mean and, unless it serves a task, by share of patients.

    `rivals` holds what was measured through FBP; without it the reconstruction was learned along, and everything is measured
    through that one, and the fixed dose through `base` too.
    """
    about = arm_named(arm)
    ground = _ground(settings, images, bound, readers, quality=about.quality, by=by)
    strategy = trained.load().strategy
    if rivals is None:
        own = trained.load().reconstruct()
        strategies: dict[str, Strategy] = {**STRATEGIES, LEARNED: strategy, BASE: STRATEGIES["fixed"]}
        models = dict.fromkeys(strategies, own) | {BASE: reconstruct_of(base)}
        found = _compared(strategies, models, ground)
    else:
        learnt: dict[str, Strategy] = {LEARNED: strategy, **_along(strategy)}
        alone = _compared(learnt, dict.fromkeys(learnt, smooth_fbp), ground)
        found = [_beside(r, c) for r, c in zip(rivals.load().comparisons, alone, strict=True)]
    subjects, reader = ground.subjects, settings.readers[by] if by else ""
    check = trained.load().held
    about_arm = {"arm": arm, "seed": seed, "about": about.about, "reader": reader, "hold": about.hold}
    write_comparisons(
        folder,
        {
            "about": about_arm,
            "comparisons": [c.plain() for c in found],
            "advice": advice_of(strategy, subjects),
            "unit": strategy.unit,
            "held": "" if check is None else check.text,
            "is_held": check is None or check.held,
        },
    )


def advice_of(strategy: LearnedDose, subjects: Sequence[Subject]) -> dict[str, str]:
    """What is advised for each patient; where several scans are one patient's, for each image by its name."""
    times = Counter(s.patient_id for s in subjects)
    return {s.patient_id if times[s.patient_id] == 1 else s.images.ids[0]: strategy.advise(s).text for s in subjects}


def read_comparisons(folder: Path) -> Compared:
    """What `compare_arm` or `compare_rivals` wrote."""
    values = read_json(folder / _FILE)
    return Compared(values, [Comparison.from_plain(c) for c in values["comparisons"]])


@dataclass(frozen=True)
class DoseRun:
    """The folder of a dose module: how it chooses doses, and the reconstruction that was learned along."""

    folder: Path

    @property
    def strategy(self) -> LearnedDose:
        """The dose that it chooses from a scout."""
        return load_strategy(self.folder)

    def reconstruct(self) -> Reconstructor:
        """Its reconstruction."""
        return load_dose(self.folder).reconstruct

    @property
    def held(self) -> HeldCheck | None:
        """Whether validation patients were served as was asked; None where there were none."""
        path = self.folder / HELD_FILE
        return HeldCheck(**read_json(path)) if path.exists() else None


def _ground(
    settings: DoseExperiment,
    images: Made[DrawnPatients],
    bound: Made[Target],
    readers: Sequence[Made[FrozenTask]],
    *,
    quality: str,
    by: int,
) -> Ground:
    target = bound.load()
    measure = measure_of(target, readers[by] if readers else None, protocol_of(settings))
    return Ground(settings, quality, subjects_of(images.folder, "test", settings), target, measure, by > 0)


def _compared(strategies: Mapping[str, Strategy], models: Mapping[str, Reconstructor], ground: Ground) -> list[Comparison]:
    """Some strategies under each criterion of a quality, with oracles where the fixed dose is among them."""
    settings, target = ground.settings, ground.target
    curves: dict[str, Curves] = {}
    oracles = "fixed" in strategies and not ground.certify
    region = target.region or target.class_name
    shape = RegionRays(region, by_size=bool(target.class_name)) if region and oracles else None
    return [
        compare_strategies(
            strategies,
            models,
            settings.levels,
            Measuring(
                ground.subjects,
                ground.measure,
                target,
                held_by,
                draws=settings.draws,
                scout=scout_share(SCOUT_PHOTONS, settings.views),
            ),
            full_photons=settings.full_photons,
            seed=settings.seed + 1,
            oracles=oracles,
            known_shape=shape,
            as_deployed=(LEARNED,) if LEARNED in strategies else (),
            curves=curves,
            progress=False,
        )
        for held_by in criteria(ground.quality, settings.promised)
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


def write_comparisons(folder: Path, values: Mapping[str, Any]) -> None:
    """Write what `read_comparisons` reads: `comparisons` as plain values, and facts beside them."""
    make_folder(folder)
    write_text(folder / _FILE, json.dumps(_finite(values), indent=1) + "\n", overwrite=True)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
