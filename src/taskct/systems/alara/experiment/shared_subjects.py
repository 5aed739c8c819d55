"""What all steps share: patients, projector, reconstructions, readers. Read once a process."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from taskct.core.errors import InputError
from taskct.core.runs import Run, is_run, load_run
from taskct.data.images import ImageSet
from taskct.data.leaks import refuse_leaks
from taskct.evaluation import PROTOCOLS
from taskct.evaluation.dose.quality import Quality, quality_of
from taskct.evaluation.dose.target import Target
from taskct.evaluation.protocol import Protocol
from taskct.evaluation.subject import Subject
from taskct.experiments.cohort_images import REFINE, cohort_of, images_of, keep_images, projector_of, scans_of
from taskct.experiments.folder_cache import read_once
from taskct.experiments.made import Made
from taskct.recon.fbp import fbp
from taskct.recon.reconstructor import Reconstructor
from taskct.simulate.clean_scans import CleanScans
from taskct.systems.alara.experiment.alara_settings import DoseExperiment
from taskct.systems.alara.learned.domain import LEAST_PATIENTS
from taskct.systems.alara.learned.dose_training_config import lodopab_images
from taskct.task import FrozenTask

PARTS = ("train", "validation", "test")
CLASSES = {"liver": 1, "tumour": 2}
PROTOCOL = Protocol(mask="body")
smooth_fbp = partial(fbp, window="hann")


def save_images(folder: Path, *, settings: DoseExperiment) -> None:
    """Draw the patients and keep them, or the slices of LoDoPaB-CT; InputError where two parts hold the same pixels."""
    if settings.data:
        parts = {part: lodopab_images(settings.data, part, most=settings.patients[part]).to_memory() for part in PARTS}
        refuse_leaks(parts["train"], parts["validation"], parts["test"])
        if len(parts["train"]) < LEAST_PATIENTS:  # said before anything is trained
            raise InputError(
                f"{settings.data}: has {len(parts['train'])} training slices, and a dose is learnt from "
                f"{LEAST_PATIENTS} or more"
            )
    else:
        parts = {part: cohort_of(settings).images(part, progress=False) for part in PARTS}
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"patients": settings.patients})
    for part, images in parts.items():
        keep_images(run, part, images)


def reader_images(folder: Path, settings: DoseExperiment) -> ImageSet:
    """The training patients of the readers."""
    images = images_of(folder, "train")
    return images[: settings.reader_patients * settings.slices] if settings.reader_patients else images


@read_once(2)
def dose_scans(folder: Path, settings: DoseExperiment) -> CleanScans:
    """Noise-free scans of the training patients of doses and reconstructions."""
    images = images_of(folder, "train")[settings.reader_patients * settings.slices :]
    return CleanScans(images, projector_of(settings), refine=REFINE, progress=False)


@read_once(6)
def subjects_of(folder: Path, part: str, settings: DoseExperiment) -> tuple[Subject, ...]:
    """The patients of a part, ready to be scanned at any dose."""
    scans = scans_of(folder, part, settings)
    images = scans.images
    names = {number: name for name, number in CLASSES.items()} if images.labels is not None else {}
    groups = [[k] for k in range(len(images))] if settings.data else images.by_patient().values()
    return tuple(
        Subject(
            ImageSet(
                part.mu,
                part.patient_ids,
                part.labels,
                part.ids,
                label_names=names,
                mu_water_per_mm=images.mu_water_per_mm,
                mu_air_per_mm=images.mu_air_per_mm,
            ),
            scans.take(torch.tensor(numbers), torch.device("cpu")).reshape(len(numbers), 1, *scans.A.p_shape),
            scans.A,
        )
        for numbers in groups
        for part in (images[numbers],)
    )


def model_of(settings: DoseExperiment) -> dict[str, Any]:
    """The config of FBP + U-Net."""
    return {"kind": "fbp_unet", "widths": list(settings.unet_widths), "norm": "none", "unshuffle": 2}


def protocol_of(settings: DoseExperiment) -> Protocol:
    """Mask and ranges of image qualities: those of LoDoPaB for its slices, else the body."""
    return PROTOCOLS["lodopab"] if settings.data else PROTOCOL


def measure_of(target: Target, reader: Made[FrozenTask] | None, protocol: Protocol = PROTOCOL) -> Quality:
    """How a target is measured; the score of a task by a reader."""
    if not target.class_name:
        return quality_of(target, protocol=protocol)
    if reader is None:
        raise InputError(f"{target}: the score of a task expects a reader, got none")
    return quality_of(target, readers={reader.name.removeprefix("reader-"): reader.load()})


def reconstruct_of(base: Made[Reconstructor] | None) -> Reconstructor:
    """The network that was trained for a range of doses, or FBP."""
    return smooth_fbp if base is None else base.load()
