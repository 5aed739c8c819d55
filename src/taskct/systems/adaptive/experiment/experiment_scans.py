"""What all steps share: the patients' images, their clean scans, the projector. Made once a process, from the first step."""

from __future__ import annotations

from pathlib import Path

import torch

from taskct.core.errors import InputError
from taskct.core.runs import Run, is_run, load_run
from taskct.data.images import ImageSet
from taskct.evaluation.reading.controls import images_of_others
from taskct.experiments.cohort_images import cohort_of, keep_images
from taskct.physics.dose import Dose
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.real_patients import TUMOUR, real_parts, tumour_counts
from taskct.training import DoseRange

VOLUMES = "volumes.json"  # of a part of `data`: its volumes, and how many show a tumour
REMARKS = "remarks.json"  # on `data`: what was left out, and what is odd about a volume
SHUFFLED = "shuffled-labels"
PARTS = ("readers", "train", "bounds", "validation", "test")


def doses_of(settings: TaskAdaptive) -> tuple[Dose, ...]:
    """The doses that are scored, the highest first."""
    return tuple(Dose(settings.photons[0], fraction=f) for f in settings.fractions)


def dose_range(settings: TaskAdaptive) -> DoseRange:
    """The doses that are trained for."""
    return DoseRange(Dose(settings.photons[0]), lowest=settings.fractions[-1])


def device() -> torch.device:
    """Where networks are trained and read: a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def save_images(folder: Path, *, settings: TaskAdaptive) -> None:
    """Draw the patients and keep them: those of the readers, the reconstructions, the bounds, of validation and test.

    Those of `data` are read, split by volume, and their counts written to volumes.json, and what
    was left out or is odd to remarks.json.
    """
    if settings.data:
        remarks: list[str] = []
        parts = real_parts(settings, heard=remarks.append)  # what is refused leaves nothing behind
        _refuse_one_patient(settings, len(set(parts["train"].patient_ids)))
        run = load_run(folder) if is_run(folder) else Run.create(folder, {"data": settings.data})
        for part, images in parts.items():
            keep_images(run, part, images)
        run.write_json(VOLUMES, {part: list(counts) for part, counts in tumour_counts(parts).items()}, overwrite=True)
        run.write_json(REMARKS, {"remarks": list(dict.fromkeys(remarks))}, overwrite=True)
        return
    _refuse_one_patient(settings, settings.train_patients)
    cohort = cohort_of(settings)
    judged = {part: cohort.images(part, progress=False) for part in ("validation", "test")}
    for part, images in judged.items():
        if TUMOUR not in images.label_values():
            raise InputError(
                f"none of the {part} patients ({settings.patients[part]} of seed {settings.seed}) shows a tumour in the "
                f"slices, so nothing can be tuned or scored on them; take more {part}_patients, more slices or another seed"
            )
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"patients": settings.patients})
    known = settings.reader_patients * settings.slices
    fitted = known + settings.train_patients * settings.slices
    drawn = cohort.images("train", progress=False)
    keep_images(run, "readers", drawn[:known])
    keep_images(run, "train", drawn[known:fitted])
    if settings.bound_patients:
        keep_images(run, "bounds", drawn[fitted:])
    for part, images in judged.items():
        keep_images(run, part, images)


def _refuse_one_patient(settings: TaskAdaptive, count: int) -> None:
    """A control that needs other patients is refused before anything is trained, not when its turn comes."""
    if count < 2 and any(arm.loss == SHUFFLED for arm in settings.arms):
        raise InputError(
            f"the loss {SHUFFLED!r} takes the labels of other patients, and the reconstructions learn from {count}; give "
            "two or more (more volumes, or a larger share in data_split), or leave this loss out (losses)"
        )


def shuffled(images: ImageSet, *, seed: int) -> ImageSet:
    """The images with the labels of other patients: the control of a label loss."""
    assert images.labels is not None
    return ImageSet(images.mu, images.patient_ids, images.labels[images_of_others(images.patient_ids, seed=seed)], images.ids)


def words_of_volumes(folder: Path) -> dict[str, str]:
    """Of the images of `data`: volumes of each part and how many show a tumour, and the remarks; {} for built-in patients."""
    run = load_run(folder)
    if not run.path(VOLUMES).exists():
        return {}
    counts = run.read_json(VOLUMES)
    found = {"volumes": "; ".join(f"{part} {n}, of which {ill} show a tumour" for part, (n, ill) in counts.items())}
    remarks = run.read_json(REMARKS)["remarks"] if run.path(REMARKS).exists() else []  # older runs have none
    return found | ({"remarks on the volumes": "; ".join(remarks)} if remarks else {})
