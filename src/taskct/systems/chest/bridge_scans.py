"""Low-dose images of the lungs: whole slices are scanned and reconstructed by FBP, and each lung is cut out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskct.core.runs import Run, is_run, load_run
from taskct.core.seeds import generator
from taskct.data.images import ImageSet
from taskct.data.marks import Marks
from taskct.experiments.folder_cache import read_once
from taskct.geometry import Grid, ParallelBeam
from taskct.phantoms.chest.chest_site import CHEST
from taskct.phantoms.cohort import Cohort
from taskct.phantoms.patient import anatomy, patient_id, slice_heights_mm
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.simulate.clean_scans import CleanScans
from taskct.systems.chest.chest_classes import LEAST_PIXELS, NODULES
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.lung_crops import SIDES, lung_corners_mm
from taskct.training.doses import noisy_scans

_PARTS = ("train", "test")


@dataclass(frozen=True)
class BridgeScans:
    """The folder in which a step keeps full-dose crops and what FBP makes of low-dose scans of them."""

    folder: Path

    def images(self, part: str) -> ImageSet:
        """Full-dose crops with their marks."""
        return _read(self.folder, part)[0]

    def low(self, part: str) -> Tensor:
        """(N, doses, rows, cols) in 1/mm, the doses as in the settings."""
        return _read(self.folder, part)[1]


def scan_lungs(folder: Path, *, settings: ChestExperiment) -> None:
    """Scan the training and test patients at all doses; a step that was killed resumes at the next patient."""
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"doses": list(settings.doses)})
    whole = settings.cohort
    cohort = Cohort(
        "chest",
        settings.part_sizes,
        seed=whole.seed,
        shape=whole.shape,
        spacing_mm=settings.pixel_mm,
        slices_per_patient=settings.bridge_slices,
        settings=settings.patients,
    )
    A = lung_projector(settings)
    for part in _PARTS:
        for number in cohort.numbers(part):
            name = f"{part}-{patient_id(number, 'chest')}.safetensors"
            if not run.path(name).exists():
                tensors, about = _scanned(cohort, number, settings, A)
                run.save_tensors(name, tensors, metadata=about)
    run.write_json("parts.json", {part: list(cohort.patient_ids(part)) for part in _PARTS}, overwrite=True)


def lung_projector(settings: ChestExperiment) -> Projector:
    """The scanner of whole slices at the pixel size of the crops."""
    cohort = settings.cohort
    beam = ParallelBeam(views=settings.views, cols=round(1.25 * max(cohort.shape)), pixel_mm=settings.pixel_mm)
    return Projector(Grid(cohort.shape, cohort.pixel_mm), beam)


def lung_windows(model: Any, settings: ChestExperiment) -> list[tuple[Any, ...]]:
    """Where each lung's crop lies in a whole slice, right lung first: what indexes the last two axes."""
    cohort = settings.cohort
    first_mm = [-(n - 1) / 2 * step for n, step in zip(cohort.shape, cohort.pixel_mm, strict=True)]
    found: list[tuple[Any, ...]] = []
    for corner in lung_corners_mm(model, slice_heights_mm(model, settings.slices), settings.crop, cohort.pixel_mm):
        at = [
            min(max(0, round((c - f) / step)), n - size)
            for c, f, step, n, size in zip(corner, first_mm, cohort.pixel_mm, cohort.shape, settings.crop, strict=True)
        ]
        found.append((..., *(slice(a, a + n) for a, n in zip(at, settings.crop, strict=True))))
    return found


def _scanned(cohort: Cohort, number: int, settings: ChestExperiment, A: Projector) -> tuple[dict[str, Tensor], dict[str, str]]:
    """mu (2, S, rows, cols), low (2, S, doses, rows, cols), instances; right lung first."""
    case = cohort.patient(number).case
    assert case.marks is not None
    images = ImageSet.from_cases([case])
    clean = CleanScans(images, A, refine=2, progress=False).take(torch.arange(len(images)), torch.device("cpu"))
    low = []
    for dose in settings.doses:
        photons = torch.full((len(images),), Dose(settings.bridge_photons, fraction=dose).used_photons)
        streams = [generator(settings.seed, "bridge", name, str(dose)) for name in images.ids]
        noisy = noisy_scans(clean, photons, streams, electronic_std=0.0)
        low.append(fbp(noisy, A, window="hann")[:, 0])
    stack = torch.stack(low, 1)
    model: Any = anatomy(CHEST, cohort.seed, number, cohort.settings)
    parts: dict[str, list[Tensor]] = {"mu": [], "low": [], "instances": []}
    for window in lung_windows(model, settings):
        parts["mu"].append(images.mu[:, 0][window].contiguous())
        parts["low"].append(stack[window].contiguous())
        parts["instances"].append(case.marks.instances[window].contiguous())
    facts = {
        "kinds": json.dumps(dict(case.marks.kinds)),
        "known": json.dumps(sorted(case.marks.masked)),
    }
    return {name: torch.stack(found) for name, found in parts.items()}, facts


@read_once(4)
def _read(folder: Path, part: str) -> tuple[ImageSet, Tensor]:
    run = load_run(folder)
    mu, low, marks, patients, scans, ids = [], [], [], [], [], []
    for patient in run.read_json("parts.json")[part]:
        tensors, about = run.load_tensors(f"{part}-{patient}.safetensors")
        kinds = {int(n): kind for n, kind in json.loads(about["kinds"]).items()}
        known = frozenset(json.loads(about["known"]))
        for k, side in enumerate(SIDES):
            mu.append(tensors["mu"][k])
            low.append(tensors["low"][k])
            for s, instances in enumerate(tensors["instances"][k]):
                marks.append(Marks(instances, kinds, masked=known).ignoring_small(LEAST_PIXELS, NODULES))
                ids.append(f"{patient}-{side}-s{s:02d}")
                patients.append(patient)
                scans.append(f"{patient}-{side}-s{s:02d}")  # slices lie too far apart to be neighbours
    images = ImageSet(torch.cat(mu)[:, None], patients, ids=ids, case_ids=scans)
    return images.with_marks(marks), torch.cat(low)
