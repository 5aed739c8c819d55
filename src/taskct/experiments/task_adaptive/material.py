"""What all steps share: the patients' images, their clean scans, the projector. Made once a process, from the first step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch

from taskct.core.runs import Run, is_run, load_run
from taskct.data.cohort import Cohort, CohortSettings
from taskct.evaluation.task.controls import images_of_others
from taskct.experiments.task_adaptive.settings import TaskAdaptive
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.training import CleanScans, DoseRange, ImageSet

PARTS = ("readers", "train", "validation", "test")
REFINE = 2  # the truth is projected on a grid twice as fine: measured data know no pixels


def cohort_of(settings: TaskAdaptive) -> Cohort:
    """The patients."""
    return Cohort(
        settings.patients,
        seed=settings.seed,
        shape=(settings.size, settings.size),
        slices_per_patient=settings.slices,
        settings=CohortSettings(width_mm=settings.width_mm),
    )


@lru_cache(maxsize=4)
def _projector(size: int, views: int, pixel_mm: tuple[float, float]) -> Projector:
    cols = size + 4
    return Projector(Grid((size, size), pixel_mm), ParallelBeam(views=views, cols=cols, pixel_mm=pixel_mm[0]))


def projector_of(settings: TaskAdaptive) -> Projector:
    """A parallel beam over half a turn, its columns as wide as the pixels."""
    return _projector(settings.size, settings.views, cohort_of(settings).pixel_mm)


def doses_of(settings: TaskAdaptive) -> tuple[Dose, ...]:
    """The doses that are scored, the highest first."""
    return tuple(Dose(settings.photons[0], fraction=f) for f in settings.fractions)


def dose_range(settings: TaskAdaptive) -> DoseRange:
    """The doses that are trained for."""
    return DoseRange(Dose(settings.photons[0]), lowest=settings.fractions[-1])


def device() -> torch.device:
    """Where networks are trained and read: a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def save_images(folder: Path, needed: Mapping[str, Path], *, settings: TaskAdaptive) -> None:
    """Draw the patients and keep them: those of the readers, of the reconstructions, of validation and test."""
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"patients": settings.patients})
    cohort = cohort_of(settings)
    known = settings.reader_patients * settings.slices
    drawn = ImageSet.from_slices(cohort.slices("train"), show=False)
    _save(run, "readers", drawn[:known])
    _save(run, "train", drawn[known:])
    for part in ("validation", "test"):
        _save(run, part, ImageSet.from_slices(cohort.slices(part), show=False))


def _save(run: Run, part: str, images: ImageSet) -> None:
    assert images.labels is not None
    names = {"ids": json.dumps(images.ids), "patients": json.dumps(images.patient_ids)}
    run.save_tensors(f"{part}.safetensors", {"mu": images.mu, "labels": images.labels}, metadata=names, overwrite=True)


@lru_cache(maxsize=6)
def images_of(folder: Path, part: str) -> ImageSet:
    """The images of a part."""
    tensors, names = load_run(folder).load_tensors(f"{part}.safetensors")
    return ImageSet(tensors["mu"], tuple(json.loads(names["patients"])), tensors["labels"], tuple(json.loads(names["ids"])))


@lru_cache(maxsize=6)
def scans_of(folder: Path, part: str, settings: TaskAdaptive) -> CleanScans:
    """Their noise-free scans."""
    return CleanScans(images_of(folder, part), projector_of(settings), refine=REFINE, show=False)


def shuffled(images: ImageSet, *, seed: int) -> ImageSet:
    """The images with the labels of other patients: the control of a label loss."""
    assert images.labels is not None
    return ImageSet(images.mu, images.patient_ids, images.labels[images_of_others(images.patient_ids, seed=seed)], images.ids)
