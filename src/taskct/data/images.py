"""`ImageSet`: the images of patients, wherever they are learnt from or judged on; in memory, or streamed from a storage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from taskct.core.errors import GeometryError, InputError
from taskct.core.units import MU_AIR_PER_MM, MU_WATER_70KEV_PER_MM, to_hu_unchecked
from taskct.data.case import Case
from taskct.data.case_slices import slices_of_cases
from taskct.data.image_source import ImageStorage, InMemory, PartOf, Pixels, rows_of, slice_hash, stacked
from taskct.data.label_names import check_label_names
from taskct.data.marks import MARKS, Marks
from taskct.data.samples import LABELS, ImageBatch, Sample
from taskct.data.splits import split_by_patient

_SAME_PIXELS = 0.01  # images whose pixels differ by more are not of one grid
_CHUNK = 64  # images read at a time where all are wanted


class ImageSet(Dataset[Sample]):
    """Images of patients: item i is a `Sample`; `take(numbers)` gives a batch; a slice or a list of numbers gives a subset.

    mu           (N, 1, Y, X) or (N, 1, Z, Y, X) float32 in 1/mm, held in memory; or an `ImageStorage` to stream them from
                 (`open_store`, `LodopabFiles.images`, `Cohort.images`), which brings its own labels and targets
    patient_ids  whose each image is, N of them: sets are split and resampled by patient, never by image
    labels       label maps (N, ...), whole numbers on the samples of mu, kept as they are (uint8 saves memory); a list with
                 None for the images that have none
    ids          names of the images; `case_ids` names the scan that each image is a slice of, by default the patient: images
                 of one scan stand together in the order of their slices
    targets      further truths by name, each N values (tensors, numbers, boxes, anything), None where one is not known
    spacing_mm, label_names, mu_water_per_mm, mu_air_per_mm
                 what all images share: pixel size, names of the labels, what HU mean in them

    Raises GeometryError for labels on another grid, UnitsError for HU or NaN, InputError for an empty set or for lists of
    other lengths.
    """

    def __init__(
        self,
        mu: Tensor | ImageStorage,
        patient_ids: Sequence[str],
        labels: Tensor | Sequence[Tensor | None] | None = None,
        ids: Sequence[str] = (),
        *,
        case_ids: Sequence[str] = (),
        targets: Mapping[str, Sequence[Any]] | None = None,
        spacing_mm: tuple[float, ...] | None = None,
        label_names: Mapping[int, str] | None = None,
        mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
        mu_air_per_mm: float = MU_AIR_PER_MM,
    ) -> None:
        count = len(mu)
        if count == 0:
            raise InputError("ImageSet expects at least one image, got none; is a part of the split empty?")
        self.ids = tuple(ids) or tuple(f"image-{i}" for i in range(count))
        self.patient_ids = tuple(patient_ids)
        self.case_ids = tuple(case_ids) or self.patient_ids
        for name, names in (("patient_ids", self.patient_ids), ("ids", self.ids), ("case_ids", self.case_ids)):
            if len(names) != count:
                raise InputError(f"ImageSet expects {name} for each of the {count} images, got {len(names)}")
        if isinstance(mu, Tensor):
            self.storage: ImageStorage = InMemory.checked(mu, labels, targets or {}, self.ids)
        elif labels is not None or targets:
            raise InputError("ImageSet expects labels and targets from the storage that it streams from, got others beside it")
        else:
            self.storage = mu
        if spacing_mm is not None and len(spacing_mm) != len(self.storage.shape):
            raise GeometryError(f"ImageSet expects one spacing per axis of {self.storage.shape}, got {tuple(spacing_mm)}")
        self.spacing_mm = None if spacing_mm is None else tuple(float(s) for s in spacing_mm)
        self.label_names = dict(label_names or {})
        check_label_names(self.label_names, who="images")
        self.mu_water_per_mm, self.mu_air_per_mm = mu_water_per_mm, mu_air_per_mm

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.storage.shape))
        return f"ImageSet({len(self)} images of {size}, {len(set(self.patient_ids))} patients)"

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, item: int) -> Sample: ...
    @overload
    def __getitem__(self, item: slice | Sequence[int] | Tensor) -> ImageSet: ...
    def __getitem__(self, item: int | slice | Sequence[int] | Tensor) -> Sample | ImageSet:
        """Image `item`, or the images of a slice or of a list of numbers as a set: nothing of a slice in memory is copied."""
        if isinstance(item, int):
            if not -len(self) <= item < len(self):
                raise IndexError(f"an ImageSet of {len(self)} images has none of number {item}")  # ends a for loop
            return self.__getitems__([item % len(self)])[0]
        return self._subset(item)

    def __getitems__(self, numbers: Sequence[int]) -> list[Sample]:
        """Several samples, read at once: what a DataLoader asks for."""
        rows = rows_of(numbers, len(self))
        pixels = self.storage.read(rows)
        return [
            Sample(
                pixels.mu[k],
                _map(pixels, k),
                self.patient_ids[i],
                self.ids[i],
                {name: values[k] for name, values in pixels.targets.items()},
            )
            for k, i in enumerate(rows)
        ]

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def take(self, numbers: Sequence[int] | Tensor, *, neighbours: int = 0) -> ImageBatch:
        """The images of these numbers, in this order, as one batch; its `stack` holds their neighbours (`beside`) as channels.

        Each image is read once, however many it is a neighbour of.
        """
        rows = rows_of(numbers, len(self))
        beside = self.beside(rows, neighbours)
        unique, place = beside.unique(return_inverse=True) if neighbours else (beside, torch.arange(len(rows))[:, None])
        pixels = self.storage.read(unique.flatten().tolist())
        stack = pixels.mu[place, 0]  # (B, 2 neighbours + 1, ...)
        middle = place[:, neighbours]
        targets, labelled = {}, {}
        for name, values in pixels.targets.items():
            targets[name], labelled[name] = stacked([values[k] for k in middle.tolist()])
        labels, mask = pixels.labels, torch.full((len(rows),), pixels.labels is not None)
        if pixels.labelled is not None:
            mask = pixels.labelled[middle]
        labels = labels[middle] if labels is not None and bool(mask.any()) else None
        labelled[LABELS] = mask
        patients, ids = (tuple(names[i] for i in rows) for names in (self.patient_ids, self.ids))
        return ImageBatch(stack[:, neighbours : neighbours + 1], labels, patients, ids, targets, labelled, stack)

    def batches(self, size: int = _CHUNK) -> Iterator[ImageBatch]:
        """All images in order, `size` at a time."""
        return (self.take(range(first, min(first + size, len(self)))) for first in range(0, len(self), size))

    def loader(self, batch: int, *, shuffle: bool = False, workers: int = 0, **options: Any) -> DataLoader[Sample]:
        """A torch DataLoader that gives `ImageBatch`es; `workers` processes read ahead. `options` are those of DataLoader."""
        return DataLoader(self, batch, shuffle=shuffle, num_workers=workers, collate_fn=ImageBatch.of, **options)

    def beside(self, numbers: Sequence[int] | Tensor, neighbours: int) -> Tensor:
        """Numbers of the images and of their neighbours in the same scan: (B,) -> (B, 2 neighbours + 1).

        At the ends of a scan its last image is repeated.
        """
        rows = rows_of(numbers, len(self))
        if not neighbours:
            return torch.tensor(rows)[:, None]
        found = []
        for number in rows:
            row = [number]
            for step in (-1, 1):
                at = number
                for _ in range(neighbours):
                    moved = at + step
                    if 0 <= moved < len(self) and self.case_ids[moved] == self.case_ids[number]:
                        at = moved
                    row.insert(0, at) if step < 0 else row.append(at)
            found.append(row)
        return torch.tensor(found)

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X) or (Z, Y, X) of every image."""
        return self.storage.shape

    @property
    def in_memory(self) -> bool:
        """Whether the pixels lie in memory; then `mu` and `labels` give all of them at once."""
        return isinstance(self.storage, InMemory)

    @property
    def mu(self) -> Tensor:
        """All images (N, 1, ...) of a set in memory; InputError for one that is streamed."""
        return self._held.mu

    @property
    def labels(self) -> Tensor | None:
        """All label maps (N, ...) of a set in memory, None if there are none; zeros for images without one."""
        return self._held.labels

    @property
    def has_labels(self) -> bool:
        """Whether any image has a label map."""
        return self.storage.has_labels

    @property
    def all_labelled(self) -> bool:
        """Whether every image of a set in memory has a label map."""
        return self._held.labels is not None and (self._held.labelled is None or bool(self._held.labelled.all()))

    @property
    def targets(self) -> dict[str, Sequence[Any]]:
        """All further targets of a set in memory, by name."""
        return dict(self._held.targets)

    @property
    def has_marks(self) -> bool:
        """Whether the images carry marks."""
        return MARKS in self.target_names

    @property
    def marks(self) -> list[Marks | None]:
        """What is known of the lesions of each image of a set in memory; None where there are no marks."""
        return list(self._held.targets.get(MARKS, [None] * len(self)))

    def with_marks(self, marks: Sequence[Marks | None]) -> ImageSet:
        """The same images in memory with these marks, one for each image; GeometryError for marks on another grid."""
        return self.with_targets({**self.targets, MARKS: list(marks)})

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the further targets."""
        return self.storage.target_names

    @property
    def fingerprint(self) -> str:
        """Names the pixels of all images: equal for equal images in the same order, in memory or streamed."""
        text = " ".join([str(self.shape), *self.slice_hashes()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def slice_hashes(self) -> Sequence[str]:
        """`slice_hash` of each slice of each image, in order; read from the images where the storage does not know them."""
        known = self.storage.known_hashes()
        if known is None:
            known = [slice_hash(one) for batch in self.batches() for one in batch.mu.reshape(-1, *self.shape[-2:])]
            self.storage.remember_hashes(known)
        return known

    def hu(self, mu: Tensor) -> Tensor:
        """Images of this set, or what was made of them, in 1/mm -> HU; any numbers are converted."""
        return to_hu_unchecked(mu, mu_water_per_mm=self.mu_water_per_mm, mu_air_per_mm=self.mu_air_per_mm)

    def check_spacing(self, spacing_mm: Sequence[float], *, who: str) -> None:
        """GeometryError where the images have pixels of another size than `who`: all lengths would be wrong."""
        own = self.spacing_mm or ()
        if own and any(abs(a - b) > _SAME_PIXELS * b for a, b in zip(own, spacing_mm, strict=True)):
            sizes = [" x ".join(f"{s:.4g}" for s in one) for one in (own, spacing_mm)]
            raise GeometryError(
                f"{who} has pixels of {sizes[1]} mm, the images have {sizes[0]} mm; build it from the grid of the images"
            )

    def facts(self) -> dict[str, Any]:
        """What a run says about its images: how many, of how many patients, and their fingerprint.

        Where a fingerprint would need all images of a streamed set to be read, `streamed_from` says what they are.
        """
        about: dict[str, Any] = {"images": len(self), "patients": len(set(self.patient_ids))}
        if self.in_memory or self.storage.known_hashes() is not None:
            return about | {"fingerprint": self.fingerprint}
        return about | {"streamed_from": self.storage.identity()}

    def label_values(self) -> tuple[int, ...]:
        """The labels that occur, rising; read from the maps where the storage does not know them."""
        if not self.has_labels:
            return ()
        known = self.storage.known_label_values()
        values = {value for image in known for value in image} if known is not None else set()
        if known is None:
            for batch in self.batches():
                if batch.labels is not None:
                    values |= set(batch.labels[batch.labelled[LABELS]].unique().tolist())
        return tuple(sorted(values))

    def check_classes(self, classes: int, *, who: str) -> None:
        """InputError when there are no labels, a class occurs nowhere, or a label lies beyond the classes."""
        if not self.has_labels:
            raise InputError(f"{who} expects labels, these images have none")
        found = self.label_values()
        if found[-1] >= classes or found[0] < 0:
            raise InputError(f"{who} expects labels 0 to {classes - 1}, got {found[0]} to {found[-1]}; map them first")
        missing = [k for k in range(1, classes) if k not in found]
        if missing:
            raise InputError(
                f"{who}: class {missing[0]} occurs in none of the {len(self)} images, so nothing can be learnt about it; "
                "add images that hold it, or leave the class out"
            )

    def by_patient(self) -> dict[str, list[int]]:
        """Patient -> numbers of the images, patients in the order in which they first occur."""
        return _grouped(self.patient_ids)

    def by_case(self) -> dict[str, list[int]]:
        """Scan -> numbers of its images, in the order in which scans first occur."""
        return _grouped(self.case_ids)

    def of_patients(self, patients: Sequence[str]) -> ImageSet:
        """The images of some patients, in the order of this set; InputError for a patient who has none."""
        unknown = sorted(set(patients) - set(self.patient_ids))
        if unknown:
            raise InputError(f"the image set has no patient {unknown[0]!r}")
        wanted = set(patients)
        return self._subset([i for i, patient in enumerate(self.patient_ids) if patient in wanted])

    def split(
        self, *, fractions: tuple[float, float, float] = (0.7, 0.1, 0.2), seed: int = 0
    ) -> tuple[ImageSet | None, ImageSet | None, ImageSet | None]:
        """Training, validation and test images, by patient (`split_by_patient`); None for a part of fraction 0."""
        parts = split_by_patient(list(dict.fromkeys(self.patient_ids)), fractions=fractions, seed=seed)
        train, validation, test = (self.of_patients(part) if part else None for part in parts)
        return train, validation, test

    def with_labels(self, labels: Tensor | Sequence[Tensor | None] | None) -> ImageSet:
        """The same images in memory with other labels."""
        return self._like(self._held.with_labels(labels), range(len(self)))

    def with_targets(self, targets: Mapping[str, Sequence[Any]]) -> ImageSet:
        """The same images in memory with other further targets."""
        return self._like(self._held.with_targets(targets), range(len(self)))

    def to_memory(self) -> ImageSet:
        """The same set with all images in memory; itself if they are there already."""
        if self.in_memory:
            return self
        parts = [self.storage.read(range(k, min(k + _CHUNK, len(self)))) for k in range(0, len(self), _CHUNK)]
        return self._like(InMemory.joined(parts), range(len(self)))

    @classmethod
    def from_cases(
        cls,
        cases: Sequence[Case],
        *,
        slices: slice | None = None,
        labelled_only: bool = False,
        partly_labelled: bool = False,
    ) -> ImageSet:
        """All slices of some cases of one grid (or those of `slices`); `labelled_only` leaves out slices without any label.

        With `partly_labelled` some cases may be without labels; terms that need labels then learn from the others.
        """
        found = slices_of_cases(cases, slices, labelled_only=labelled_only, partly_labelled=partly_labelled)
        return cls(
            torch.stack(found.mu),
            found.patient_ids,
            found.labels,
            found.ids,
            case_ids=found.case_ids,
            targets=found.targets,
            spacing_mm=cases[0].spacing_mm[1:],
            label_names=found.label_names,
            mu_water_per_mm=cases[0].mu_water_per_mm,
        )

    @property
    def _held(self) -> InMemory:
        if not isinstance(self.storage, InMemory):
            raise InputError(
                "these images are streamed and not in memory as a whole; take(numbers) gives some of them, to_memory() all"
            )
        return self.storage

    def _subset(self, which: slice | Sequence[int] | Tensor) -> ImageSet:
        rows = range(len(self))[which] if isinstance(which, slice) else rows_of(which, len(self))
        if len(rows) == 0:
            raise InputError("ImageSet expects at least one image, got none; is a part of the split empty?")
        if isinstance(self.storage, InMemory):
            return self._like(self.storage.part(which if isinstance(which, slice) else rows), rows)
        return self._like(PartOf.of(self.storage, rows), rows)

    def _like(self, storage: ImageStorage, rows: Sequence[int]) -> ImageSet:
        """Images with the facts of this set and the names of its `rows`."""
        return ImageSet(
            storage,
            [self.patient_ids[i] for i in rows],
            ids=[self.ids[i] for i in rows],
            case_ids=[self.case_ids[i] for i in rows],
            spacing_mm=self.spacing_mm,
            label_names=self.label_names,
            mu_water_per_mm=self.mu_water_per_mm,
            mu_air_per_mm=self.mu_air_per_mm,
        )


def _map(pixels: Pixels, k: int) -> Tensor | None:
    """The label map of image k of those that were read."""
    if pixels.labels is None or (pixels.labelled is not None and not bool(pixels.labelled[k])):
        return None
    return pixels.labels[k]


def _grouped(names: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        found.setdefault(name, []).append(number)
    return found
