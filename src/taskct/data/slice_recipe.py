"""Which slices of a case belong to a data set, on which grid, and what their labels mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from taskct.core.errors import ConfigError, InputError
from taskct.core.units import MU_WATER_70KEV_PER_MM, check_mu
from taskct.data.case import Case
from taskct.data.classes import with_classes
from taskct.data.common_grid import instances_on_grid, onto_common_grid
from taskct.data.image_source import InMemory, Pixels
from taskct.data.images import ImageSet
from taskct.data.marks import MARKS, Marks
from taskct.geometry import Grid


class PreparedSlices(NamedTuple):
    """The slices `numbers` of a case: mu (N, 1, Y, X), labels (N, Y, X) or None, pixel size, names of the labels, marks."""

    mu: Tensor
    labels: Tensor | None
    numbers: list[int]
    spacing_mm: tuple[float, float]
    label_names: Mapping[int, str]
    marks: list[Marks] | None = None


@dataclass(frozen=True, kw_only=True)
class SliceRecipe:
    """How the cases of a folder become images of one size.

    shape, pixel_mm  pixels (Y, X) of every image and their size, centred on each case; without both, slices stay as they are
                     and all cases must have one slice grid
    slices           per case, evenly over those that are wanted; all of them when 0
    labelled_only    leave out slices without any label, and cases without labels
    labels           which values of the label map become class 1, 2, ...; () keeps them
    classes          the same by name, {"liver": ["liver"], "tumour": ["cancer", "liver tumour"]}
    mu_water_per_mm  attenuation that HU 0 stands for
    """

    shape: tuple[int, int] | None = None
    pixel_mm: float | None = None
    slices: int = 0
    labelled_only: bool = False
    labels: tuple[tuple[int, ...], ...] = ()
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM

    def __post_init__(self) -> None:
        if (self.shape is None) != (self.pixel_mm is None):
            raise ConfigError(f"a common grid needs shape and pixel_mm, got shape {self.shape} and pixel_mm {self.pixel_mm}")
        if self.labels and self.classes:
            raise ConfigError("labels are chosen by number or by name of a class, got both")
        small = self.shape is not None and min(self.shape) < 8
        if small or self.slices < 0 or (self.pixel_mm is not None and not self.pixel_mm > 0):
            raise ConfigError(f"images expect a shape of at least 8 x 8, slices >= 0 and pixel_mm > 0, got {self}")

    def of(self, case: Case) -> PreparedSlices | None:
        """The slices of a case; None where it has none that are wanted. Raises UnitsError for values that are not mu."""
        if self.labelled_only and case.labels is None:
            return None
        if self.classes and case.labels is not None:
            case = with_classes(case, self.classes)
        numbers = self._numbers(case)
        if not numbers:
            return None
        if self.shape is None or self.pixel_mm is None:
            mu, labels = case.mu[numbers], None if case.labels is None else case.labels[numbers]
            spacing = (case.spacing_mm[1], case.spacing_mm[2])
        else:
            mu, labels = onto_common_grid(case, Grid(self.shape, self.pixel_mm), numbers)
            spacing = (self.pixel_mm, self.pixel_mm)
        check_mu(mu, who=f"case {case.case_id}: an image set")
        names = {n: name for n, name in case.label_names.items() if n} if labels is not None else {}
        if self.labels and labels is not None:
            labels, names = _mapped(labels, self.labels), _joined(names, self.labels)
        return PreparedSlices(mu.contiguous(), labels, numbers, spacing, names, self._marks(case, numbers))

    def _marks(self, case: Case, numbers: list[int]) -> list[Marks] | None:
        """The marks of each slice on its grid; what is known of the case is known of its slices."""
        if case.marks is None:
            return None
        marks = [case.marks.crop(k) for k in numbers]
        if self.shape is None or self.pixel_mm is None:
            return marks
        where = Grid(self.shape, self.pixel_mm)
        return [m.with_map(instances_on_grid(m.instances[None], case.slice_grid, where)[0]) for m in marks]

    def _numbers(self, case: Case) -> list[int]:
        numbers = list(range(len(case.hu)))
        if self.labelled_only and case.labels is not None:
            numbers = torch.nonzero((case.labels > 0).flatten(1).any(1)).flatten().tolist()
        if not self.slices or len(numbers) <= self.slices:
            return numbers
        places = torch.linspace(0, len(numbers) - 1, self.slices).round().long().tolist()
        return [numbers[k] for k in places]


def images_of_cases(cases: Iterable[Case], recipe: SliceRecipe, *, source: str = "the cases") -> ImageSet:
    """The images of cases in memory, one case opened at a time; patients stand together in the order of their first case."""
    found: dict[str, list[tuple[str, PreparedSlices]]] = {}
    facts = CommonFacts()
    for case in cases:
        made = recipe.of(case)
        if made is None:
            continue
        facts.add(
            case.case_id, tuple(made.mu.shape[2:]), made.spacing_mm, made.label_names if made.labels is not None else None
        )
        found.setdefault(case.patient_id, []).append((case.case_id, made))
    parts = [(patient, *pair) for patient, pairs in found.items() for pair in pairs]
    if not parts:
        wanted = "no labelled CT" if recipe.labelled_only else "no CT"
        raise InputError(f"{source}: holds {wanted}")
    labelled = any(made.labels is not None for *_, made in parts)
    marked = any(made.marks is not None for *_, made in parts)
    return ImageSet(
        InMemory.joined([_pixels(made, labelled, marked) for *_, made in parts]),
        [patient for patient, _, made in parts for _ in made.numbers],
        ids=[image_id(case_id, number) for _, case_id, made in parts for number in made.numbers],
        case_ids=[case_id for _, case_id, made in parts for _ in made.numbers],
        spacing_mm=facts.spacing_mm,
        label_names=facts.label_names,
        mu_water_per_mm=recipe.mu_water_per_mm,
    )


def image_id(case_id: str, number: int) -> str:
    """The name of a slice of a case.

    >>> image_id("volume-3", 17)
    'volume-3-s017'
    """
    return f"{case_id}-s{number:03d}"


class CommonFacts:
    """What all images of a set share; InputError that names the first case which differs."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.spacing_mm: tuple[float, ...] = ()
        self.label_names: dict[int, str] = {}
        self._first = self._first_named = ""

    def add(
        self, case_id: str, shape: tuple[int, ...], spacing_mm: tuple[float, ...], label_names: Mapping[int, str] | None
    ) -> None:
        """Another case; `label_names` is None where it has no labels."""
        rounded = tuple(round(s, 4) for s in spacing_mm)
        if not self._first:
            self._first, self.shape, self.spacing_mm = case_id, shape, rounded
        if (shape, rounded) != (self.shape, self.spacing_mm):
            raise InputError(
                f"case {case_id} has images of {shape} with pixels of {rounded} mm, {self._first} of {self.shape} with "
                f"{self.spacing_mm} mm; give shape and pixel_mm of a common grid"
            )
        names = {int(n): str(name) for n, name in (label_names or {}).items()}
        if names and not self.label_names:
            self._first_named, self.label_names = case_id, names
        clash = sorted(n for n in names if n in self.label_names and names[n] != self.label_names[n])
        if clash:
            raise InputError(
                f"label {clash[0]} is {names[clash[0]]!r} in case {case_id} and {self.label_names[clash[0]]!r} in "
                f"{self._first_named}; say what they mean by classes, {{'name': ['name', ...]}}"
            )
        self.label_names |= names


def _pixels(made: PreparedSlices, labelled: bool, marked: bool) -> Pixels:
    """With empty maps where other cases have labels, and without knowledge where others have marks."""
    count = len(made.mu)
    targets = {MARKS: made.marks or [Marks.nothing_known(made.mu.shape[2:])] * count} if marked else {}
    if not labelled:
        return Pixels(made.mu, targets=targets)
    if made.labels is None:
        empty = torch.zeros((count, *made.mu.shape[2:]), dtype=torch.uint8)
        return Pixels(made.mu, empty, torch.zeros(count, dtype=torch.bool), targets)
    return Pixels(made.mu, made.labels, None, targets)


def _mapped(labels: Tensor, groups: tuple[tuple[int, ...], ...]) -> Tensor:
    """Values of group k become class k + 1, all others background."""
    out = torch.zeros_like(labels)
    for number, values in enumerate(groups, start=1):
        for value in values:
            out[labels == value] = number
    return out


def _joined(names: Mapping[int, str], groups: tuple[tuple[int, ...], ...]) -> dict[int, str]:
    """Names of the groups: of their labels, where those have any."""
    named = {k: " + ".join(names[v] for v in values if v in names) for k, values in enumerate(groups, start=1)}
    return {k: name for k, name in named.items() if name}
