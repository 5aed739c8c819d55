"""The trainings: one for the image error, then from its weights two of equal length, with the image error or the task term."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct.core.seeds import derive_seed
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.experiments.made import Made
from taskct.recon.learned.known_inputs import measures
from taskct.recon.learned.real_ct_net import RealCT
from taskct.systems.real_ct.contrast_terms import image_error, lost_contrast, mean_gain
from taskct.systems.real_ct.lesion_patches import LesionPatches
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment
from taskct.systems.real_ct.training_slices import TrainingSlices, seen_slices
from taskct.training import Objective, Player, TrainSettings, fit
from taskct.training.batch import Batch
from taskct.training.begin import begin_with, open_training, to_channels_last

ARMS = ("image", "task")


def train_base(folder: Path, *, settings: RealCTExperiment, slices: Made[TrainingSlices]) -> None:
    """The start of both networks: the image error alone, the learning rate falling to a third."""
    how = TrainSettings(steps=settings.base_steps, lr=settings.lr, final_lr_share=0.35, **_shared(settings, "base"))
    _train(folder, settings, slices, how, "image")


def train_arm(folder: Path, *, settings: RealCTExperiment, slices: Made[TrainingSlices], base: Made[Path], arm: str) -> None:
    """From the weights of the base: "image" or "task", with the same batches in the same order."""
    how = TrainSettings(steps=settings.fork_steps, lr=0.5 * settings.lr, final_lr_share=0.01, **_shared(settings, "arms"))
    _train(folder, settings, slices, how, arm, begin=base.folder)


def _shared(settings: RealCTExperiment, name: str) -> dict[str, Any]:
    return {
        "batch": settings.batch,
        "warmup_steps": 100,
        "weight_decay": 1e-4,
        "clip_norm": 1.0,
        "ema": 0.995,
        "keep": "last",
        "validate_every": 250,
        "checkpoint_every": 100,
        "seed": derive_seed(settings.seed, "real-ct", name) % 2**31,
    }


def _train(
    folder: Path,
    settings: RealCTExperiment,
    slices: Made[TrainingSlices],
    how: TrainSettings,
    arm: str,
    *,
    begin: Path | None = None,
) -> None:
    store = slices.load()
    torch.manual_seed(derive_seed(settings.seed, "weights") % 2**31)
    model = RealCT(widths=settings.widths)
    patches = LesionPatches(store.part("train"), store.part("validation"), settings)
    low, high = settings.photons
    facts = {
        "training": how,
        "model": {"kind": "real_ct", "widths": list(settings.widths), "known": known_inputs(patches)},
        "objective": {"task": arm, "contrast": settings.contrast if arm == "task" else 0.0},
        "dose": {"photons": high, "lowest": low / high, "highest": 1.0, "electronic_std": 0.0},
        "units": {"image": "1/mm", "mu_water_per_mm": MU_WATER_70KEV_PER_MM},
        "data": {"images": len(patches.slices)},
    }
    run = open_training(folder, facts)
    seen_slices(Path(settings.data)).write(run)
    if begin is not None:
        begin_with(model, begin)
    to_channels_last(model)
    terms: dict[str, Any] = {"image": (1.0, image_error)}
    if arm == "task":
        terms["contrast"] = (settings.contrast, lost_contrast)
    fit(Player(model, Objective(terms), _answer), _Shifted(patches, how.seed), run, how, measure=mean_gain)


def known_inputs(patches: LesionPatches) -> dict[str, list[float]]:
    """What the guard compares with, from batches of the training: the middle 98 % of noise, texture and body."""
    found: dict[str, list[float]] = {"noise_hu": [], "texture": [], "body_hu": []}
    for number in range(6):
        for image, noise in patches.whole(number):
            seen = measures(image, noise)
            for name, values in found.items():
                if name in seen:
                    values.append(seen[name])
    ends = lambda values: [round(float(q), 4) for q in np.quantile(values, [0.005, 0.995])]
    return {name: ends(values) for name, values in found.items()}


class _Shifted:
    """Patches of an arm: both arms see the same ones, other than those of the base."""

    def __init__(self, patches: LesionPatches, seed: int) -> None:
        self.patches, self.first = patches, seed % 2**20 * 1000

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        return replace(self.patches.batch(self.first + step), step=step)

    def validation(self) -> Any:
        """The validation patches."""
        return self.patches.validation()


def _answer(model: Any, batch: Batch) -> Batch:
    image = model.correct(batch.targets["fbp_hu"], batch.targets["noise_hu"])
    return batch.with_answers({"image_hu": image})
