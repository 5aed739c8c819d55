"""What all steps share: patients, projector, reconstructions, readers. Read once a process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

import torch

from taskct.core.runs import Run, is_run, load_run
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.cohort import Cohort, CohortSettings
from taskct.evaluation.dose.quality import Quality, quality_of
from taskct.evaluation.dose.subject import Reconstruct, Subject
from taskct.evaluation.dose.target import Target
from taskct.evaluation.protocol import Protocol
from taskct.experiments.dose.settings import DoseExperiment
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.learned import load_reconstructor
from taskct.task.readers import load_reader
from taskct.training import CleanScans, ImageSet

PARTS = ("train", "validation", "test")
REFINE = 2
CLASSES = {"liver": 1, "tumour": 2}
PROTOCOL = Protocol(mask="body")
MODEL = {"kind": "fbp_unet", "widths": [32, 64, 96], "norm": "none", "unshuffle": 2}
smooth_fbp = partial(fbp, window="hann")


def cohort_of(settings: DoseExperiment) -> Cohort:
    """The patients, of widely varied size."""
    return Cohort(
        settings.patients,
        seed=settings.seed,
        shape=(settings.size, settings.size),
        slices_per_patient=settings.slices,
        settings=CohortSettings(width_mm=settings.width_mm),
    )


@lru_cache(maxsize=4)
def _projector(size: int, views: int, pixel_mm: tuple[float, float]) -> Projector:
    return Projector(Grid((size, size), pixel_mm), ParallelBeam(views=views, cols=size + 4, pixel_mm=pixel_mm[0]))


def projector_of(settings: DoseExperiment) -> Projector:
    """A parallel beam over half a turn."""
    return _projector(settings.size, settings.views, cohort_of(settings).pixel_mm)


def save_images(folder: Path, needed: Mapping[str, Path], *, settings: DoseExperiment) -> None:
    """Draw the patients and keep them."""
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"patients": settings.patients})
    cohort = cohort_of(settings)
    for part in PARTS:
        images = ImageSet.from_slices(cohort.slices(part), show=False)
        assert images.labels is not None
        names = {"ids": json.dumps(images.ids), "patients": json.dumps(images.patient_ids)}
        run.save_tensors(f"{part}.safetensors", {"mu": images.mu, "labels": images.labels}, metadata=names, overwrite=True)


@lru_cache(maxsize=6)
def images_of(folder: Path, part: str) -> ImageSet:
    """The images of a part."""
    tensors, names = load_run(folder).load_tensors(f"{part}.safetensors")
    return ImageSet(tensors["mu"], tuple(json.loads(names["patients"])), tensors["labels"], tuple(json.loads(names["ids"])))


@lru_cache(maxsize=6)
def scans_of(folder: Path, part: str, settings: DoseExperiment) -> CleanScans:
    """Their noise-free scans."""
    return CleanScans(images_of(folder, part), projector_of(settings), refine=REFINE, show=False)


@lru_cache(maxsize=6)
def subjects_of(folder: Path, part: str, settings: DoseExperiment) -> tuple[Subject, ...]:
    """The patients of a part, ready to be scanned at any dose."""
    scans = scans_of(folder, part, settings)
    images = scans.images
    assert images.labels is not None
    groups: dict[str, list[int]] = {}
    for number, patient in enumerate(images.patient_ids):
        groups.setdefault(patient, []).append(number)
    return tuple(
        Subject(
            patient,
            images.mu[numbers],
            scans.take(torch.tensor(numbers), torch.device("cpu")).reshape(len(numbers), 1, *scans.A.p_shape),
            scans.A,
            tuple(images.ids[i] for i in numbers),
            images.labels[numbers].long(),
            {number: name for name, number in CLASSES.items()},
            MU_WATER_70KEV_PER_MM,
        )
        for patient, numbers in groups.items()
    )


def reconstruct_of(model: str, needed: Mapping[str, Path]) -> Reconstruct:
    """FBP, or the network that was trained for a range of doses."""
    return smooth_fbp if model == "fbp" else load_reconstructor(needed["base"])


def measure_of(target: Target, needed: Mapping[str, Path], settings: DoseExperiment, *, reader: str = "") -> Quality:
    """How a target is measured; task scores by a reader of the experiment, the one of the training by default."""
    if not target.class_name:
        return quality_of(target, protocol=PROTOCOL)
    name = reader or settings.readers[0]
    return quality_of(target, readers={name: load_reader(needed[f"reader-{name}"])})
