"""Lungs of built-in patients: each lung of each slice as an image with its marks, and every lesion of the patient."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import ConfigError
from taskct.core.progress import track
from taskct.core.runs import Run, is_run, load_run
from taskct.core.units import to_mu
from taskct.data.images import ImageSet
from taskct.data.marks import Marks
from taskct.experiments.folder_cache import read_once
from taskct.phantoms.chest.build import cavity_distance, lung_distance
from taskct.phantoms.chest.chest_site import CHEST
from taskct.phantoms.cohort import Cohort
from taskct.phantoms.known_marks import marks_of_patient
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import anatomy, patient_id, slice_heights_mm
from taskct.systems.chest.chest_classes import LEAST_PIXELS, NODULES

SIDES = ("right", "left")  # of the patient: x is negative on the right
PLACE = "place_mm"  # target: where the first pixel of a crop lies, (z, y, x) in mm
PARTS = "parts.json"  # the patients of each part
_COARSE_MM = 4.0


@dataclass(frozen=True)
class LungCrops:
    """The folder in which a step keeps the crops of an experiment, a file for each patient."""

    folder: Path

    def images(self, part: str) -> ImageSet:
        """All crops of a part: patient by patient, right lung then left, slices rising; read once a process."""
        return _images_of(self.folder, part)

    def lesions(self, part: str) -> dict[str, list[dict[str, Any]]]:
        """Lesions by patient: centre_mm (z, y, x), diameter_mm, kind, and the largest section in pixels that a slice shows."""
        return {name: json.loads(about["lesions"]) for name, (_, about) in _patients_of(self.folder, part).items()}


def draw_crops(folder: Path, *, settings: Any) -> None:
    """Paint the patients of all parts that are not there yet; a step that was killed goes on where it was.

    `settings` has `cohort` (slices), `crop` (rows, cols) and `part_sizes`.
    """
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"crop": list(settings.crop)})
    cohort: Cohort = settings.cohort
    for part in settings.part_sizes:
        for number in track(cohort.numbers(part), f"painting {part} patients", progress=False):
            name = f"{part}-{patient_id(number, 'chest')}.safetensors"
            if not run.path(name).exists():
                tensors, about = paint_lungs(cohort, number, settings.crop)
                run.save_tensors(name, tensors, metadata=about)
    parts = {part: [patient_id(n, "chest") for n in cohort.numbers(part)] for part in settings.part_sizes}
    run.write_json(PARTS, parts, overwrite=True)


def paint_lungs(cohort: Cohort, number: int, crop: Sequence[int]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Both lungs of a patient: hu int16 and instances int16 (2, S, rows, cols), place_mm (2, S, 3); facts as text."""
    model: Any = anatomy(CHEST, cohort.seed, number, cohort.settings)
    heights = slice_heights_mm(model, cohort.slices_per_patient)
    pixel = cohort.pixel_mm
    corners = lung_corners_mm(model, heights, crop, pixel)
    low = [min(c[axis] for c in corners) for axis in (0, 1)]
    rows, cols = (round((max(c[axis] for c in corners) - low[axis]) / pixel[axis]) + crop[axis] for axis in (0, 1))
    at = [(start + step * np.arange(n)).astype(np.float32) for start, step, n in zip(low, pixel, (rows, cols), strict=True)]
    axes = Axes(at[0], at[1], pixel)
    slices = [model.paint(float(z), axes) for z in heights]
    hu, lesion = (np.stack([getattr(c, name) for c in slices]) for name in ("hu", "lesion"))
    labels = np.stack([CHEST.labels_of(c.organ) for c in slices])
    facts = CHEST.facts(model)
    marks = marks_of_patient(CHEST, model, facts, lesion, labels)
    found: dict[str, list[Tensor]] = {"hu": [], "instances": [], PLACE: []}
    for y, x in corners:
        first = [round((v - start) / step) for v, start, step in zip((y, x), low, pixel, strict=True)]
        window = (slice(None), *(slice(a, a + n) for a, n in zip(first, crop, strict=True)))
        found["hu"].append(torch.from_numpy(np.round(hu[window]).astype(np.int16)))
        found["instances"].append(marks.instances[window].contiguous())
        found[PLACE].append(torch.tensor([[z, y, x] for z in heights], dtype=torch.float32))
    kept = torch.stack(found["instances"])
    about = {
        "kinds": json.dumps(marks.kinds),
        "known": json.dumps(sorted(marks.masked)),
        "findings": json.dumps(dict(marks.findings)),
        "lesions": json.dumps(_lesions(model, kept)),
    }
    return {name: torch.stack(parts) for name, parts in found.items()}, about


def lung_corners_mm(
    model: Any, heights: np.ndarray, crop: Sequence[int], pixel_mm: Sequence[float]
) -> list[tuple[float, float]]:
    """(y, x) in mm of the first pixel of a crop about each lung, right and left: the middle of its box over all slices."""
    axes = Axes.centred((90, 120), (_COARSE_MM, _COARSE_MM))
    x, y = (np.broadcast_to(a, (90, 120)).astype(np.float32) for a in (axes.x_mm[None], axes.y_mm[:, None]))
    inside = np.zeros((90, 120), bool)
    for z in heights[::4]:
        inside |= lung_distance(model.build, x, y, float(z), cavity_distance(model.build, x, y, float(z))) < 0
    corners = []
    for side in (-1, 1):
        at = inside & (side * x > 0)
        if not at.any():
            raise ConfigError("a chest without a lung on one side: slices expect heights within the lungs")
        middle = [(a[at].min() + a[at].max()) / 2 for a in (y, x)]
        grid = [step * round((m - (n - 1) / 2 * step) / step) for m, n, step in zip(middle, crop, pixel_mm, strict=True)]
        corners.append((float(grid[0]), float(grid[1])))
    return corners


def _lesions(model: Any, instances: Tensor) -> list[dict[str, Any]]:
    """Lesions of a patient, with the largest section of each in the crops (0: in none)."""
    count = len(model.lesions) + 1
    sections = torch.stack([torch.bincount(one.flatten().long(), minlength=count)[:count] for one in instances.flatten(0, 1)])
    most = sections.amax(0).tolist()
    return [
        {"centre_mm": list(one.centre_mm), "diameter_mm": 2 * one.radius_mm, "kind": one.kind, "pixels": most[k]}
        for k, one in enumerate(model.lesions, start=1)
    ]


@read_once(6)
def _patients_of(folder: Path, part: str) -> dict[str, tuple[dict[str, Tensor], dict[str, str]]]:
    """Patient -> (tensors, facts), rising."""
    run = load_run(folder)
    return {name: run.load_tensors(f"{part}-{name}.safetensors") for name in run.read_json(PARTS)[part]}


@read_once(6)
def _images_of(folder: Path, part: str) -> ImageSet:
    mu: list[Tensor] = []
    marks: list[Marks] = []
    patients, scans, ids, places = [], [], [], []
    for patient, (tensors, about) in _patients_of(folder, part).items():
        kinds = {int(n): kind for n, kind in json.loads(about["kinds"]).items()}
        known = frozenset(json.loads(about["known"]))
        absent = {name: False for name, there in json.loads(about["findings"]).items() if not there}
        for k, side in enumerate(SIDES):
            mu.append(to_mu(tensors["hu"][k].float()).clamp_min(0))
            for s, instances in enumerate(tensors["instances"][k]):
                one = Marks(instances, kinds, masked=known, findings=absent)
                marks.append(one.ignoring_small(LEAST_PIXELS, NODULES))
                ids.append(f"{patient}-{side}-s{s:02d}")
                patients.append(patient)
                scans.append(f"{patient}-{side}")
            places += list(tensors[PLACE][k])
    if not mu:
        raise ConfigError(f"{folder}: holds no patient of the part {part!r}; do the step that paints them first")
    return ImageSet(torch.cat(mu)[:, None], patients, ids=ids, case_ids=scans, targets={"marks": marks, PLACE: places})
