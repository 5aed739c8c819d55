"""Full-dose images to learn from, and their clean projections, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError, ResourceError, UnitsError
from taskct.core.progress import track
from taskct.core.units import check_mu, to_mu
from taskct.data.case import Case
from taskct.data.splits import check_split
from taskct.phantoms.cohort import CohortSlices
from taskct.physics.projector import Projector
from taskct.simulate.scan import finer_projection

CACHE_GIB = 4.0  # clean projections kept in memory
_CHUNK = 16  # images projected at a time


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images to train on: `mu` (N, 1, ...) float32 in 1/mm, whose patient each is, and labels (N, ...) if there are any.

    Labels are whole numbers on the samples of mu, kept as given (uint8 saves memory). Raises GeometryError for labels on
    another grid, UnitsError for HU or NaN, InputError for an empty set or lists of other lengths.
    """

    mu: Tensor
    patient_ids: tuple[str, ...]
    labels: Tensor | None = None
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        mu = self.mu
        if mu.ndim not in (4, 5) or mu.shape[1] != 1 or mu.dtype != torch.float32:
            raise GeometryError(
                f"ImageSet expects mu as float32 (N, 1, Y, X) or (N, 1, Z, Y, X), got {mu.dtype} {tuple(mu.shape)}"
            )
        if len(mu) == 0:
            raise InputError("ImageSet expects at least one image, got none; is a part of the split empty?")
        object.__setattr__(self, "patient_ids", tuple(self.patient_ids))
        object.__setattr__(self, "ids", tuple(self.ids) or tuple(f"image-{i}" for i in range(len(mu))))
        for name, names in (("patient_ids", self.patient_ids), ("ids", self.ids)):
            if len(names) != len(mu):
                raise InputError(f"ImageSet expects {name} for each of the {len(mu)} images, got {len(names)}")
        for number, image in enumerate(mu):
            try:
                check_mu(image, who="ImageSet")
            except UnitsError as error:
                raise UnitsError(f"{self.ids[number]}: {error}") from error
        if self.labels is not None:
            if tuple(self.labels.shape) != (len(mu), *mu.shape[2:]):
                raise GeometryError(
                    f"ImageSet expects labels on the grid of its images {(len(mu), *mu.shape[2:])}, got "
                    f"{tuple(self.labels.shape)}; resample them (open_case(..., resample_labels=True))"
                )
            if self.labels.is_floating_point():
                raise InputError(f"ImageSet expects labels as whole numbers, got {self.labels.dtype}")

    def __len__(self) -> int:
        return len(self.mu)

    def __getitem__(self, part: slice) -> ImageSet:
        """Some of the images, in their order; a view, nothing is copied."""
        labels = None if self.labels is None else self.labels[part]
        return ImageSet(self.mu[part], self.patient_ids[part], labels, self.ids[part])

    @classmethod
    def from_cases(cls, cases: Sequence[Case], *, slices: slice | None = None, labelled_only: bool = False) -> ImageSet:
        """All slices of some cases of one grid (or those of `slices`); `labelled_only` leaves out slices without any label."""
        shapes = {(tuple(c.hu.shape[1:]), tuple(round(s, 4) for s in c.spacing_mm[1:])) for c in cases}
        if len(shapes) > 1:
            raise GeometryError(f"ImageSet expects cases of one slice grid, got {sorted(shapes)}; resample them first")
        unlabelled = [c.case_id for c in cases if c.labels is None]
        if unlabelled and len(unlabelled) < len(cases):
            raise InputError(f"{unlabelled[0]}: has no labels, other cases do; give all of them labels or none")
        mu, labels, patients, ids = [], [], [], []
        for case in cases:
            part = case.take(slices) if slices is not None else case
            images = part.mu
            for k in range(len(images)):
                if labelled_only and part.labels is not None and not bool((part.labels[k] > 0).any()):
                    continue
                mu.append(images[k])
                patients.append(case.patient_id)
                ids.append(f"{case.case_id}-s{range(len(case.hu))[slices or slice(None)][k]:03d}")
                if part.labels is not None:
                    labels.append(part.labels[k])
        if not mu:
            raise InputError("ImageSet found no slice in the cases; are they empty, or without any label?")
        return cls(torch.stack(mu), tuple(patients), torch.stack(labels) if labels else None, tuple(ids))

    @classmethod
    def from_slices(cls, slices: CohortSlices, *, show: bool | None = None) -> ImageSet:
        """The slices of a part of the built-in cohort."""
        items = [slices[i] for i in track(range(len(slices)), f"making {slices.part} patients", show=show)]
        mu = torch.stack([to_mu(hu).clamp_min(0) for hu, _, _ in items])
        labels = torch.stack([labels for _, labels, _ in items]).to(torch.uint8)
        return cls(mu, tuple(slices.patient_ids), labels, tuple(name for _, _, name in items))

    def beside(self, numbers: Tensor, neighbours: int) -> Tensor:
        """Numbers of the images and of their neighbours: (B,) -> (B, 2 neighbours + 1).

        Images of one patient stand together in the order of their slices; at its ends the last one is repeated.
        """
        if not neighbours:
            return numbers[:, None]
        rows = []
        for number in numbers.tolist():
            row = [number]
            for step in (-1, 1):
                at = number
                for _ in range(neighbours):
                    moved = at + step
                    if 0 <= moved < len(self) and self.patient_ids[moved] == self.patient_ids[number]:
                        at = moved
                    row.insert(0, at) if step < 0 else row.append(at)
            rows.append(row)
        return torch.tensor(rows)

    def check_classes(self, classes: int, *, who: str) -> None:
        """InputError when there are no labels, a class occurs nowhere, or a label lies beyond the classes."""
        if self.labels is None:
            raise InputError(f"{who} expects labels, these images have none")
        found = self.labels.unique().tolist()
        if found[-1] >= classes or found[0] < 0:
            raise InputError(f"{who} expects labels 0 to {classes - 1}, got {found[0]} to {found[-1]}; map them first")
        missing = [k for k in range(1, classes) if k not in found]
        if missing:
            raise InputError(
                f"{who}: class {missing[0]} occurs in none of the {len(self)} images, so nothing can be learnt about it; "
                "add images that hold it, or leave the class out"
            )


class CleanScans:
    """Noise-free projections of an image set through A, computed once when they fit into memory.

    With `refine` > 1 the images are projected on a grid that many times finer, as measured data know no pixels.
    """

    def __init__(
        self,
        images: ImageSet,
        A: Projector,
        *,
        refine: int = 2,
        cache_gib: float = CACHE_GIB,
        show: bool | None = None,
    ) -> None:
        if tuple(images.mu.shape[2:]) != A.mu_shape:
            raise GeometryError(
                f"the projector expects images of shape {A.mu_shape}, got {tuple(images.mu.shape[2:])}; "
                "build it from the grid of the images"
            )
        self.images, self.A = images, A
        self._project = finer_projection(A, A.grid.refined(refine) if refine > 1 else None)
        size = len(images) * 4
        for n in A.p_shape:
            size *= n
        self._kept: Tensor | None = None
        if size <= cache_gib * 2**30:
            try:
                self._kept = torch.empty((len(images), 1, *A.p_shape))
            except RuntimeError as error:
                raise ResourceError(
                    f"no memory for {size / 2**30:.1f} GiB of clean projections; lower cache_gib to project in every step"
                ) from error
            for first in track(range(0, len(images), _CHUNK), "projecting", show=show):
                part = slice(first, first + _CHUNK)
                with torch.no_grad():
                    self._kept[part] = self._project(images.mu[part])

    def __len__(self) -> int:
        return len(self.images)

    def take(self, numbers: Tensor, device: torch.device, *, neighbours: int = 0) -> Tensor:
        """Clean p of some images and their neighbours: (B,) -> (B, 2 neighbours + 1, *A.p_shape) on `device`."""
        beside = self.images.beside(numbers, neighbours)
        if self._kept is not None:
            return self._kept[beside, 0].to(device)
        with torch.no_grad():
            return self._project(self.images.mu[beside, 0].to(device))

    def project(self, mu: Tensor) -> Tensor:
        """Clean p of other images (augmented ones) through the same projection."""
        with torch.no_grad():
            return self._project(mu)


def refuse_leaks(training: ImageSet, validation: ImageSet | None, held_out: Sequence[str] = ()) -> None:
    """InputError when a patient of the training set is also in validation or among those held out for the test."""
    check_split(training.patient_ids, validation.patient_ids if validation is not None else (), tuple(held_out))
