"""`train`: a reconstruction learns from simulated low-dose scans of full-dose images."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.data.images import ImageSet
from taskct.data.leaks import refuse_leaks
from taskct.geometry.beam_config import beam_to_config
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.simulate.clean_scans import CACHE_GIB, CleanScans
from taskct.training.augment import Augment
from taskct.training.batch import Batch, Term
from taskct.training.begin import begin_with, note_seen_images, open_training, to_channels_last
from taskct.training.doses import DoseRange, as_dose_range
from taskct.training.loop import Trained, fit
from taskct.training.objective import Objective, as_objective
from taskct.training.players import Player, check_players
from taskct.training.processes import world
from taskct.training.scan_source import ScanSource
from taskct.training.schedules import Weight
from taskct.training.terms import check_readers
from taskct.training.train_settings import TrainSettings, check_train_settings

_WORSE = 1.01  # times the error of filtered back-projection


def train(
    model: nn.Module,
    data: ImageSet | CleanScans,
    *,
    objective: Objective | Mapping[str, tuple[Weight, Term]],
    A: Projector,
    dose: Dose | DoseRange,
    run: Run | str | os.PathLike[str],
    settings: TrainSettings,
    validation: ImageSet | CleanScans | None = None,
    held_out: Sequence[str] = (),
    warm_start: Run | str | os.PathLike[str] | None = None,
    augment: Augment | None = None,
    others: Sequence[Player] = (),
    refine: int = 2,
    cache_gib: float = CACHE_GIB,
    workers: int = 0,
    config: Mapping[str, Any] | None = None,
    channels_last: bool = True,
    progress: bool | None = None,
    tensorboard: bool = False,
) -> Trained:
    """Train `model`, a module `(p, A) -> mu`, to make low-dose scans of `data` good by `objective`.

    Each step draws images, gives each a dose from `dose` (one, or a `DoseRange`) and fresh noise, reconstructs and descends.
    Model and data may be on a GPU: batches follow the model.

    model                a network that sees neighbouring slices says so by `neighbours`, and gets p with 2 neighbours + 1
                         channels: images of a patient stand together, in the order of their slices
    data, validation     images with labels if a term needs them, or their `CleanScans`, which several trainings can share;
                         `refine` and `cache_gib` say how clean scans are made
    workers              processes that read the images of a streamed set ahead; 0: two threads of this process
    held_out             patients of the test set: training refuses to see them
    run                  a folder: a new one, or one that was stopped and is resumed. The end is bit-equal on a CPU
    settings             `TrainSettings(steps=2000)`: steps, batch, learning rate, validation, seed and so on
    warm_start           a run whose weights the model begins with
    augment              (mu, labels, generator) -> the same, other images; they are then projected in every step
    others               players that learn in each step after the model, from what it made: `discriminator_player`
    config               more to be written into the run's config, such as how the model was made

    Under `torchrun` the processes share each batch. The model ends with its best (or last) weights, in evaluation mode.

    Raises InputError for patients in two parts, for missing labels and for readers that number them otherwise, UnitsError for
    readers that take another attenuation for water, GeometryError for images on another grid than A's,
    ConfigError for a run that began with other settings, DataError when losses stay infinite.
    """
    check_train_settings(settings, who="train")
    objective = as_objective(objective)
    doses = as_dose_range(dose)
    images = data.images if isinstance(data, CleanScans) else data
    seen = validation.images if isinstance(validation, CleanScans) else validation
    refuse_leaks(images, seen, held_out)
    for part, name in ((images, "training"), (seen, "validation")):
        if part is not None and objective.needs_labels:
            _check_labels(part, name)
        if part is not None:
            check_readers(objective, part, who=f"the {name} images")
    if settings.batch % world():
        raise ConfigError(
            f"{world()} processes share a batch evenly, got batch={settings.batch}; take a multiple of {world()}"
        )
    answer = lambda module, batch: batch.with_image(module(batch.p, A))
    players = [Player(model, objective, answer), *others]
    check_players(players)
    as_scans = lambda part: part if isinstance(part, CleanScans) else CleanScans(
        part, A, refine=refine, cache_gib=0 if augment and part is images else cache_gib, progress=progress
    )  # fmt: skip
    facts = {
        "training": settings,
        "dose": {"photons": doses.full.photons, "lowest": doses.lowest, "highest": doses.highest,
                 "electronic_std": doses.full.electronic_std},
        "beam": beam_to_config(A.beam),
        "grid": {"shape": list(A.grid.shape), "spacing_mm": list(A.grid.spacing_mm)},
        "units": {"image": "1/mm", "mu_water_per_mm": images.mu_water_per_mm},
        "data": {**images.facts(), "validation_images": len(seen) if seen is not None else 0, "refine": refine},
        **(config or {}),
    }  # fmt: skip
    folder = open_training(run, facts)
    note_seen_images(folder, images, warm_start)
    if warm_start is not None:
        begin_with(model, warm_start)
    if channels_last:
        to_channels_last(model)
        to_channels_last(objective)
    device = next(model.parameters()).device
    objective.to(device)
    for player in others:
        player.to(device)
    source = ScanSource(
        as_scans(data),
        as_scans(validation) if validation is not None else None,
        doses,
        settings,
        device,
        augment=augment,
        neighbours=int(getattr(model, "neighbours", 0)),
        workers=workers,
    )
    done = fit(
        players,
        source,
        folder,
        settings,
        measure=partial(_measure, to_hu=images.hu),
        progress=progress,
        tensorboard=tensorboard,
    )
    return replace(done, remark=_beside_fbp(done.run, source, A))


def _check_labels(part: ImageSet, name: str) -> None:
    if not part.has_labels:
        raise InputError(f"the objective needs labels, the {name} images have none; use FeaturePenalty or TeacherPenalty")
    if not any(value > 0 for value in part.label_values()):
        raise InputError(
            f"the objective needs labels, but those of the {name} images are all background; are they the right ones?"
        )


def _measure(batch: Batch, to_hu: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """RMS error in HU and PSNR of a window of 2000 HU, mean over images, clipped to it."""
    truth, image = (to_hu(x.float()).clamp(-1000, 1000) for x in (batch.mu, batch.image))
    square = (image - truth).square().flatten(1).mean(1)
    psnr = 10 * (2 * math.log10(2000.0) - square.clamp_min(1e-12).log10())
    return {"rmse_hu": float(square.sqrt().mean()), "psnr_2000hu": float(psnr.mean())}


def _beside_fbp(run: Run, source: ScanSource, A: Projector) -> str:
    """A remark where the weights that are kept leave a larger error on validation than plain filtered back-projection."""
    lines = [line for line in run.metrics() if line.get("kind") == "validation" and line.get("rmse_hu") is not None]
    if not lines or source.checks is None:
        return ""
    keeps_best = run.config.get("training", {}).get("keep", "best") == "best"
    ours = (min(lines, key=lambda line: line["total"]) if keeps_best else lines[-1])["rmse_hu"]
    sums, count = 0.0, 0
    with torch.no_grad():
        for batch in source.validation():
            assert batch.p is not None
            middle = batch.p[:, batch.p.shape[1] // 2][:, None]  # of neighbouring slices the one that is asked for
            scores = _measure(batch.with_image(fbp(middle, A, window="hann")), source.scans.images.hu)
            sums, count = sums + scores["rmse_hu"] * len(batch), count + len(batch)
    plain = sums / count
    if ours <= _WORSE * plain:
        return ""
    return (
        f"its error on validation is {ours:.1f} HU, that of filtered back-projection (Hann window) {plain:.1f} HU: train for "
        "more steps, or with a lower learning rate"
    )
