"""The steps that train: readers on full dose, reconstructions for the image and then for the task, readers again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.precision import autocast
from taskct.core.seeds import derive_seed
from taskct.experiments.cohort_images import REFINE, DrawnPatients, projector_of
from taskct.experiments.made import Made
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import load_reconstructor, make_model
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import neighbours_of
from taskct.simulate.clean_scans import CleanScans
from taskct.systems.adaptive.experiment.adaptive_arms import LOSSES, MODELS, Arm, objective_of
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.experiment_scans import device, dose_range, shuffled
from taskct.systems.adaptive.experiment.scoring import Method, reconstruct_of
from taskct.task import FrozenTask
from taskct.task.readers import ReaderSpec, make_reader
from taskct.training import ImageError, Objective, TrainSettings, train, train_jointly, train_reader

LR, LATER_LR, READER_LR = 2e-3, 1e-3, 2e-3
_WEIGHTS = (1.0, 1.0, 2.0)  # of background, liver, tumour in the readers' penalty


def reader_spec(net: str) -> ReaderSpec:
    """A reader of liver and tumour."""
    return ReaderSpec(net=net, class_weights=_WEIGHTS)


def train_full_dose_reader(folder: Path, *, settings: TaskAdaptive, images: Made[DrawnPatients], net: str) -> None:
    """A reader that learns from full-dose images."""
    train_reader(
        reader_spec(net),
        images.load().images("readers"),
        run=folder,
        validation=images.load().images("validation"),
        held_out=images.load().images("test").patient_ids,
        net=_untrained(net, settings),
        settings=TrainSettings(
            steps=settings.reader_steps,
            batch=settings.batch,
            lr=READER_LR,
            warmup_steps=min(100, settings.reader_steps // 4),
            weight_decay=1e-3,
            seed=derive_seed(settings.seed, "reader", net) % 2**31,
            **_rhythm(settings.reader_steps),
        ),
        progress=False,
    )


def train_base(folder: Path, *, settings: TaskAdaptive, images: Made[DrawnPatients], arm: Arm) -> None:
    """A reconstruction for the image error alone: where all arms of its model and seed begin.

    With `base_patience` it ends where its validation error is flat, by the rule of `taskct.training.flatness`.
    """
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(settings.seed, "model", arm.seed))
        model = make_model(MODELS[arm.model].build(settings.widths)).to(device())
    image_loss = Objective({"image": (1.0, ImageError())})
    drawn = images.load()
    data, A, doses = _what(drawn, settings)
    how = _how(drawn, settings, arm, settings.base_steps, lr=LR, patience=settings.base_patience)
    train(model, data, objective=image_loss, A=A, dose=doses, run=folder, **how)


def train_arm(
    folder: Path,
    *,
    settings: TaskAdaptive,
    images: Made[DrawnPatients],
    reader: Made[FrozenTask],
    base: Made[Reconstructor],
    arm: Arm,
    steps: int,
) -> None:
    """The base, trained on for the arm's objective."""
    model = make_model(MODELS[arm.model].build(settings.widths)).to(device())
    frozen = reader.load()
    data, A, doses = _what(images.load(), settings, known=LOSSES[arm.loss].known)
    how = _how(images.load(), settings, arm, steps, lr=LATER_LR, warm_start=base.folder)
    if arm.loss == "joint":
        spec = reader_spec(settings.reader)
        train_jointly(model, data, spec=spec, A=A, dose=doses, run=folder, alpha=0.5, reader=frozen, **how)
        return
    if arm.loss == "shuffled-labels":
        data = CleanScans(shuffled(data.images, seed=arm.seed), A, refine=REFINE, progress=False)
    train(model, data, objective=objective_of(arm, frozen), A=A, dose=doses, run=folder, **how)


def retrain_reader(
    folder: Path,
    *,
    settings: TaskAdaptive,
    images: Made[DrawnPatients],
    reader: Made[FrozenTask],
    of: Method,
    net: str,
    photons: float | None = None,
) -> None:
    """A reader, trained on with what a method makes of low-dose scans: what it shows to a reader that knows such images.

    It learns from patients whom it does not know by heart (on the others it would learn nothing): those of the bounds, whom
    the reconstruction has not fitted either, or else the reconstructions' own. At the dose of `photons`, or at all doses that
    are trained for. `of` None: their full-dose images, which says what more patients alone are worth.
    """
    reconstruct = reconstruct_of(of)
    dose = dose_range(settings) if photons is None else Dose(settings.photons[0], fraction=photons / settings.photons[0])
    through = None if reconstruct is None else (_Fast(reconstruct), projector_of(settings), dose)
    drawn = images.load()
    train_reader(
        reader_spec(net),
        drawn.images("bounds" if settings.bound_patients else "train"),
        run=folder,
        validation=drawn.images("validation"),
        held_out=drawn.images("test").patient_ids,
        through=through,
        warm_start=reader.folder,
        net=_untrained(net, settings),
        refine=REFINE,
        settings=TrainSettings(
            steps=settings.retrain_steps,
            batch=settings.batch,
            lr=LATER_LR,
            weight_decay=1e-3,
            seed=settings.seed,
            **_rhythm(settings.retrain_steps),
            **_until_flat(settings.retrain_patience, settings),
        ),
        progress=False,
    )


def learned(folder: Path) -> Reconstructor:
    """The reconstruction of a step that trained one: on a GPU if there is one, whatever its scan lies on."""
    model = load_reconstructor(folder).to(device())
    return model if device().type == "cpu" else _Elsewhere(model)


def smooth_fbp(p: Tensor, A: Projector) -> Tensor:
    """FBP with a Hann window."""
    return fbp(p, A, window="hann")


def _untrained(net: str, settings: TaskAdaptive) -> nn.Module | None:
    """A reader's network on the GPU, first weights drawn on the CPU; None without a GPU, where `train_reader` makes it."""
    if device().type == "cpu":
        return None
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(settings.seed, "reader", net) % 2**31)
        return make_reader(reader_spec(net)).to(device())


def _what(drawn: DrawnPatients, settings: TaskAdaptive, *, known: bool = False) -> tuple[Any, Projector, Any]:
    part = "readers" if known else "train"
    return drawn.scans(part, settings), projector_of(settings), dose_range(settings)


def _how(
    drawn: DrawnPatients,
    settings: TaskAdaptive,
    arm: Arm,
    steps: int,
    *,
    lr: float,
    warm_start: Path | None = None,
    patience: int = 0,
) -> dict[str, Any]:
    return {
        "validation": drawn.scans("validation", settings),
        "held_out": drawn.images("test").patient_ids,
        "config": {"model": MODELS[arm.model].build(settings.widths)},
        "settings": TrainSettings(
            steps=steps,
            batch=settings.batch,
            lr=lr,
            seed=derive_seed(settings.seed, "arm", arm.seed) % 2**31,
            **_rhythm(steps),
            **_until_flat(patience, settings),
        ),
        "warm_start": warm_start,
        "progress": False,
    }


def _rhythm(steps: int) -> dict[str, Any]:
    """Validation and saved states some times in a training, whatever its length."""
    every = max(1, min(200, steps // 4))
    return {"validate_every": every, "checkpoint_every": every, "log_every": min(50, every)}


def _until_flat(patience: int, settings: TaskAdaptive) -> dict[str, Any]:
    """With patience: until validation is flat, at a constant learning rate; one that falls would make any end look flat."""
    return {"patience": patience, "least_gain": settings.flat_gain, "schedule": "constant"} if patience else {}


class _Elsewhere:
    """A network on the GPU for scans that lie on the CPU."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.neighbours = model, neighbours_of(model)

    def __call__(self, p: Tensor, A: Projector) -> Tensor:
        return self.model(p.to(device()), A).to(p.device)


class _Fast:
    """A reconstruction in the precision in which it was trained."""

    def __init__(self, reconstruct: Reconstructor) -> None:
        self.reconstruct, self.neighbours = reconstruct, neighbours_of(reconstruct)
        if isinstance(reconstruct, nn.Module):
            reconstruct.eval()

    def __call__(self, p: Tensor, A: Projector) -> Tensor:
        with autocast(p.device):
            return self.reconstruct(p, A).float()
