"""Batches of patients for a dose training: their noise-free scans, and what is known of them beforehand."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.seeds import derive_seed
from taskct.simulate.clean_scans import CleanScans
from taskct.systems.alara.learned.dose_objective import DoseBatch
from taskct.systems.alara.learned.prior import PriorInfo
from taskct.training.image_order import ImageOrder
from taskct.training.train_settings import TrainSettings


class PatientScans:
    """Noise-free scans grouped by patient, the same number of slices of each, with prior information taken once.

    `per_image` makes every image a patient of its own: data sets of single slices.
    """

    def __init__(self, scans: CleanScans, prior: PriorInfo, *, per_image: bool = False) -> None:
        images = scans.images
        groups: dict[str, list[int]] = {}
        for number, patient in enumerate(images.patient_ids):
            groups.setdefault(images.ids[number] if per_image else patient, []).append(number)
        sizes = {len(g) for g in groups.values()}
        if len(sizes) > 1:
            raise InputError(
                f"a dose is learnt from the same number of slices of every patient, got {min(sizes)} to {max(sizes)}; take "
                "slices of each evenly, or per_image=True for a dose of every slice"
            )
        self.scans, self.groups, self.slices = scans, list(groups.values()), sizes.pop()
        self.names = list(groups)
        cpu = torch.device("cpu")
        self.prior = torch.stack([
            prior.take(
                scans.take(torch.tensor(group), cpu).flatten(0, 1)[:, None],
                images.take(group).mu,
                scans.A,
                patient_id=name,
                items=[images.ids[i] for i in group],
            )
            for name, group in groups.items()
        ])  # fmt: skip
        self.full: Tensor | None = None  # (patients,) quality at full dose

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, patients: Tensor, device: torch.device, *, noise: int, step: int = 0) -> DoseBatch:
        """The batch of some patients."""
        images = self.scans.images
        numbers = torch.tensor([i for p in patients.tolist() for i in self.groups[p]])
        read = images.take(numbers)
        return DoseBatch(
            mu=read.mu.to(device),
            ids=read.ids,
            labels=read.labels.long().to(device) if read.labels is not None else None,
            step=step,
            clean=self.scans.take(numbers, device)[:, :1].reshape(len(numbers), 1, *self.scans.A.p_shape),
            prior=self.prior[patients].to(device),
            full=None if self.full is None else self.full[patients].to(device),
            slices=self.slices,
            noise=noise,
        )


class DoseSource:
    """Patients of each step, drawn from (seed, step) alone; `settings.batch` counts patients."""

    def __init__(
        self, patients: PatientScans, validation: PatientScans | None, settings: TrainSettings, device: torch.device
    ) -> None:
        self.patients, self.checks, self.settings, self.device = patients, validation, settings, device
        self.order = ImageOrder(len(patients), settings.batch, settings.seed)

    def batch(self, step: int) -> DoseBatch:
        """The patients of a step."""
        noise = derive_seed(self.settings.seed, "dose", step, 0)
        return self.patients.take(self.order.take(step), self.device, noise=noise, step=step)

    def validation(self) -> Iterator[DoseBatch]:
        """All validation patients, with noise that stays the same."""
        if self.checks is None:
            return
        size = max(self.settings.batch, 16)
        for first in range(0, len(self.checks), size):
            numbers = torch.arange(first, min(first + size, len(self.checks)))
            yield self.checks.take(numbers, self.device, noise=derive_seed(self.settings.seed, "dose validation", first))
