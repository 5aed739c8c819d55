"""The graph of the task-adaptive experiment, in the order in which its results are worth most."""

from __future__ import annotations

from functools import partial
from typing import Any

from taskct.evaluation.reading import UNTRAINED
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.systems.adaptive.experiment.arms import LOSSES, MODELS, Arm
from taskct.systems.adaptive.experiment.classical import tune_tv, tuned_tv
from taskct.systems.adaptive.experiment.gather import gather
from taskct.systems.adaptive.experiment.scoring import FULL_DOSE, score, score_bound
from taskct.systems.adaptive.experiment.settings import TaskAdaptive
from taskct.systems.adaptive.experiment.shared import save_images
from taskct.systems.adaptive.experiment.trainings import (
    learned,
    retrain_reader,
    smooth_fbp,
    train_arm,
    train_base,
    train_full_dose_reader,
)

FBP, TV = "FBP", "TV, tuned"
_DATA = "reader_patients train_patients validation_patients test_patients slices size width_mm views photons seed"
_BASE_STEP_S, _LATER_STEP_S, _READER_STEP_S, _SCORE_S = 0.12, 0.2, 0.2, 60.0  # of a core, at 128 pixels


def task_adaptive_steps(settings: TaskAdaptive) -> list[Step]:
    """All steps: a stop at any time leaves the table of what is done, and more arms or seeds only add to it."""
    plan = _Plan(settings)
    plan.step("images", save_images, what=_DATA, about="drawing the patients", cost=60)
    plan.reader(settings.reader)
    first = [a for a in settings.arms if a.model == settings.models[0] and a.loss in settings.main_losses and a.seed == 0]
    for arm in first:
        plan.training(arm)
    for net in settings.readers[1:]:
        plan.reader(net)
    plan.score("full-dose", FULL_DOSE, of=None)
    plan.score("fbp", FBP, of=smooth_fbp)
    plan.step(
        "tv-tuning",
        tune_tv,
        needs=("images", f"reader-{settings.reader}"),
        what="tv_strengths",
        about="tuning TV on validation patients",
        cost=60,
    )
    plan.score("tv", TV, of=tuned_tv, needs=("tv-tuning",))
    for arm in settings.arms:
        plan.arm(arm)
        if arm == settings.arms[0]:
            plan.bound("fbp", FBP, of=smooth_fbp)
            plan.bound("full-dose", FULL_DOSE, of=None)
    scored = tuple(name for name in plan.steps if name.startswith("scores-"))
    plan.step("report", gather, needs=("images", *plan.trained, *scored), about="tables, figures, page", cost=20, always=True)
    return list(plan.steps.values())


class _Plan(Plan):
    """Steps in the order in which they were added; `what` names the settings that a step's result depends on."""

    settings: TaskAdaptive

    def __init__(self, settings: TaskAdaptive) -> None:
        super().__init__(settings)
        self.trained: list[str] = []

    def reader(self, net: str) -> str:
        """A reader of full-dose images."""
        steps = self.settings.reader_steps
        about = f"{net} learns to read full dose, {steps} steps"
        what = "reader_steps batch"
        work = train_full_dose_reader
        return self.step(
            f"reader-{net}", work, needs=("images",), what=what, about=about, cost=_READER_STEP_S * steps, net=net
        )

    def training(self, arm: Arm) -> str:
        """An arm's training, and the base that it begins from."""
        s = self.settings
        label = MODELS[arm.model].label
        factor = MODELS[arm.model].cost
        self.step(
            arm.base,
            train_base,
            needs=("images",),
            what="base_steps batch widths",
            about=f"{label} learns by image error, {s.base_steps} steps",
            cost=factor * _BASE_STEP_S * s.base_steps,
            arm=arm,
        )
        steps = round(s.task_steps * s.label_cost) if arm.loss == "plain-long" else s.task_steps
        self.step(
            arm.name,
            train_arm,
            needs=("images", f"reader-{s.reader}", arm.base),
            what="task_steps batch" + (" label_cost" if arm.loss == "plain-long" else ""),
            about=f"{label}, {LOSSES[arm.loss].label}: {LOSSES[arm.loss].about}; {steps} steps",
            cost=factor * _LATER_STEP_S * steps,
            arm=arm,
            steps=steps,
        )
        self.trained += [n for n in (arm.base, arm.name) if n not in self.trained]
        return arm.name

    def bound(self, name: str, method: str, *, of: Any, seed: int = UNTRAINED) -> None:
        """The reader retrained on a method's images, and what it reads there."""
        s = self.settings
        own = () if name in ("fbp", "full-dose") else (name,)
        trained = self.step(
            f"bound-{name}",
            retrain_reader,
            needs=("images", f"reader-{s.reader}", *own),
            what="retrain_steps batch",
            about=f"the reader learns to read these images, {s.retrain_steps} steps",
            cost=_LATER_STEP_S * s.retrain_steps,
            of=of,
        )
        self.step(
            f"scores-bound-{name}",
            score_bound,
            needs=("images", trained, *own),
            what="photons",
            about=f"{method} is read by the reader that was retrained on it",
            cost=_SCORE_S / 4,
            method=method,
            of=of,
            bound=trained,
            seed=seed,
        )

    def score(self, name: str, method: str, *, of: Any, own: str = "", needs: tuple[str, ...] = (), **more: Any) -> str:
        """All scores of a method under the panel."""
        s = self.settings
        readers = tuple(f"reader-{net}" for net in s.readers)
        return self.step(
            f"scores-{name}",
            score,
            needs=("images", *readers, *needs, *((own,) if own else ())),
            what="audit photons",
            about=f"{method} is read by all readers",
            cost=_SCORE_S,
            method=method,
            of=of,
            own=own,
            **more,
        )

    def arm(self, arm: Arm) -> None:
        """Training, scores and bound of an arm."""
        name = self.training(arm)
        of = partial(learned, name=name)
        self.score(name, arm.method, of=of, own=name if arm.loss == "joint" else "", needs=(name,), seed=arm.seed)
        if arm.loss in self.settings.bounds:
            self.bound(name, arm.method, of=of, seed=arm.seed)
