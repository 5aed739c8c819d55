"""The built-in cohort as experiments use it: its patients, a parallel beam, images that are kept, clean scans of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from taskct.core.runs import Run, load_run
from taskct.core.units import MU_AIR_PER_MM, MU_WATER_70KEV_PER_MM
from taskct.data.images import ImageSet
from taskct.experiments.folder_cache import read_once
from taskct.geometry import Grid, ParallelBeam
from taskct.phantoms.cohort import Cohort
from taskct.physics.projector import Projector
from taskct.simulate.clean_scans import CleanScans

REFINE = 2  # the truth is projected on a grid twice as fine: measured data know no pixels


def cohort_of(settings: Any) -> Cohort:
    """The patients of settings with `patients`, `anatomy`, `seed`, `size` and `slices`."""
    return Cohort(
        "abdomen",
        settings.patients,
        seed=settings.seed,
        shape=(settings.size, settings.size),
        slices_per_patient=settings.slices,
        settings=settings.anatomy,
    )


@lru_cache(maxsize=4)
def _projector(size: int, views: int, pixel_mm: tuple[float, float]) -> Projector:
    return Projector(Grid((size, size), pixel_mm), ParallelBeam(views=views, cols=size + 4, pixel_mm=pixel_mm[0]))


def pixel_of(settings: Any) -> tuple[float, float]:
    """Pixel size of the images: the `pixel_mm` of settings that have one, else that of their built-in cohort."""
    own = getattr(settings, "pixel_mm", None)
    return own if own is not None else cohort_of(settings).pixel_mm


@lru_cache(maxsize=4)
def _of_geometry(grid: Grid, beam: ParallelBeam) -> Projector:
    return Projector(grid, beam)


def projector_of(settings: Any) -> Projector:
    """The `geometry` (grid, beam) of settings that have one, else a parallel beam of `views`, columns as wide as pixels."""
    own = getattr(settings, "geometry", None)
    return _of_geometry(*own) if own is not None else _projector(
        settings.size, settings.views, pixel_of(settings)
    )  # fmt: skip


def keep_images(run: Run, part: str, images: ImageSet) -> None:
    """Write the images of a part into a run folder."""
    names = {"ids": json.dumps(images.ids), "patients": json.dumps(images.patient_ids)}
    names["hu"] = json.dumps([images.mu_water_per_mm, images.mu_air_per_mm])
    tensors = {"mu": images.mu} | ({} if images.labels is None else {"labels": images.labels})
    run.save_tensors(f"{part}.safetensors", tensors, metadata=names, overwrite=True)


@dataclass(frozen=True)
class DrawnPatients:
    """The folder in which a step keeps the patients of an experiment, by parts."""

    folder: Path

    def images(self, part: str) -> ImageSet:
        """The images of a part, read once a process."""
        return images_of(self.folder, part)

    def scans(self, part: str, settings: Any) -> CleanScans:
        """Their noise-free scans, made once a process."""
        return scans_of(self.folder, part, settings)


@read_once(6)
def images_of(folder: Path, part: str) -> ImageSet:
    """The images of a part, as `keep_images` wrote them."""
    tensors, names = load_run(folder).load_tensors(f"{part}.safetensors")
    water, air = json.loads(names["hu"]) if "hu" in names else (MU_WATER_70KEV_PER_MM, MU_AIR_PER_MM)
    return ImageSet(
        tensors["mu"],
        tuple(json.loads(names["patients"])),
        tensors.get("labels"),
        tuple(json.loads(names["ids"])),
        mu_water_per_mm=water,
        mu_air_per_mm=air,
    )


@read_once(6)
def scans_of(folder: Path, part: str, settings: Any) -> CleanScans:
    """Their noise-free scans."""
    return CleanScans(images_of(folder, part), projector_of(settings), refine=REFINE, progress=False)
