"""Lungs of the same patients as two scanners show them, and trainings' images in which a finding goes with the scanner or not.

Public sets often take the patients with a disease from one hospital and those without from another. The origins here differ
as such scanners do: reconstruction kernel, dose and so the texture of the noise, slice thickness. Both are simulated for every
patient, so that nothing but the origin differs between the two images of a slice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import ConfigError
from taskct.core.runs import Run, is_run, load_run
from taskct.core.seeds import derive_seed, generator
from taskct.core.units import to_mu
from taskct.data.images import ImageSet
from taskct.data.marks import Marks
from taskct.phantoms.chest.chest_site import CHEST
from taskct.phantoms.known_marks import marks_of_patient
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import anatomy, patient_id, slice_heights_mm
from taskct.physics.dose import Dose
from taskct.physics.filters import FilterWindow
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.simulate.clean_scans import CleanScans
from taskct.systems.chest.bridge_scans import lung_projector, lung_windows
from taskct.systems.chest.chest_classes import INFECTION, LEAST_PIXELS, NODULES
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.lung_crops import PARTS, SIDES
from taskct.training.doses import noisy_scans

CONFOUNDED = "infection"  # the finding that goes with the origin
COINCIDE, INDEPENDENT = "coincide", "independent"
ARRANGEMENTS = (COINCIDE, INDEPENDENT)


@dataclass(frozen=True)
class Origin:
    """How a scanner shows a patient: kernel of the FBP, share of the photons, thickness of the slices."""

    name: str
    kernel: FilterWindow
    dose: float
    slice_mm: float
    thin_slices: int = 1  # that a slice is averaged over


ORIGINS = (
    Origin("sharp kernel, quarter dose, thin slices", "ram-lak", 0.25, 1.0),
    Origin("soft kernel, full dose, slices of 6 mm", "hann", 1.0, 6.0, thin_slices=3),
)
"""The first is where patients with the finding come from while the two coincide, the second where the others do."""


@dataclass(frozen=True)
class OriginScans:
    """The folder in which a step keeps the lungs of all patients, each as both origins show it."""

    folder: Path

    def images(self, part: str) -> tuple[ImageSet, Tensor]:
        """Images of the first origin with their marks, and those of both: (N, 2, rows, cols) in 1/mm."""
        return _read(self.folder, part)

    def judged(self, part: str) -> tuple[Tensor, np.ndarray, list[str]]:
        """Both images, truth and patient of what is learnt from and judged: slices that show an infection, and all slices
        of patients without one. So every patient belongs to one class and, in any arrangement, to one scanner."""
        images, both = self.images(part)
        rows, shown = _rows(images)
        return both[rows], shown[rows], [images.patient_ids[i] for i in rows]


@dataclass(frozen=True)
class ArrangedScans:
    """Images of which each patient comes from one origin: "coincide" by the infection, "independent" by chance.

    By chance half of either class comes from each origin. The patients, slices, marks and their number are those of both.
    """

    folder: Path
    arrangement: str
    seed: int = 0

    def images(self, part: str) -> ImageSet:
        """The images of a part; of the training part those that `OriginScans.judged` names."""
        images, both = _read(self.folder, part)
        rows, shown = _rows(images)
        first = self._of_first_origin(images, shown)
        picks = torch.tensor([0 if patient in first else 1 for patient in images.patient_ids])
        chosen = both[torch.arange(len(images)), picks][:, None]
        arranged = ImageSet(
            chosen, images.patient_ids, ids=images.ids, case_ids=images.case_ids, targets={"marks": images.marks}
        )
        return arranged[rows] if part == "train" else arranged

    def _of_first_origin(self, images: ImageSet, shown: np.ndarray) -> set[str]:
        """The patients whose images come from the first origin."""
        infected = {p for p, one in zip(images.patient_ids, shown, strict=True) if one == 1}
        if self.arrangement == COINCIDE:
            return infected
        draw = np.random.default_rng(derive_seed(self.seed, "origins"))
        found: set[str] = set()
        for patients in (sorted(infected), sorted(set(images.patient_ids) - infected)):
            order = draw.permutation(len(patients))
            found |= {patients[k] for k in order[: (len(patients) + int(draw.integers(2))) // 2]}
        return found


def scan_origins(folder: Path, *, settings: ChestExperiment) -> None:
    """Scan all patients by both origins; a step that was killed resumes at the next patient."""
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"origins": [one.name for one in ORIGINS]})
    cohort, A = settings.cohort, lung_projector(settings)
    for part in settings.part_sizes:
        for number in cohort.numbers(part):
            name = f"{part}-{patient_id(number, 'chest')}.safetensors"
            if not run.path(name).exists():
                tensors, about = _scanned(settings, number, A)
                run.save_tensors(name, tensors, metadata=about)
    run.write_json(PARTS, {part: list(cohort.patient_ids(part)) for part in settings.part_sizes}, overwrite=True)
    scans = OriginScans(folder)
    for part in ("train", "test"):
        _, truth, patients = scans.judged(part)
        check_classes(truth, patients, part)


def check_classes(truth: np.ndarray, patients: Sequence[str], part: str) -> None:
    """ConfigError unless two patients or more show the finding, and two or more do not."""
    for value, word in ((1, "with"), (0, "without")):
        count = len({p for p, one in zip(patients, truth, strict=True) if one == value})
        if count < 2:
            raise ConfigError(
                f"the shortcut test expects two {part} patients or more {word} an {CONFOUNDED}, got {count}; "
                "change infection_share or the numbers of patients"
            )


def _scanned(settings: ChestExperiment, number: int, A: Projector) -> tuple[dict[str, Tensor], dict[str, str]]:
    """both (lungs, slices, origins, rows, cols) in 1/mm and instances (lungs, slices, rows, cols); right lung first."""
    cohort = settings.cohort
    model: Any = anatomy(CHEST, cohort.seed, number, cohort.settings)
    heights = slice_heights_mm(model, settings.shortcut_slices)
    rows, cols = cohort.shape
    axes = Axes.centred((rows, cols), cohort.pixel_mm)
    middle = [model.paint(float(z), axes) for z in heights]
    lesion = np.stack([canvas.lesion for canvas in middle])
    labels = np.stack([CHEST.labels_of(canvas.organ) for canvas in middle])
    marks = marks_of_patient(CHEST, model, CHEST.facts(model), lesion, labels)
    shown = []
    for origin in ORIGINS:
        steps = (np.arange(origin.thin_slices) - (origin.thin_slices - 1) / 2) * origin.slice_mm / origin.thin_slices
        thin = [
            np.stack(
                [
                    model.paint(float(z + step), axes).hu if step else canvas.hu
                    for z, canvas in zip(heights, middle, strict=True)
                ]
            )
            for step in steps
        ]
        mu = to_mu(torch.from_numpy(np.mean(thin, axis=0, dtype=np.float32))).clamp_min(0)[:, None]
        images = ImageSet(mu, [patient_id(number, "chest")] * len(mu))
        clean = CleanScans(images, A, refine=2, progress=False).take(torch.arange(len(mu)), torch.device("cpu"))
        photons = torch.full((len(mu),), Dose(settings.photons, fraction=origin.dose).used_photons)
        streams = [generator(settings.seed, "origins", origin.name, number, k) for k in range(len(mu))]
        shown.append(fbp(noisy_scans(clean, photons, streams), A, window=origin.kernel)[:, 0])
    windows, both = lung_windows(model, settings), torch.stack(shown, 1)
    tensors = {
        "both": torch.stack([both[window] for window in windows]),
        "instances": torch.stack([marks.instances[window] for window in windows]),
    }
    return tensors, {"kinds": json.dumps(dict(marks.kinds)), "known": json.dumps(sorted(marks.masked))}


def _read(folder: Path, part: str) -> tuple[ImageSet, Tensor]:
    run = load_run(folder)
    return _read_once(folder.resolve(), part, run.path(PARTS).stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read_once(folder: Path, part: str, written_ns: int) -> tuple[ImageSet, Tensor]:
    """What a folder holds that was finished at some time, so that one that was made anew is read anew."""
    del written_ns
    run = load_run(folder)
    both: list[Tensor] = []
    marks: list[Marks] = []
    patients, ids = [], []
    for patient in run.read_json(PARTS)[part]:
        tensors, about = run.load_tensors(f"{part}-{patient}.safetensors")
        kinds = {int(n): kind for n, kind in json.loads(about["kinds"]).items()}
        known = frozenset(json.loads(about["known"]))
        for k, side in enumerate(SIDES):
            both.append(tensors["both"][k])
            for s, instances in enumerate(tensors["instances"][k]):
                marks.append(Marks(instances, kinds, masked=known).ignoring_small(LEAST_PIXELS, NODULES))
                ids.append(f"{patient}-{side}-s{s:02d}")
                patients.append(patient)
    stack = torch.cat(both)  # slices lie too far apart to be neighbours, so each is a scan of its own
    return ImageSet(stack[:, :1].contiguous(), patients, ids=ids, case_ids=ids, targets={"marks": marks}), stack


def _rows(images: ImageSet) -> tuple[list[int], np.ndarray]:
    """Numbers of the images that are learnt from and judged, and whether each image shows an infection."""
    shown = np.array([_shows(one) for one in images.marks])
    infected = {p for p, one in zip(images.patient_ids, shown, strict=True) if one == 1}
    return [i for i, p in enumerate(images.patient_ids) if shown[i] == 1 or p not in infected], shown


def _shows(marks: Marks | None) -> float:
    assert marks is not None
    return float(marks.presence({CONFOUNDED: INFECTION})[0])
