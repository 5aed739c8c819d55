"""What `taskct train` does, as a config: data, and either a reader or a model with its objective. No config names code.

schema = 1                              schema = 1
[data]                                  [data]
patients = {train = 300, ...}           folder = "LiTS/"
[reader]                                shape = [362, 362]
net = "unet"                            pixel_mm = 1.1
[training]                              [beam]
steps = 4000                            preset = "lodopab"
                                        [dose]
                                        photons = 4096.0
                                        [model]
                                        kind = "fbp_unet"
                                        [objective]
                                        task = "label"
                                        alpha = 0.5
                                        readers = ["runs/reader"]
                                        [training]
                                        steps = 20000
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

from taskct.core.config import from_dict, to_dict
from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import load_run
from taskct.geometry.beam_config import beam_from_config
from taskct.physics.dose import Dose
from taskct.recon.slice_stacks import neighbours_of
from taskct.task import DiceCE, FrozenTask
from taskct.task.penalties import check_class_weights
from taskct.task.readers import ReaderSpec, load_reader, make_reader
from taskct.training.augment import Augmentation
from taskct.training.balanced import Balanced
from taskct.training.baselines import joint_penalty, joint_reader_folder, save_reader
from taskct.training.batch import Term
from taskct.training.begin import refuse_training_folder
from taskct.training.doses import DoseRange
from taskct.training.loop import Trained
from taskct.training.objective import Constrained, Objective, additive, convex
from taskct.training.plans import (
    check_parts,
    check_reader,
    check_reconstruction,
    check_warm_start,
    make_projector,
    read_plan_of,
    seeded_model,
)
from taskct.training.processes import rank
from taskct.training.schedules import WarmUp, Weight
from taskct.training.sources import DataPlan, grid_of, read_parts
from taskct.training.terms import FeaturePenalty, ImageError, JointPenalty, LabelPenalty, MeanOf, TeacherPenalty, TurnsOf
from taskct.training.train_reader import train_reader
from taskct.training.train_reconstructor import train
from taskct.training.train_settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class DosePlan:
    """Photons per detector pixel in air at full dose, and the fractions of it that are trained for."""

    photons: float = 1e5
    lowest: float = 1.0
    highest: float = 1.0
    electronic_std: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ObjectivePlan:
    """What the reconstruction is trained for.

    task        none, label, feature, teacher, or joint (readers that learn along)
    form        convex (1 - alpha, alpha), additive (1, alpha), balanced (alpha is the task's share of the gradient), or
                constrained (least image error while the task's penalty stays below `bound`)
    warm_up     steps over which alpha rises
    readers     run folders of readers; `several` takes their mean, or turns
    depths      feature loss: which scales of the readers
    class_weights   label loss: one for each class, in place of those of the readers' own penalty
    """

    task: Literal["none", "label", "feature", "teacher", "joint"] = "none"
    form: Literal["convex", "additive", "balanced", "constrained"] = "convex"
    alpha: float = 0.5
    warm_up: int = 0
    bound: float | None = None
    readers: tuple[str, ...] = ()
    several: Literal["mean", "turns"] = "mean"
    depths: tuple[int, ...] | None = None
    class_weights: tuple[float, ...] | None = None
    image: str = "mse"
    unit_hu: float = 25.0

    def __post_init__(self) -> None:
        if self.task != "none" and not self.readers:
            raise ConfigError(f"objective.task = {self.task!r} expects readers = [run folders], got none; train one first")
        if self.task == "none" and self.readers:
            raise ConfigError("objective.readers are given, but task is 'none'; choose label, feature, teacher or joint")
        if (self.form == "constrained") != (self.bound is not None):
            raise ConfigError(
                f"objective.bound goes with form = 'constrained', got form = {self.form!r}, bound = {self.bound}"
            )
        if self.class_weights is not None and self.task != "label":
            raise ConfigError(f"objective.class_weights goes with task = 'label', got task = {self.task!r}")
        if self.class_weights is not None:
            check_class_weights(self.class_weights, who="objective.class_weights", error=ConfigError)
        if self.warm_up and self.form in ("balanced", "constrained"):
            raise ConfigError(f"objective.warm_up goes with convex and additive, got form = {self.form!r}")


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """A training as plain values. With [reader] a reader is trained; otherwise a model, which needs [beam]."""

    training: TrainSettings
    data: DataPlan = field(default_factory=DataPlan)
    reader: ReaderSpec | None = None
    augmentation: Augmentation | None = None
    model: Mapping[str, Any] | None = None
    objective: ObjectivePlan = ObjectivePlan()
    beam: Mapping[str, Any] | None = None
    dose: DosePlan = DosePlan()
    warm_start: str = ""
    refine: int = 2
    cache_gib: float = 4.0

    def __post_init__(self) -> None:
        if self.reader is not None and (self.model is not None or self.beam is not None):
            raise ConfigError("a config trains either a [reader] or a [model] with its [beam], got both")
        check_parts(self.model, self.beam)


def read_plan(path: str | Path, changes: Mapping[str, Any] | None = None) -> TrainPlan:
    """The plan of a TOML file; `changes` replace values ({"training": {"steps": 10}}). Errors begin with the path."""
    others = dict.fromkeys(("held", "dose_module"), "taskct dose")
    return read_plan_of(TrainPlan, path, changes, others=others)


def run_plan(
    plan: TrainPlan,
    run: str | Path,
    *,
    model: nn.Module | None = None,
    progress: bool | None = None,
    tensorboard: bool = False,
) -> Trained | FrozenTask:
    """Train as planned, or resume a training that was stopped. `model` is your own module in place of [model].

    Models, readers, weights and beam are made before any image, so that what is wrong in a plan is said at once.
    """
    refuse_training_folder(run, {"training": plan.training, "reader": plan.reader, "model": plan.model})
    if plan.reader is not None:
        if model is not None:
            raise InputError("a config with a [reader] takes no --model; it names its network itself")
        net = make_reader(plan.reader)
        check_warm_start(plan.warm_start, net)
        check_reader(net, plan.reader.patch or plan.data.shape)
        parts = read_parts(plan.data, progress=progress)
        return train_reader(
            plan.reader,
            parts.train,
            run=run,
            settings=plan.training,
            validation=parts.validation,
            held_out=parts.test_patients,
            augment=plan.augmentation,
            warm_start=plan.warm_start or None,
            progress=progress,
            tensorboard=tensorboard,
        )
    if plan.beam is None:
        raise ConfigError("a reconstruction is trained for a [beam]; give preset or kind, or a [reader] to train one")
    if (model is None) == (plan.model is None):
        raise ConfigError("a reconstruction is trained from one model: [model] with its kind, or --model FILE.py:NAME")
    config = {k: v for k, v in to_dict(plan).items() if k in ("model", "objective", "warm_start", "augmentation")}
    own = model if model is not None else seeded_model(plan.model or {}, plan.training.seed)
    check_warm_start(plan.warm_start, own)
    objective = make_objective(plan.objective)
    A = make_projector(grid_of(plan.data), beam_from_config(plan.beam), batch=plan.training.batch)
    check_reconstruction(own, A)
    _warn_of_neighbours(own, plan.data)
    dose = DoseRange(Dose(plan.dose.photons, electronic_std=plan.dose.electronic_std), plan.dose.lowest, plan.dose.highest)
    parts = read_parts(plan.data, progress=progress)
    done = train(
        own,
        parts.train,
        objective=objective,
        A=A,
        dose=dose,
        run=run,
        settings=plan.training,
        validation=parts.validation,
        held_out=parts.test_patients,
        warm_start=plan.warm_start or None,
        augment=plan.augmentation,
        refine=plan.refine,
        cache_gib=plan.cache_gib,
        config=config,
        progress=progress,
        tensorboard=tensorboard,
    )
    if plan.objective.task == "joint" and len(plan.objective.readers) == 1 and rank() == 0:
        term = objective.terms["task"]
        assert isinstance(term, JointPenalty)
        save_reader(term.net, _spec_of(plan.objective.readers[0]), joint_reader_folder(run), reads="joint")
    return done


def _warn_of_neighbours(model: nn.Module, data: DataPlan) -> None:
    """A warning where the slices that a 2.5D network learns from do not lie beside each other, as those of a CT do."""
    if (k := neighbours_of(model)) and (data.slices or not data.folder):
        warnings.warn(
            f"[model] looks at {k} {'slice' if k == 1 else 'slices'} on each side, and data.slices = {data.slices} takes "
            "slices that lie apart: it will not know those of a CT; take all of a data.folder (slices = 0)",
            stacklevel=3,
        )


def make_objective(plan: ObjectivePlan) -> Objective:
    """The objective of a plan; readers are loaded from their runs."""
    image = ImageError(plan.image, unit_hu=plan.unit_hu)
    if plan.task == "none":
        return Objective({"image": (1.0, image)})
    terms = [_term(plan, path) for path in plan.readers]
    task: Term = terms[0] if len(terms) == 1 else (MeanOf if plan.several == "mean" else TurnsOf)(*terms)
    if plan.form == "balanced":
        return Balanced({"image": image, "task": task}, share=plan.alpha)
    if plan.form == "constrained":
        assert plan.bound is not None
        return Constrained(("image", image), {"task": (plan.bound, task)})
    alpha: Weight = WarmUp(plan.alpha, plan.warm_up) if plan.warm_up else plan.alpha
    return (convex if plan.form == "convex" else additive)(image, task, alpha=alpha)


def _term(plan: ObjectivePlan, path: str) -> Term:
    task = load_reader(path)
    if plan.task == "label":
        return LabelPenalty(task, penalty=_weighted(task, plan.class_weights))
    if plan.task == "feature":
        return FeaturePenalty(task, depths=plan.depths)
    if plan.task == "teacher":
        return TeacherPenalty(task)
    return joint_penalty(_spec_of(path), task)


def _weighted(task: FrozenTask, weights: Sequence[float] | None) -> DiceCE | None:
    if weights is None:
        return None
    if task.classes and len(weights) != len(task.classes):
        raise ConfigError(
            f"objective.class_weights expects one for each of the reader's classes {list(task.classes)}, got {list(weights)}"
        )
    return DiceCE(weights=weights)


def _spec_of(path: str) -> ReaderSpec:
    return from_dict(ReaderSpec, load_run(path).config["reader"], where="reader")
