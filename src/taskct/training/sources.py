"""Where the images of a training come from: the built-in patients, or a folder of CT with labels, split by patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.core.progress import track
from taskct.data.case import Case
from taskct.data.classes import with_classes
from taskct.data.images import ImageSet
from taskct.data.open import iter_cases
from taskct.data.splits import split_by_patient
from taskct.geometry import Grid
from taskct.phantoms.cohort import Cohort


@dataclass(frozen=True, kw_only=True)
class DataPlan:
    """Images of a training.

    folder       CT with labels in any layout that `open_cases` knows (LiTS, MSD, ...); "" for the built-in patients
    patients     built-in: how many in each part
    fractions    folder: shares of patients for training, validation and test
    shape        pixels (Y, X) of every slice; `pixel_mm` their size, centred on each image (the built-in patients know theirs)
    slices       per patient, evenly over those with a label; all of those when 0
    labels       folder: which values of the label map become class 1, 2, ...; [] keeps them
    classes      folder: the same by name, {"liver": ["liver"], "tumour": ["cancer", "liver tumour"]}; for folders of masks,
                 whose numbers follow the masks that are there
    """

    folder: str = ""
    patients: Mapping[str, int] = field(default_factory=lambda: {"train": 300, "validation": 20, "test": 50})
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    shape: tuple[int, int] = (128, 128)
    pixel_mm: float | None = None
    slices: int = 8
    labels: tuple[tuple[int, ...], ...] = ()
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.labels and self.classes:
            raise ConfigError("data expects labels (by number) or classes (by name), got both")
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


def onto_common_grid(case: Case, grid: Grid, numbers: Iterable[int]) -> tuple[Tensor, Tensor | None]:
    """Some slices of a case on another grid with the same centre: mu (N, 1, Y, X) and labels (N, Y, X).

    mu is interpolated linearly, labels take the nearest; outside the case there is air. Finer images are averaged over the
    new pixel first, so that nothing aliases.
    """
    own = case.slice_grid
    wanted = list(numbers)
    mu = case.mu[wanted]
    for axis in (0, 1):
        ratio = grid.spacing_mm[axis] / own.spacing_mm[axis]
        if ratio > 1.5:
            mu = _box(mu, ratio, axis)
    axes = [torch.from_numpy(a).float() for a in grid.axes_mm()]
    place = [a / (s * n / 2) for a, s, n in zip(axes, own.spacing_mm, own.shape, strict=True)]  # -1..1, edges of the case
    y, x = torch.meshgrid(*place, indexing="ij")
    where = torch.stack([x, y], dim=-1)[None].expand(len(mu), -1, -1, -1)
    images = functional.grid_sample(mu, where, mode="bilinear", padding_mode="zeros", align_corners=False)
    if case.labels is None:
        return images, None
    labels = case.labels[wanted][:, None].float()
    return images, functional.grid_sample(labels, where, mode="nearest", align_corners=False)[:, 0].to(torch.uint8)


def _cohort(plan: DataPlan) -> Cohort:
    return Cohort(
        "abdomen",
        dict(plan.patients),
        seed=plan.seed,
        shape=plan.shape,
        spacing_mm=plan.pixel_mm,
        slices_per_patient=plan.slices or 8,
    )


def _cohort_parts(plan: DataPlan, progress: bool | None) -> Parts:
    cohort = _cohort(plan)
    if not cohort.numbers("train"):
        raise InputError(f"data.patients has none to train on: {dict(plan.patients)}")
    make = lambda part: cohort.images(part, show=progress)
    return Parts(
        make("train"),
        make("validation") if cohort.numbers("validation") else None,
        cohort.patient_ids("test"),
        cohort.pixel_mm,
    )


def _folder_parts(plan: DataPlan, progress: bool | None) -> Parts:
    """One case in memory at a time; cases without labels are left out."""
    assert plan.pixel_mm is not None
    grid = Grid(plan.shape, plan.pixel_mm)
    found: dict[str, list[tuple[Tensor, Tensor, str]]] = {}
    for opened in track(iter_cases(plan.folder), f"reading {plan.folder}", show=progress):
        if opened.labels is None:
            continue
        case = with_classes(opened, plan.classes) if plan.classes else opened
        assert case.labels is not None
        numbers = _labelled_slices(case.labels, plan.slices)
        if not numbers:
            continue
        mu, labels = onto_common_grid(case, grid, numbers)
        assert labels is not None
        labels = _mapped(labels, plan.labels)
        found.setdefault(case.patient_id, []).extend(
            (mu[k], labels[k], f"{case.case_id}-s{number:03d}") for k, number in enumerate(numbers)
        )
    if not found:
        raise InputError(f"{plan.folder}: holds no labelled CT")
    split = split_by_patient(list(found), fractions=plan.fractions, seed=plan.seed)

    def images(patients: tuple[str, ...]) -> ImageSet:
        items = [(patient, *item) for patient in patients for item in found[patient]]
        return ImageSet(
            torch.stack([mu for _, mu, _, _ in items]),
            tuple(patient for patient, *_ in items),
            torch.stack([labels for _, _, labels, _ in items]),
            tuple(name for *_, name in items),
        )

    spacing = (grid.spacing_mm[0], grid.spacing_mm[1])
    return Parts(images(split.train), images(split.validation) if split.validation else None, split.test, spacing)


def _labelled_slices(labels: Tensor, most: int) -> list[int]:
    numbers = torch.nonzero((labels > 0).flatten(1).any(1)).flatten().tolist()
    if not most or len(numbers) <= most:
        return numbers
    places = torch.linspace(0, len(numbers) - 1, most).round().long().tolist()
    return [numbers[k] for k in places]


def _mapped(labels: Tensor, groups: tuple[tuple[int, ...], ...]) -> Tensor:
    """Values of group k become class k + 1, all others background."""
    if not groups:
        return labels
    out = torch.zeros_like(labels)
    for number, values in enumerate(groups, start=1):
        for value in values:
            out[labels == value] = number
    return out


def _box(mu: Tensor, ratio: float, axis: int) -> Tensor:
    """Mean over about one new pixel along an axis (an odd number of old ones)."""
    width = 2 * int(ratio // 2) + 1
    if width >= mu.shape[2 + axis]:
        raise GeometryError(
            f"pixels {ratio:.1f} times larger than the image's own leave nothing of it; choose a smaller pixel_mm"
        )
    size = (width, 1) if axis == 0 else (1, width)
    return functional.avg_pool2d(mu, size, stride=1, padding=(size[0] // 2, size[1] // 2), count_include_pad=False)
