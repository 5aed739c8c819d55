"""The steps that train: the networks of all rows alike, and the bone reader that some of them have in their loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.seeds import derive_seed
from taskct.core.units import to_hu_unchecked
from taskct.data.images import ImageSet
from taskct.experiments.made import Made
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.learned import BiPlanarNet, load_reconstructor, make_model
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.network_rows import OBJECTIVES, ROWS, Training
from taskct.systems.biplanar.experiment.plain_rows import Method
from taskct.systems.biplanar.experiment.shared_skulls import Skulls, device, mean_skull
from taskct.task import FrozenTask
from taskct.task.readers import ReaderSpec
from taskct.training import Augmentation, TrainSettings, train_reader
from taskct.training.train_radiographs import BONE_ABOVE_HU, train_on_radiographs

BONE_READER = ReaderSpec(net="unet_thin", dims=3, classes=("background", "bone"), centre_hu=200.0, width_hu=1600.0)


def train_network(
    folder: Path,
    *,
    settings: BiPlanar,
    skulls: Made[Skulls],
    training: Training,
    reader: Made[FrozenTask] | None = None,
    views: int = 0,
) -> None:
    """A network of a row: the same skulls, steps, batches, noise and learning rate for all."""
    drawn, row, views = skulls.load(), ROWS[training.row], views or settings.views
    config = row.config(settings.shape, views=views)
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(settings.seed, "model", training.seed))
        model = make_model(config)
        objective, others = OBJECTIVES[row.objective](reader.load().to(device()) if reader else None)
    assert isinstance(model, BiPlanarNet)
    model.set_prior(mean_skull(drawn, settings))
    train_on_radiographs(
        model.to(device()),
        drawn.radiographs("train", settings, views=views),
        objective=objective,
        dose=Dose(settings.photons),
        run=folder,
        validation=drawn.radiographs("validation", settings, views=views),
        held_out=[*drawn.images("test").patient_ids, *drawn.images("second").patient_ids],
        others=others,
        config={"model": config},
        settings=TrainSettings(
            steps=settings.steps,
            batch=settings.batch,
            lr=settings.lr,
            weight_decay=1e-4,
            clip_norm=1.0,
            warmup_steps=max(1, settings.steps // 10),
            precision="float32",
            seed=derive_seed(settings.seed, "training", training.seed) % 2**31,
            **rhythm(settings.steps),
        ),
        progress=False,
    )


def learned(folder: Path) -> Method:
    """The network of a step that trained one."""
    return one_device(load_reconstructor(folder, otherwise="allow"))


def one_device(model: nn.Module) -> Method:
    """A network as a method: on a GPU if there is one, whatever its scan lies on; in parts that memory holds."""
    model = model.to(device())

    def run(p: Tensor, A: Projector | Projectors) -> Tensor:
        with torch.no_grad():
            return torch.cat([model(part.to(device()), one).to(p.device) for part, one in parts_of(p, A)])

    return run


def parts_of(p: Tensor, A: Projector | Projectors, size: int = 8) -> list[tuple[Tensor, Projector | Projectors]]:
    """A batch in parts that memory holds, each with its geometry."""
    firsts = range(0, len(p), size)
    if isinstance(A, Projector):
        return [(p[k : k + size], A) for k in firsts]
    return [(p[k : k + size], A.take(range(k, min(k + size, len(p))))) for k in firsts]


def rhythm(steps: int) -> dict[str, Any]:
    """Validation and saved states some times in a training, whatever its length."""
    every = max(1, min(100, steps // 4))
    return {"validate_every": every, "checkpoint_every": every, "log_every": min(25, every)}


def train_bone_reader(folder: Path, *, settings: BiPlanar, skulls: Made[Skulls]) -> None:
    """A small 3D U-Net that tells bone (above 200 HU) in true volumes, for the losses that have a reader."""
    drawn = skulls.load()
    train_reader(
        BONE_READER,
        _labelled(drawn, "train", settings),
        run=folder,
        validation=_labelled(drawn, "validation", settings),
        held_out=drawn.images("test").patient_ids,
        augment=Augmentation(),
        settings=TrainSettings(
            steps=settings.reader_steps,
            batch=settings.batch,
            lr=settings.lr,
            precision="float32",
            seed=derive_seed(settings.seed, "bone reader") % 2**31,
            **rhythm(settings.reader_steps),
        ),
        progress=False,
    )


def _labelled(drawn: Skulls, part: str, settings: BiPlanar) -> ImageSet:
    """True volumes on the answer's grid with their bone."""
    data = drawn.radiographs(part, settings)
    bone = (to_hu_unchecked(data.truth[:, 0]) > BONE_ABOVE_HU).to(torch.uint8)
    return ImageSet(data.truth, data.images.patient_ids, bone, data.images.ids, spacing_mm=data.grid.spacing_mm)
