"""`train_dose`: dose module and reconstruction learn together to spend the least dose for a quality."""

from __future__ import annotations

import copy
import inspect
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.class_names import refuse_other_order
from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run, is_run, load_run
from taskct.data.images import ImageSet
from taskct.data.leaks import refuse_leaks
from taskct.evaluation.dose.target import Target
from taskct.geometry.beam_config import beam_to_config
from taskct.physics.projector import Projector
from taskct.simulate.clean_scans import CACHE_GIB, CleanScans
from taskct.simulate.scout import view_angles_rad
from taskct.systems.alara.learned.constraints import Constraint
from taskct.systems.alara.learned.dose_module import DoseModule, DoseSpec
from taskct.systems.alara.learned.dose_objective import DoseBatch, DoseObjective
from taskct.systems.alara.learned.dose_source import DoseSource, PatientScans
from taskct.systems.alara.learned.dose_system import DoseSystem, Noise, exact_scans
from taskct.systems.alara.learned.goal import DoseGoal
from taskct.systems.alara.learned.held_check import HeldCheck, check_held
from taskct.systems.alara.learned.surrogate import Surrogate
from taskct.task import FrozenTask
from taskct.training.batch import Batch
from taskct.training.begin import begin_with, note_seen_images, open_training, to_channels_last
from taskct.training.loop import Trained, fit
from taskct.training.players import Player
from taskct.training.processes import world
from taskct.training.train_settings import TrainSettings, check_train_settings


@dataclass(frozen=True)
class TrainedDose:
    """The trained system, how its training went, and whether validation patients are served as was asked."""

    system: DoseSystem
    trained: Trained
    target: Target
    unit: float
    held: HeldCheck | None = None

    @property
    def run(self) -> Run:
        """The run folder."""
        return self.trained.run


def train_dose(
    spec: DoseSpec,
    data: ImageSet | CleanScans,
    *,
    reconstruct: nn.Module,
    goal: DoseGoal,
    A: Projector,
    run: Run | str | os.PathLike[str],
    settings: TrainSettings,
    validation: ImageSet | CleanScans | None = None,
    held_out: Sequence[str] = (),
    warm_start: Run | str | os.PathLike[str] | None = None,
    learn_reconstruction: bool = True,
    noise: Noise = "pre-log",
    electronic_std: float = 0.0,
    per_image: bool = False,
    refine: int = 2,
    cache_gib: float = CACHE_GIB,
    config: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> TrainedDose:
    """Learn how many photons each patient needs for a goal, and a reconstruction that needs few.

    spec, goal         the module's build; what is held, how, and what photons cost (`DoseGoal`)
    reconstruct        a module (p, A) -> mu, such as `fbp_unet()`, or `Classical(fbp)`; `warm_start`: a run with its weights,
                       best of a training over a range of doses; `learn_reconstruction` False leaves it as it is
    data, validation   images; those of a patient stand together, equally many of each. `per_image`: each is a patient
    settings           `TrainSettings(steps=...)`; `batch` counts patients

    Scans of training are made by the differentiable twin, those of validation have exact Poisson counts. The loop is `fit`: it
    resumes bit-equal on a CPU after a kill, writes the same files, and keeps the best weights by validation. A NotHeldWarning
    says where validation patients are left short of the bound; held.json has the numbers.

    Raises InputError for patients in two parts, missing labels or reader; ConfigError for a run that was started with others.
    """
    if world() > 1:  # constraints are of the whole batch: gaps of one process would move its multiplier alone
        raise ConfigError(f"a dose is trained in one process, got {world()}; start it without torchrun")
    check_train_settings(settings, who="train_dose")
    held, known, reader = goal.held, goal.classes, goal.reader
    images = data.images if isinstance(data, CleanScans) else data
    surrogate = Surrogate(
        held,
        A,
        reader=reader,
        class_index=known.get(held.class_name),
        region_class=known.get(held.region),
        protocol=goal.protocol,
        mu_water_per_mm=images.mu_water_per_mm,
        mu_air_per_mm=images.mu_air_per_mm,
    )
    seen = validation.images if isinstance(validation, CleanScans) else validation
    refuse_leaks(images, seen, held_out)
    if surrogate.needs_labels and not (images.has_labels and (seen is None or seen.has_labels)):
        raise InputError(f"{held}: needs labels of all training and validation images")
    if surrogate.needs_labels and surrogate.class_number not in images.label_values():
        raise InputError(
            f"{held}: no training image has label {surrogate.class_number}, {held.class_name or held.region}, so nothing "
            "would keep the dose up; take images that show it, or give its number (classes)"
        )
    if reader is not None:
        refuse_other_order(
            dict(enumerate(reader.classes)), {k: name for name, k in known.items()}, who=f"reader {reader.name!r}"
        )
        reader.check_images(
            who="training images",
            mu_water_per_mm=images.mu_water_per_mm,
            spacing_mm=images.spacing_mm,
            label_names=images.label_names,
        )
    reference = goal.reference_photons or spec.fallback_photons
    full = goal.full_photons or spec.highest_photons
    facts = {
        "training": settings,
        "dose_module": asdict(spec),
        "held": {"target": str(held), "constraint": _words(goal.constraint), "reference_photons": reference,
                 "full_photons": full, "spend": goal.spend, "image_weight": goal.image_weight, "noise": noise,
                 "electronic_std": electronic_std,
                 "learn_reconstruction": learn_reconstruction, "per_image": per_image, "unit": surrogate.unit,
                 "reader": reader.name if reader is not None else ""},
        "beam": beam_to_config(A.beam),
        "grid": {"shape": list(A.grid.shape), "spacing_mm": list(A.grid.spacing_mm)},
        "units": {"image": "1/mm", "mu_water_per_mm": images.mu_water_per_mm},
        "data": {**images.facts(),
                 "validation_images": len(seen) if seen is not None else 0, "refine": refine},
        **(config or {}),
    }  # fmt: skip
    _refuse_another_training(run, facts)
    folder = open_training(run, facts)
    note_seen_images(folder, images, warm_start)
    constraint = copy.deepcopy(goal.constraint)  # the caller's may serve other trainings
    constraint.start()
    if warm_start is not None:
        begin_with(reconstruct, warm_start)
    if not learn_reconstruction:
        reconstruct.requires_grad_(False)
    as_scans = lambda part: part if isinstance(part, CleanScans) else CleanScans(
        part, A, refine=refine, cache_gib=cache_gib, progress=progress
    )  # fmt: skip
    patients = PatientScans(as_scans(data), spec.prior, per_image=per_image)
    checks = None if validation is None else PatientScans(as_scans(validation), spec.prior, per_image=per_image)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        module = DoseModule(spec)
    module.learn(patients.prior, view_angles_rad(A))
    system = DoseSystem(module, reconstruct, noise=noise, electronic_std=electronic_std)
    device = next(reconstruct.parameters(), torch.zeros(0)).device
    system.to(device)
    to_channels_last(system.reconstruct)
    objective = DoseObjective(
        surrogate, constraint, reference_photons=reference, spend=goal.spend, image_weight=goal.image_weight
    )
    if held.of_full:
        for part in (patients, checks):
            if part is not None:
                part.full = _full_quality(
                    part, system, surrogate, A, device=device, photons=full, electronic_std=electronic_std
                )
                _refuse_blind(held, part.full, reader)
    answer = lambda module, batch: module(batch, A)
    trained = fit(
        Player(system, objective, answer), DoseSource(patients, checks, settings, device), folder, settings, progress=progress
    )
    checked = check_held(trained.run, held, goal.constraint, surrogate.unit, keep=settings.keep)
    return TrainedDose(system, trained, held, surrogate.unit, checked)


def _full_quality(
    part: PatientScans,
    system: DoseSystem,
    surrogate: Surrogate,
    A: Projector,
    *,
    device: torch.device,
    photons: float,
    electronic_std: float,
) -> Tensor:
    """Quality of each patient at full dose through the reconstruction as it stands before training, (patients,)."""
    system.eval()
    found = []
    with torch.no_grad():
        for k in range(len(part)):
            batch: Batch = part.take(torch.tensor([k]), device, noise=0)
            assert isinstance(batch, DoseBatch) and batch.clean is not None
            level = torch.full((len(batch.mu),), photons, device=device).log()
            p = exact_scans(batch.clean, level, seed=0, items=batch.ids, electronic_std=electronic_std)
            found.append(surrogate(system.reconstruct(p, A), batch.mu, batch.labels, batch.slices))
    return torch.cat(found)


def _refuse_another_training(run: Run | str | os.PathLike[str], facts: Mapping[str, Any]) -> None:
    """A run is resumed with what it was started for; ConfigError naming the first fact that differs."""
    if not isinstance(run, Run) and not is_run(run):
        return
    begun = run if isinstance(run, Run) else load_run(run)
    for part in ("held", "dose_module", "beam", "grid", "data"):
        if part not in begun.config and isinstance(run, Run):  # with a config of the caller's own
            continue
        old, new = (_flat(part, side.get(part)) for side in (begun.config, facts))
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name):
                raise ConfigError(
                    f"{begun.folder}: was started with {name} = {old.get(name)!r}, got {new.get(name)!r}; continue with the "
                    "same, or take a new folder"
                )


def _flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {k: v for key, part in value.items() for k, v in _flat(f"{name}.{key}", part).items()}
    if isinstance(value, list | tuple):
        value = [_flat("", v).get("", v) for v in value]
    return {} if value is None else {name: value}


def _refuse_blind(held: Target, full: Tensor, reader: FrozenTask | None) -> None:
    seen = full[torch.isfinite(full)]
    if not (len(seen) and abs(float(seen.mean())) > 1e-6):
        who = f"reader {reader.name!r}" if reader is not None and held.class_name else "the reconstruction"
        raise InputError(
            f"{held}: {who} reaches a quality of {float(seen.mean()) if len(seen) else math.nan:g} at full dose, so any dose "
            "would keep a share of it; take a reader that finds the class in such images, or an absolute bound"
        )


def _words(constraint: Constraint) -> dict[str, Any]:
    """The kind of a constraint and the settings that it was made with, without what it has learnt since."""
    settings = inspect.signature(type(constraint)).parameters
    return {"kind": type(constraint).__name__, **{name: getattr(constraint, name) for name in settings}}
