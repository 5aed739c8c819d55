"""A cohort of built-in patients, divided by patient, as cases or as a data set of slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from taskct.core.errors import InputError, ResourceError, unknown_name
from taskct.phantoms.body import Site
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import Patient, anatomy, make_patient, patient_id, pixel_spacing, slice_heights_mm
from taskct.phantoms.sites import site_named

PARTS = ("train", "validation", "test")
_PART_OF_DIGIT = ("train",) * 7 + ("validation",) + ("test",) * 2
CACHE_LIMIT_BYTES = 4 * 2**30


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
        if self.slices_per_patient < 1:
            raise InputError(f"Cohort expects slices_per_patient >= 1, got {self.slices_per_patient}")
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

    def slices(self, part: str, *, cache: bool = True) -> CohortSlices:
        """The slices of one part as a data set; with `cache` each is computed once and kept in memory."""
        return CohortSlices(self, part, cache=cache)


class CohortSlices(Dataset[tuple[Tensor, Tensor, str]]):
    """Item i: hu (1, Y, X) float32, labels (Y, X) int64, and an id such as 'abdomen-0012-s03' (patient, slice).

    `patient_ids[i]` says whose slice it is: resample and split by it, never by slice. Kept in memory as float32 and
    uint8, 5 bytes a pixel: `memory_bytes` in all (128 x 128: 82 kB a slice). The cache belongs to one process; fill it
    with `fill()` before forking workers, or use none: a slice is computed faster than most networks take their step.

    Raises ResourceError when the cache would be larger than 4 GiB.
    """

    def __init__(self, cohort: Cohort, part: str, *, cache: bool = True) -> None:
        if len(cohort.shape) != 2:
            raise InputError(
                f"Cohort.slices expects a cohort of slices, shape (Y, X), got {cohort.shape}; use cohort.patient(number)"
            )
        self.cohort, self.part, self.cache = cohort, part, cache
        self.items = [(number, k) for number in cohort.numbers(part) for k in range(cohort.slices_per_patient)]
        self.patient_ids = [patient_id(number, cohort.site) for number, _ in self.items]
        self.axes = Axes.centred((cohort.shape[0], cohort.shape[1]), cohort.pixel_mm)
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        if cache and self.memory_bytes > CACHE_LIMIT_BYTES:
            raise ResourceError(
                f"the cache of {len(self)} slices would take {self.memory_bytes / 2**30:.1f} GiB, above "
                f"{CACHE_LIMIT_BYTES / 2**30:.0f} GiB; ask for fewer patients, or cohort.slices({part!r}, cache=False)"
            )

    @property
    def memory_bytes(self) -> int:
        """What the full cache holds."""
        return len(self.items) * self.cohort.shape[0] * self.cohort.shape[1] * 5

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, str]:
        number, k = self.items[index]
        index = index % len(self.items)
        if index in self._kept:
            hu, labels = self._kept[index]
        else:
            hu, labels = self._paint(number, k)
            if self.cache:
                self._kept[index] = hu, labels
        return hu[None].clone(), labels.long(), f"{patient_id(number, self.cohort.site)}-s{k:02d}"

    def fill(self) -> CohortSlices:
        """Compute everything now; returns itself."""
        for index in range(len(self)):
            self[index]
        return self

    def _paint(self, number: int, k: int) -> tuple[Tensor, Tensor]:
        model = anatomy(self.cohort.home, self.cohort.seed, number, self.cohort.settings)
        height = slice_heights_mm(model, self.cohort.slices_per_patient)[k]
        canvas = model.paint(float(height), self.axes)
        return torch.from_numpy(canvas.hu), torch.from_numpy(self.cohort.home.labels_of(canvas.organ))
