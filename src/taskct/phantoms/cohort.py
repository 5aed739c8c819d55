"""A cohort of built-in patients, divided by patient, as cases or as image sets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from taskct.core.errors import InputError, ResourceError, unknown_name
from taskct.core.progress import track
from taskct.data.image_source import ImageStorage, InMemory
from taskct.data.images import ImageSet
from taskct.phantoms.body import Site
from taskct.phantoms.painted import PaintedImages
from taskct.phantoms.patient import Patient, make_patient, patient_id, pixel_spacing
from taskct.phantoms.sites import site_named

PARTS = ("train", "validation", "test")
_PART_OF_DIGIT = ("train",) * 7 + ("validation",) + ("test",) * 2
MOST_PATIENTS = 1_000_000
MOST_SLICES = 10_000  # of one patient
MOST_GIB = 4  # of images in memory


def part_of(number: int) -> str:
    """The part that patient `number` belongs to, whatever the cohort's size: seven in ten train, one validation, two test.

    >>> [part_of(n) for n in (0, 6, 7, 8, 19)]
    ['train', 'train', 'validation', 'test', 'test']
    """
    return _PART_OF_DIGIT[number % 10]


@dataclass(frozen=True)
class Cohort:
    """Built-in patients of a `site` (SITES): those of `numbers(part)` of one `seed` on one grid.

    `patients` is how many there are in all (divided 7 : 1 : 2 by their number), or how many in each part:
    `Cohort("abdomen", {"train": 300, "validation": 20, "test": 50})`. A number belongs to one part for ever, so cohorts of
    different sizes never share a patient across parts. `shape`, `spacing_mm`, `slices`: see `make_patient`. `settings` are the
    ranges that patients are drawn from: the dataclass of the site, `CohortSettings` for the abdomen.

    >>> cohort = Cohort("abdomen", 10, shape=(32, 32))
    >>> [len(cohort.numbers(part)) for part in PARTS]
    [7, 1, 2]
    """

    site: str = "abdomen"
    patients: int | Mapping[str, int] = 100
    seed: int = 0
    shape: tuple[int, ...] = (128, 128)
    spacing_mm: float | tuple[float, ...] | None = None
    slices_per_patient: int = 8
    settings: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.site, str):
            raise InputError(f'Cohort expects a site first, such as Cohort("abdomen", 100), got {self.site!r}')
        if self.settings is None:
            object.__setattr__(self, "settings", self.home.settings())
        wanted = self.patients
        if isinstance(wanted, Mapping):
            for part in wanted:
                if part not in PARTS:
                    raise unknown_name("part of a cohort", str(part), PARTS, InputError)
            sizes = list(wanted.values())
        else:
            sizes = [wanted]
        if not sizes or any(not isinstance(n, int) or n < 0 for n in sizes) or sum(sizes) < 1:
            raise InputError(f"Cohort expects patients as a number >= 1 or a number per part, got {wanted!r}")
        if sum(sizes) > MOST_PATIENTS:
            raise InputError(f"Cohort expects at most {MOST_PATIENTS:,} patients, got {wanted!r}")
        if not 1 <= self.slices_per_patient <= MOST_SLICES:
            raise InputError(f"Cohort expects slices_per_patient from 1 to {MOST_SLICES:,}, got {self.slices_per_patient}")
        pixel_spacing(self.home, self.shape, self.spacing_mm, self.settings)

    @property
    def home(self) -> Site:
        """What the patients are made of."""
        return site_named(self.site)

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Pixel size (y, x) of every slice."""
        spacing = pixel_spacing(self.home, self.shape, self.spacing_mm, self.settings)
        return spacing[-2], spacing[-1]

    def numbers(self, part: str) -> tuple[int, ...]:
        """Numbers of the patients of one part, rising."""
        if part not in PARTS:
            raise unknown_name("part of a cohort", part, PARTS, InputError)
        if isinstance(self.patients, Mapping):
            return tuple(islice((n for n in count() if part_of(n) == part), self.patients.get(part, 0)))
        return tuple(n for n in range(self.patients) if part_of(n) == part)

    def patient(self, number: int, *, organs: bool = False, texture: bool = True) -> Patient:
        """Patient `number` on the cohort's grid: a volume, or its slices."""
        return make_patient(
            self.seed,
            number,
            site=self.site,
            shape=self.shape,
            spacing_mm=self.spacing_mm,
            slices=self.slices_per_patient,
            organs=organs,
            texture=texture,
            settings=self.settings,
        )

    def patient_ids(self, part: str) -> tuple[str, ...]:
        """Identifiers of the patients of one part."""
        return tuple(patient_id(number, self.site) for number in self.numbers(part))

    def images(self, part: str, *, in_memory: bool = True, marks: bool = False, progress: bool | None = None) -> ImageSet:
        """The slices of one part as an image set (its volumes for a cohort of volumes): painted now and kept, or streamed.

        With `in_memory` False each is painted whenever it is asked for, faster than most networks take their step: a cohort of
        any size then needs no memory. With `marks` each image carries what is known of its lesions (`Marks`).
        Image names are such as 'abdomen-0012-s03' (patient, slice). Raises InputError for a part without patients,
        ResourceError for more than 4 GiB in memory.
        """
        rows = self.rows(part)
        if not rows:
            raise InputError(f"the cohort has no patient in {part!r}, patients are {self.patients!r}; ask for more")
        painted = PaintedImages(
            self.site, self.seed, self.settings, rows, self.shape, self.spacing_mm, self.slices_per_patient, marks
        )
        storage: ImageStorage = painted
        if in_memory:
            gib = len(rows) * math.prod(self.shape) * 5 / 2**30  # float32 and uint8
            if gib > MOST_GIB:
                raise ResourceError(
                    f"the {len(rows)} images of {part!r} would take {gib:.1f} GiB, above {MOST_GIB} GiB; "
                    f"ask for fewer patients, or for cohort.images({part!r}, in_memory=False)"
                )
            numbers = track(range(len(rows)), f"making {part} patients", progress=progress)
            storage = InMemory.joined([painted.read([k]) for k in numbers])
        patients = [patient_id(number, self.site) for number, _ in rows]
        flat = len(self.shape) == 2
        return ImageSet(
            storage,
            patients,
            ids=[f"{patient}-s{k:02d}" if flat else patient for patient, (_, k) in zip(patients, rows, strict=True)],
            spacing_mm=pixel_spacing(self.home, self.shape, self.spacing_mm, self.settings),
            label_names=self.home.label_names,
        )

    def rows(self, part: str) -> list[tuple[int, int]]:
        """Patient and slice (0 for a volume) of each image of a part, in order."""
        each = self.slices_per_patient if len(self.shape) == 2 else 1
        return [(number, k) for number in self.numbers(part) for k in range(each)]
