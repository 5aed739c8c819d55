"""What all steps share: the skulls that were drawn, the geometries, their radiographs. Read once a process."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.open_files import read_json
from taskct.core.runs import Run, is_run, load_run
from taskct.core.seeds import derive_seed
from taskct.data.images import ImageSet
from taskct.experiments.cohort_images import images_of, keep_images
from taskct.experiments.folder_cache import read_once
from taskct.geometry import Grid, bi_planar
from taskct.phantoms.cohort import Cohort
from taskct.phantoms.patient import anatomy
from taskct.physics.projector import Projector
from taskct.simulate.radiograph_set import RadiographSet
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar

PARTS = ("train", "validation", "test", "second")
READING = "reading"  # skulls of the first family that no method learns from: readers learn on them what methods make
_MOST_TURN_DEG = 15.0
_SOURCE_MM, _MAGNIFIED = (500.0, 1200.0), (1.3, 1.7)


def cohort_of(settings: BiPlanar, part: str) -> tuple[Cohort, str]:
    """The cohort that a part is drawn from, and the part of that cohort."""
    fine = settings.size * settings.factor
    common: dict[str, Any] = {"shape": (fine,) * 3, "spacing_mm": settings.field_mm / fine}
    if part == READING:
        readers = {"train": settings.reading_skulls}
        return Cohort("skull", readers, seed=settings.seed + 2, settings=settings.skulls, **common), "train"
    if part != "second":
        return Cohort("skull", settings.patients, seed=settings.seed, settings=settings.skulls, **common), part
    skulls = dataclasses.replace(settings.skulls, family="second")
    return Cohort("skull", {"test": settings.second_skulls}, seed=settings.seed + 1, settings=skulls, **common), "test"


def save_skulls(folder: Path, *, settings: BiPlanar, parts: Sequence[str] = PARTS) -> None:
    """Draw the skulls of some parts and keep them; a part that is there already is not drawn again."""
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"skulls": settings.patients})
    facts: dict[str, Any] = {}
    for part in parts:
        cohort, of = cohort_of(settings, part)
        numbers = cohort.numbers(of)
        facts[part] = [cohort.home.facts(anatomy(cohort.home, cohort.seed, n, cohort.settings)) for n in numbers]
        if run.path(f"{part}.safetensors").exists():
            continue
        images = cohort.images(of, progress=False)
        if part in ("second", READING):  # cohorts of their own, whose names would be those of others
            names = [f"{part}-{name}" for name in images.ids]
            images = ImageSet(images.mu, names, images.labels, names, spacing_mm=images.spacing_mm)
        keep_images(run, part, images)
    run.write_json("facts.json", facts, overwrite=True)


@dataclass(frozen=True)
class Skulls:
    """The folder in which a step keeps the skulls of an experiment, by parts."""

    folder: Path

    def images(self, part: str) -> ImageSet:
        """The skulls of a part on the fine grid."""
        return images_of(self.folder, part)

    def facts(self, part: str) -> list[dict[str, Any]]:
        """What each skull of a part is labelled with."""
        found: list[dict[str, Any]] = read_json(self.folder / "facts.json")[part]
        return found

    def radiographs(self, part: str, settings: BiPlanar, *, views: int = 0) -> RadiographSet:
        """Their truths and noise-free radiographs; `views` other than those of the settings."""
        return radiographs_of(self.folder, part, settings, views or settings.views)


@read_once(8)
def radiographs_of(folder: Path, part: str, settings: BiPlanar, views: int) -> RadiographSet:
    """The radiographs of a part, each with the geometries of its part."""
    return RadiographSet(images_of(folder, part), geometries_of(settings, part, views), factor=settings.factor)


@lru_cache(maxsize=16)
def geometries_of(settings: BiPlanar, part: str, views: int) -> tuple[Projector, ...]:
    """One geometry for all, or those of a part: many for the training, one of its own for each skull elsewhere."""
    if settings.geometries == 1:
        return (geometry_of(settings, views),)
    count = settings.geometries if part == "train" else len_of(settings, part)
    return tuple(geometry_of(settings, views, number=k, part=part) for k in range(count))


def len_of(settings: BiPlanar, part: str) -> int:
    """How many skulls a part has."""
    return {**settings.patients, "second": settings.second_skulls, READING: settings.reading_skulls}[part]


def geometry_of(settings: BiPlanar, views: int, *, number: int | None = None, part: str = "") -> Projector:
    """The usual geometry, or geometry `number` of a part: turned, nearer or farther, magnified."""
    turn, iso, detector = 0.0, settings.source_iso_mm, settings.source_detector_mm
    width = settings.detector_mm
    if number is not None:
        draw = np.random.default_rng(derive_seed(settings.seed, "geometry", part, number))
        turn, iso = draw.uniform(-_MOST_TURN_DEG, _MOST_TURN_DEG), draw.uniform(*_SOURCE_MM)
        gain = draw.uniform(*_MAGNIFIED)
        width *= gain / (detector / settings.source_iso_mm)
        detector = iso * gain
    beam = bi_planar(
        cols=settings.size,
        rows=settings.size,
        pixel_mm=width / settings.size,
        source_iso_mm=iso,
        source_detector_mm=detector,
        angles_deg=[turn + 180.0 * k / views for k in range(views)],
    )
    return Projector(Grid(settings.shape, settings.field_mm / settings.size), beam)


def mean_skull(skulls: Skulls, settings: BiPlanar) -> Tensor:
    """The mean of the training skulls on the answer's grid, (1, 1, Z, Y, X) in 1/mm: the atlas, and the networks' prior."""
    return skulls.radiographs("train", settings).truth.mean(0, keepdim=True)


def device() -> torch.device:
    """Where networks are trained: a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
