"""The graph of the task-adaptive experiment, in the order in which its results are worth most."""

from __future__ import annotations

from pathlib import Path

from taskct.evaluation.reading import UNTRAINED
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import DrawnPatients
from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.systems.adaptive.experiment.adaptive_arms import LOSSES, MODELS, Arm
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.adaptive_summary import Training, gather
from taskct.systems.adaptive.experiment.adaptive_trainings import (
    learned,
    retrain_reader,
    smooth_fbp,
    train_arm,
    train_base,
    train_full_dose_reader,
)
from taskct.systems.adaptive.experiment.classical import tune_tv, tuned_tv
from taskct.systems.adaptive.experiment.experiment_scans import save_images
from taskct.systems.adaptive.experiment.scoring import FULL_DOSE, Method, Scores, score, score_bound
from taskct.task import FrozenTask
from taskct.task.readers import load_reader

FBP, TV = "FBP", "TV, tuned"
_DATA = (
    "reader_patients", "train_patients", "bound_patients", "validation_patients", "test_patients", "slices", "size",
    "width_mm", "views", "photons", "seed", "data", "data_split", "field_mm",
)  # fmt: skip
_BASE_STEP_S, _LATER_STEP_S, _READER_STEP_S, _SCORE_S = 0.12, 0.2, 0.2, 60.0  # of a core, at 128 pixels


def task_adaptive_steps(settings: TaskAdaptive) -> list[Step]:
    """All steps: a stop at any time leaves the table of what is done, and more arms or seeds only add to it."""
    plan = _Plan(settings)
    plan.reader(settings.reader)
    for arm in settings.arms:
        if arm.model == settings.models[0] and arm.loss in settings.main_losses and arm.seed == 0:
            plan.training(arm)
    plan.score("full-dose", FULL_DOSE, of=None)
    plan.score("fbp", FBP, of=smooth_fbp)
    tv = plan.step(
        "tv-tuning",
        call(tune_tv, settings=settings, images=plan.images, reader=plan.reader(settings.reader)),
        tuned_tv,
        uses=("tv_strengths",),
        about="tuning TV on validation patients",
        cost=60,
    )
    plan.score("tv", TV, of=tv)
    for arm in settings.arms:
        plan.arm(arm)
        if arm == settings.arms[0] and settings.bounds:
            plan.bound("fbp", FBP, of=smooth_fbp)
            plan.bound("full-dose", FULL_DOSE, of=None)
    plan.step(
        "report",
        call(
            gather,
            settings=settings,
            images=plan.images,
            trained=list(plan.trained.values()),
            scores=plan.scores,
            bounds=plan.bounds,
        ),
        Path,
        about="tables, figures, page",
        cost=20,
        always=True,
    )
    return list(plan.steps.values())


class _Plan(Plan[TaskAdaptive]):
    """The steps, and handles of what they make."""

    def __init__(self, settings: TaskAdaptive) -> None:
        super().__init__(settings)
        self.trained: dict[Arm, Training] = {}
        self.scores: list[Made[Scores]] = []
        self.bounds: list[Made[Table]] = []
        self.images = self.step(
            "images",
            call(save_images, settings=settings),
            DrawnPatients,
            uses=_DATA,
            about="reading the volumes" if settings.data else "drawing the patients",
            cost=60,
        )

    def reader(self, net: str) -> Made[FrozenTask]:
        """A reader of full-dose images."""
        steps = self.settings.reader_steps
        return self.step(
            f"reader-{net}",
            call(train_full_dose_reader, settings=self.settings, images=self.images, net=net),
            load_reader,
            uses=("reader_steps", "batch"),
            about=f"{net} learns to read full dose, {steps} steps",
            cost=_READER_STEP_S * steps,
        )

    def training(self, arm: Arm) -> Training:
        """An arm's training, and the base that it begins from."""
        s = self.settings
        label = MODELS[arm.model].label
        factor = MODELS[arm.model].cost
        base = self.step(
            arm.base,
            call(train_base, settings=s, images=self.images, arm=arm),
            learned,
            uses=("base_steps", "base_patience", "flat_gain", "batch", "widths"),
            about=f"{label} learns by image error, {'at most ' if s.base_patience else ''}{s.base_steps} steps",
            cost=factor * _BASE_STEP_S * s.base_steps,
        )
        steps = round(s.task_steps * s.label_cost) if arm.loss == "plain-long" else s.task_steps
        made = self.step(
            arm.name,
            call(train_arm, settings=s, images=self.images, reader=self.reader(s.reader), base=base, arm=arm, steps=steps),
            learned,
            uses=("task_steps", "batch", *(("label_cost",) if arm.loss == "plain-long" else ())),
            about=f"{label}, {LOSSES[arm.loss].label}: {LOSSES[arm.loss].about}; {steps} steps",
            cost=factor * _LATER_STEP_S * steps,
        )
        return self.trained.setdefault(arm, Training(base, made, arm))

    def bound(self, name: str, method: str, *, of: Method, seed: int = UNTRAINED) -> None:
        """The readers retrained on a method's images, and what they read there."""
        s = self.settings
        for net in s.retrained:
            for photons in s.photons if s.bound_each_dose and of is not None else (None,):
                own = f"{name}{f'-{net}' if len(s.retrained) > 1 else ''}{f'-{photons:g}' if photons else ''}"
                self._bound(own, method, of=of, seed=seed, net=net, photons=photons)

    def _bound(self, name: str, method: str, *, of: Method, seed: int, net: str, photons: float | None) -> None:
        s = self.settings
        at = f" at {photons:g} photons" if photons else ""
        retrained = self.step(
            f"bound-{name}",
            call(
                retrain_reader,
                settings=s,
                images=self.images,
                reader=self.reader(net),
                of=of,
                net=net,
                photons=photons,
            ),
            load_reader,
            uses=("retrain_steps", "retrain_patience", "flat_gain", "batch"),
            about=f"{net} learns to read these images{at}, {'at most ' if s.retrain_patience else ''}{s.retrain_steps} steps",
            cost=_LATER_STEP_S * s.retrain_steps,
        )
        made = self.step(
            f"scores-bound-{name}",
            call(
                score_bound,
                settings=s,
                images=self.images,
                method=method,
                of=of,
                bound=retrained,
                net=net,
                photons=photons,
                seed=seed,
            ),
            Table.read,
            uses=("photons",),
            about=f"{method} is read by the reader that was retrained on it{at}",
            cost=_SCORE_S / 4,
        )
        self.bounds.append(made)

    def score(self, name: str, method: str, *, of: Method, own: Made[FrozenTask] | None = None, seed: int = UNTRAINED) -> None:
        """All scores of a method under the panel."""
        s = self.settings
        readers = {net: self.reader(net) for net in s.readers}
        made = self.step(
            f"scores-{name}",
            call(score, settings=s, images=self.images, readers=readers, method=method, of=of, own=own, seed=seed),
            Scores.read,
            uses=("audit", "photons"),
            about=f"{method} is read by all readers",
            cost=_SCORE_S,
        )
        self.scores.append(made)

    def arm(self, arm: Arm) -> None:
        """Training, scores and bound of an arm."""
        made = self.training(arm).made
        own = made.read_as(_reader_beside) if arm.loss == "joint" else None
        self.score(arm.name, arm.method, of=made, own=own, seed=arm.seed)
        if arm.loss in self.settings.bounds:
            self.bound(arm.name, arm.method, of=made, seed=arm.seed)


def _reader_beside(folder: Path) -> FrozenTask:
    """The reader of a joint training, which lies beside the folder of its reconstruction."""
    beside = folder.with_name(folder.name + "-reader")
    return load_reader(beside if beside.exists() else folder)
