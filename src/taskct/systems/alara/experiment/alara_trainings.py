"""The steps that train: readers, the reconstruction for a range of doses, bounds, and the dose modules."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from taskct.core.files import make_folder, write_text
from taskct.core.open_files import read_json
from taskct.core.seeds import derive_seed
from taskct.evaluation.dose.quality_curves import measure_curves
from taskct.evaluation.dose.target import Target, parse_target
from taskct.experiments.cohort_images import DrawnPatients, projector_of
from taskct.experiments.made import Made
from taskct.physics.dose import Dose
from taskct.recon.learned import make_model
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.alara.experiment.alara_arms import PSNRS, QUALITIES, TASKS, arm_named
from taskct.systems.alara.experiment.alara_settings import DoseExperiment
from taskct.systems.alara.experiment.shared_subjects import (
    CLASSES,
    dose_scans,
    measure_of,
    model_of,
    protocol_of,
    reader_images,
    reconstruct_of,
    smooth_fbp,
    subjects_of,
)
from taskct.systems.alara.learned import Classical, DoseGoal, DoseSpec, PriorInfo, train_dose
from taskct.systems.alara.learned.dose_system import Noise
from taskct.task import FrozenTask
from taskct.task.readers import ReaderSpec
from taskct.training import DoseRange, ImageError, TrainSettings, train, train_reader

_BOUND = "bound.json"


def train_one_reader(folder: Path, *, settings: DoseExperiment, images: Made[DrawnPatients], net: str) -> None:
    """A reader of images as FBP makes them of full-dose scans, with fresh noise in every step."""
    train_reader(
        ReaderSpec(net=net, class_weights=(1.0, 1.0, 2.0)),
        reader_images(images.folder, settings),
        run=folder,
        validation=images.load().images("validation"),
        held_out=images.load().images("test").patient_ids,
        through=(smooth_fbp, projector_of(settings), Dose(settings.full_photons)),
        settings=TrainSettings(
            steps=settings.reader_steps,
            lr=2e-3,
            weight_decay=1e-3,
            seed=derive_seed(settings.seed, "reader", net) % 2**31,
        ),
        progress=False,
    )


def train_base(folder: Path, *, settings: DoseExperiment, images: Made[DrawnPatients]) -> None:
    """FBP + U-Net for every dose between the lowest and the highest."""
    low, _, high = settings.photons
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = make_model(model_of(settings))
    train(
        model,
        dose_scans(images.folder, settings),
        objective={"image": (1.0, ImageError())},
        A=projector_of(settings),
        dose=DoseRange(Dose(high), lowest=low / high),
        run=folder,
        validation=images.load().scans("validation", settings),
        held_out=images.load().images("test").patient_ids,
        settings=TrainSettings(steps=settings.base_steps, lr=2e-3, seed=settings.seed),
        config={"model": model_of(settings)},
        progress=False,
    )


def find_bound(
    folder: Path,
    *,
    settings: DoseExperiment,
    images: Made[DrawnPatients],
    quality: str,
    base: Made[Reconstructor] | None,
) -> None:
    """The bound of a quality: what the fallback dose gives on validation patients, or a share of full dose."""
    name = QUALITIES[quality]
    if quality in TASKS:
        target = parse_target(f"{name}>={settings.dice_share}*full")
    else:
        sign = ">=" if quality in PSNRS else "<="
        given = settings.psnr_bound if quality in PSNRS else 0.0
        found = given or _at_fallback(parse_target(f"{name}{sign}30"), settings, images, base)
        target = parse_target(f"{name}{sign}{found:.4g}")
    make_folder(folder)
    write_text(folder / _BOUND, json.dumps({"target": str(target)}) + "\n", overwrite=True)


def _at_fallback(
    probe: Target, settings: DoseExperiment, images: Made[DrawnPatients], base: Made[Reconstructor] | None
) -> float:
    """The mean quality of the validation patients at the fallback dose; `probe` names the quality with any bound."""
    found = measure_curves(
        subjects_of(images.folder, "validation", settings),
        reconstruct_of(base),
        {"q": measure_of(probe, None, protocol_of(settings))},
        [settings.photons[1]],
        seed=settings.seed,
        progress=False,
    )
    return float(np.nanmean(found.values["q"]))


def read_bound(folder: Path) -> Target:
    """The target that `find_bound` wrote."""
    return parse_target(read_json(folder / _BOUND)["target"])


def train_arm(
    folder: Path,
    *,
    settings: DoseExperiment,
    images: Made[DrawnPatients],
    bound: Made[Target],
    base: Made[Reconstructor] | None,
    reader: Made[FrozenTask] | None,
    arm: str,
    seed: int,
) -> None:
    """One dose module, with its reconstruction: FBP, or a network that begins from `base`."""
    about = arm_named(arm)
    low, fallback, high = settings.photons
    target = bound.load()
    learned = base is not None
    reconstruct: nn.Module = make_model(model_of(settings)) if learned else Classical(smooth_fbp)
    noise: Noise = "post-log" if about.noise == "post-log" else "pre-log"
    steps = settings.unet_steps if learned else settings.fbp_steps
    prior = PriorInfo(kind="preshot", photons=low / 4) if about.prior == "preshot" else PriorInfo()
    train_dose(
        DoseSpec(
            prior=prior,
            lowest_photons=low,
            fallback_photons=fallback,
            highest_photons=high,
            harmonics=2 if about.modulate else 0,
            per="slice" if about.modulate else "patient",
            rule="modulation" if about.modulate else "fixed",
            profile=about.profile,
            width=settings.width,
        ),
        dose_scans(images.folder, settings),
        reconstruct=reconstruct,
        goal=DoseGoal(
            target=target,
            constraint=about.constraint(settings.promised),
            reader=reader.load() if reader is not None else None,
            classes=CLASSES,
            protocol=protocol_of(settings),
            image_weight=0.02 if learned else 0.0,
        ),
        A=projector_of(settings),
        run=folder,
        validation=images.load().scans("validation", settings),
        held_out=images.load().images("test").patient_ids,
        warm_start=base.folder if base is not None else None,
        noise=noise,
        per_image=bool(settings.data),
        config={"model": model_of(settings)} if learned else {"classical": "fbp, Hann window"},
        settings=TrainSettings(
            steps=steps,
            batch=settings.batch,
            lr=1e-3,
            warmup_steps=20,
            clip_norm=20.0,
            ema=0.98,
            keep="last" if about.of_task else "best",  # few validation patients' Dice says little of the level
            validate_every=max(steps // 10, 1),
            checkpoint_every=100,
            log_every=25,
            seed=derive_seed(settings.seed, "arm", seed) % 2**31,
        ),
        progress=False,
    )
