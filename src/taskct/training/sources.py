"""Where the images of a training come from: the built-in patients, or a folder of CT with labels, split by patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from taskct.core.errors import ConfigError, InputError
from taskct.core.progress import track
from taskct.data.image_store import open_store
from taskct.data.images import ImageSet
from taskct.data.open import iter_cases
from taskct.data.prepared_store import prepare_store
from taskct.data.slice_recipe import SliceRecipe, images_of_cases
from taskct.data.splits import split_by_patient
from taskct.geometry import Grid
from taskct.phantoms.cohort import Cohort
from taskct.phantoms.sites import site_named
from taskct.training.processes import rank, wait_for_all


@dataclass(frozen=True, kw_only=True)
class DataPlan:
    """Images of a training.

    folder       CT with labels in any layout that `open_cases` knows (LiTS, MSD, ...); "" for the built-in patients
    site         built-in: the part of the body, a name of `SITES`
    patients     built-in: how many in each part
    fractions    folder: shares of patients for training, validation and test
    shape        pixels (Y, X) of every slice; `pixel_mm` their size, centred on each image (the built-in patients know theirs)
    slices       per patient, evenly over those with a label; 0 takes all of those of a folder's CT
    labels       folder: which values of the label map become class 1, 2, ...; [] keeps them
    classes      folder: the same by name, {"liver": ["liver"], "tumour": ["cancer", "liver tumour"]}; for folders of masks,
                 whose numbers follow the masks that are there
    store        folder: where its images are kept prepared, made once and resumed when it was stopped; they are then streamed
                 from there, so that a set may be larger than memory. "" holds them in memory
    """

    folder: str = ""
    site: str = "abdomen"
    patients: Mapping[str, int] = field(default_factory=lambda: {"train": 300, "validation": 20, "test": 50})
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    shape: tuple[int, int] = (128, 128)
    pixel_mm: float | None = None
    slices: int = 8
    labels: tuple[tuple[int, ...], ...] = ()
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    store: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.labels and self.classes:
            raise ConfigError("data expects labels (by number) or classes (by name), got both")
        site_named(self.site)
        if self.folder and self.site != "abdomen":
            raise ConfigError(f"data.site names built-in patients, and a data.folder has its own; leave out {self.site!r}")
        if self.store and not self.folder:
            raise ConfigError("data.store keeps the images of a data.folder; the built-in patients need none")
        if self.folder and self.pixel_mm is None:
            raise ConfigError("data.pixel_mm is needed with a folder: one scanner grid for all patients, such as 1.1")
        if min(self.shape) < 8 or self.slices < 0 or (self.pixel_mm is not None and not self.pixel_mm > 0):
            raise ConfigError(f"data expects shape of at least 8 x 8, slices >= 0 and pixel_mm > 0, got {self}")


@dataclass(frozen=True, eq=False)
class Parts:
    """Images by their use; of the test patients only the names are known here."""

    train: ImageSet
    validation: ImageSet | None
    test_patients: tuple[str, ...]
    spacing_mm: tuple[float, float]


def read_parts(plan: DataPlan, *, progress: bool | None = None) -> Parts:
    """Read or make the images of training and validation."""
    return _folder_parts(plan, progress) if plan.folder else _cohort_parts(plan, progress)


def grid_of(plan: DataPlan) -> Grid:
    """The grid that the images of a plan will have, known before any is read or made."""
    if plan.pixel_mm is not None:
        return Grid(plan.shape, plan.pixel_mm)
    return Grid(plan.shape, _cohort(plan).pixel_mm)


def _cohort(plan: DataPlan) -> Cohort:
    if plan.slices == 0:
        raise ConfigError("data.slices = 0 takes all slices of a folder's CT; built-in patients expect how many to make")
    return Cohort(
        plan.site,
        dict(plan.patients),
        seed=plan.seed,
        shape=plan.shape,
        spacing_mm=plan.pixel_mm,
        slices_per_patient=plan.slices,
    )


def _cohort_parts(plan: DataPlan, progress: bool | None) -> Parts:
    cohort = _cohort(plan)
    if not cohort.numbers("train"):
        raise InputError(f"data.patients has none to train on: {dict(plan.patients)}")
    make = lambda part: cohort.images(part, progress=progress)
    return Parts(
        make("train"),
        make("validation") if cohort.numbers("validation") else None,
        cohort.patient_ids("test"),
        cohort.pixel_mm,
    )


def _folder_parts(plan: DataPlan, progress: bool | None) -> Parts:
    """One case in memory at a time, or none where a store is kept; cases without labels are left out."""
    assert plan.pixel_mm is not None
    recipe = SliceRecipe(
        shape=plan.shape,
        pixel_mm=plan.pixel_mm,
        slices=plan.slices,
        labelled_only=True,
        labels=plan.labels,
        classes=plan.classes,
    )
    if plan.store:
        if rank() == 0:  # a store has one writer
            prepare_store(plan.folder, plan.store, recipe, progress=progress)
        wait_for_all()
        images = open_store(plan.store)
    else:
        cases = track(iter_cases(plan.folder), f"reading {plan.folder}", progress=progress)
        images = images_of_cases(cases, recipe, source=plan.folder)
    split = split_by_patient(list(dict.fromkeys(images.patient_ids)), fractions=plan.fractions, seed=plan.seed)
    part = lambda patients: images.of_patients(patients) if patients else None
    train = part(split.train)
    if train is None:
        raise InputError(f"data.fractions leaves no patient to train on: {plan.fractions}")
    return Parts(train, part(split.validation), split.test, (plan.pixel_mm, plan.pixel_mm))
