"""A dose training as a config: data, beam, reconstruction, dose module, and what is held. No config names code.

schema = 1
[data]
lodopab = "LoDoPaB/"          or the keys of taskct train's [data]: patients, folder, shape, ...
[beam]
preset = "lodopab"
[model]                       left out: filtered back-projection
kind = "fbp_unet"
[held]
target = "psnr[image range]>=38.57"
constraint = "hinge"          or mean, share
[dose_module]
lowest_photons = 256.0
[training]
steps = 20000
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

from taskct.core.config import check_settings
from taskct.core.errors import ConfigError, unknown_name
from taskct.data.evenly_spaced import evenly_spaced
from taskct.data.images import ImageSet
from taskct.data.sets.lodopab import LodopabFiles
from taskct.evaluation import PROTOCOLS
from taskct.evaluation.dose.target import parse_target
from taskct.evaluation.protocol import Protocol
from taskct.geometry.beam_config import beam_from_config
from taskct.geometry.presets import lodopab
from taskct.recon.fbp import fbp
from taskct.systems.alara.learned.constraints import CONSTRAINTS, Constraint
from taskct.systems.alara.learned.dose_module import DoseSpec
from taskct.systems.alara.learned.dose_system import Classical, Noise
from taskct.systems.alara.learned.goal import DoseGoal
from taskct.systems.alara.learned.train_dose import TrainedDose, train_dose
from taskct.task.readers import load_reader
from taskct.training.begin import refuse_training_folder
from taskct.training.plans import (
    check_parts,
    check_reconstruction,
    check_warm_start,
    make_projector,
    read_plan_of,
    seeded_model,
)
from taskct.training.sources import DataPlan, grid_of, read_parts
from taskct.training.train_settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class DoseData(DataPlan):
    """As the data of other trainings, or LoDoPaB-CT.

    lodopab                       folder of the data set; each slice gets a dose of its own
    most_train, most_validation   slices of it at most, evenly over the part; 0: all (18 GB of memory)
    """

    lodopab: str = ""
    most_train: int = 4000
    most_validation: int = 400


@dataclass(frozen=True, kw_only=True)
class HeldPlan:
    """What is held and how; see `train_dose`.

    constraint    hinge, mean or share, with its `settings`: weight; rho, rate, largest; share, softness
    reader        run folder of the reader for CLASS.dice; `classes` names its labels
    protocol      default or lodopab: mask and fixed range of image qualities
    """

    target: str
    constraint: str = "mean"
    settings: Mapping[str, float] = field(default_factory=dict)
    reader: str = ""
    classes: Mapping[str, int] = field(default_factory=lambda: {"liver": 1, "tumour": 2})
    protocol: str = "default"
    reference_photons: float | None = None
    full_photons: float | None = None
    spend: Literal["photons", "log"] = "photons"
    image_weight: float = 0.1
    noise: Noise = "pre-log"
    electronic_std: float = 0.0
    per_image: bool = False
    learn_reconstruction: bool = True

    def __post_init__(self) -> None:
        parse_target(self.target)
        if self.constraint not in CONSTRAINTS:
            raise unknown_name("constraint", self.constraint, CONSTRAINTS)
        if self.protocol not in PROTOCOLS:
            raise unknown_name("protocol", self.protocol, PROTOCOLS)


@dataclass(frozen=True, kw_only=True)
class DoseTrainingPlan:
    """A dose training as plain values. Without [model] the reconstruction is filtered back-projection."""

    held: HeldPlan
    training: TrainSettings
    beam: Mapping[str, Any]
    data: DoseData = field(default_factory=DoseData)
    dose_module: DoseSpec = field(default_factory=DoseSpec)
    model: Mapping[str, Any] | None = None
    warm_start: str = ""
    refine: int = 2
    cache_gib: float = 4.0

    def __post_init__(self) -> None:
        check_parts(self.model, self.beam)


def read_dose_plan(path: str | Path, changes: Mapping[str, Any] | None = None) -> DoseTrainingPlan:
    """The plan of a TOML file; `changes` replace values. Errors begin with the path."""
    others = dict.fromkeys(("reader", "objective"), "taskct train")
    return read_plan_of(DoseTrainingPlan, path, changes, others=others)


def run_dose_plan(
    plan: DoseTrainingPlan, run: str | Path, *, model: nn.Module | None = None, progress: bool | None = None
) -> TrainedDose:
    """Train as planned, or resume; `model` is your own module in place of [model]."""
    refuse_training_folder(run, {"training": plan.training, "dose_module": plan.dose_module, "model": plan.model})
    held = plan.held
    if model is not None and plan.model is not None:
        raise ConfigError("a dose is trained with one reconstruction: [model] with its kind, or --model FILE.py:NAME")
    if model is None:
        model = Classical(fbp) if plan.model is None else seeded_model(plan.model, plan.training.seed)
    goal = goal_of(held)
    grid = lodopab()[0] if plan.data.lodopab else grid_of(plan.data)
    A = make_projector(grid, beam_from_config(plan.beam), batch=plan.training.batch)
    check_warm_start(plan.warm_start, model)
    check_reconstruction(model, A)
    train, validation, test = _images(plan, progress)
    config: dict[str, Any] = {} if plan.model is None else {"model": dict(plan.model)}
    return train_dose(
        plan.dose_module,
        train,
        reconstruct=model,
        goal=goal,
        A=A,
        run=run,
        settings=plan.training,
        validation=validation,
        held_out=test,
        warm_start=plan.warm_start or None,
        learn_reconstruction=held.learn_reconstruction,
        noise=held.noise,
        electronic_std=held.electronic_std,
        per_image=held.per_image or bool(plan.data.lodopab),
        refine=plan.refine,
        cache_gib=plan.cache_gib,
        config=config,
        progress=progress,
    )


def goal_of(held: HeldPlan) -> DoseGoal:
    """The goal of a plan; its reader is loaded from its run."""
    return DoseGoal(
        target=held.target,
        constraint=constraint_of(held),
        reader=load_reader(held.reader) if held.reader else None,
        classes=held.classes,
        protocol=protocol_of(held.protocol),
        reference_photons=held.reference_photons,
        full_photons=held.full_photons,
        spend=held.spend,
        image_weight=held.image_weight,
    )


def constraint_of(held: HeldPlan) -> Constraint:
    """The constraint with its settings, checked."""
    kind = CONSTRAINTS[held.constraint]
    made: Constraint = kind(**check_settings(kind, dict(held.settings), where="held.settings"))
    return made


def protocol_of(name: str) -> Protocol:
    """A protocol by name."""
    return PROTOCOLS[name]


def lodopab_images(folder: str | Path, part: str, *, most: int = 0) -> ImageSet:
    """Images of a part of LoDoPaB-CT: all of them streamed from the files, or at most `most`, evenly, in memory."""
    images = LodopabFiles(folder, part).images()
    if not most or most >= len(images):
        return images
    return images[evenly_spaced(len(images), most)].to_memory()


def _images(plan: DoseTrainingPlan, progress: bool | None) -> tuple[ImageSet, ImageSet | None, tuple[str, ...]]:
    data = plan.data
    if not data.lodopab:
        parts = read_parts(data, progress=progress)
        return parts.train, parts.validation, parts.test_patients
    train = lodopab_images(data.lodopab, "train", most=data.most_train)
    return train, lodopab_images(data.lodopab, "validation", most=data.most_validation), ()
