"""The batches of a training of reconstructions: low-dose scans of full-dose images, made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from taskct.core.seeds import generator
from taskct.simulate.clean_scans import CleanScans
from taskct.training.augment import Augment, augmented
from taskct.training.batch import Batch, truths_of
from taskct.training.doses import DoseRange, noisy_scans
from taskct.training.image_order import ImageOrder
from taskct.training.processes import rank, world
from taskct.training.read_ahead import ReadAhead
from taskct.training.train_settings import TrainSettings


class ScanSource:
    """Low-dose scans, made when they are asked for: the same ones for the same step, whichever process asks."""

    def __init__(
        self,
        scans: CleanScans,
        validation: CleanScans | None,
        doses: DoseRange,
        settings: TrainSettings,
        device: torch.device,
        *,
        augment: Augment | None = None,
        neighbours: int = 0,
        workers: int = 0,
    ) -> None:
        self.scans, self.checks, self.doses = scans, validation, doses
        self.settings, self.device, self.augment, self.neighbours = settings, device, augment, neighbours
        self.order = ImageOrder(len(scans), settings.batch, settings.seed)
        whole = neighbours if augment is not None or not scans.kept else 0  # kept scans need no neighbours
        self.ahead = ReadAhead(scans.images, self._numbers, neighbours=whole, workers=workers)

    def batch(self, step: int) -> Batch:
        """This process's share of the batch of a step."""
        seed, k = self.settings.seed, self.neighbours
        places = self._places()
        read = self.ahead.take(step)
        mu, labels = read.mu.to(self.device), read.labels.to(self.device) if read.labels is not None else None
        if self.augment is not None or not self.scans.kept:
            assert read.stack is not None
            stack = read.stack.to(self.device)  # (B, 2k + 1, ...)
            if self.augment is not None:
                stack, labels = augmented(self.augment, stack, labels, [generator(seed, "augment", step, i) for i in places])
                mu = stack[:, k : k + 1]
            p = self.scans.project(stack)
        else:
            p = self.scans.take(self._numbers(step), self.device, neighbours=k)
        photons = self.doses.draw_photons(self.settings.batch, generator(seed, "dose", step))[places.start : places.stop]
        streams = [generator(seed, "noise", step, i, device=self.device) for i in places]
        noisy = noisy_scans(p, photons, streams, electronic_std=self.doses.full.electronic_std)
        truths = truths_of(read, self.device, moved=self.augment is not None)
        return Batch(mu=mu, labels=labels, p=noisy, ids=read.ids, step=step, **truths)

    def validation(self) -> Iterator[Batch]:
        """Validation images in order, in the middle of the dose range, with noise that stays the same."""
        if self.checks is None:
            return
        images, size, k = self.checks.images, self.settings.batch, self.neighbours
        photons = self.doses.middle.used_photons
        for first in range(0, len(images), size):
            numbers = torch.arange(first, min(first + size, len(images)))
            read = images.take(numbers, neighbours=0 if self.checks.kept else k)
            streams = [generator(self.settings.seed, "validation", i, device=self.device) for i in read.ids]
            if self.checks.kept:
                clean = self.checks.take(numbers, self.device, neighbours=k)
            else:
                assert read.stack is not None
                clean = self.checks.project(read.stack.to(self.device))
            p = noisy_scans(
                clean, torch.full((len(numbers),), photons), streams, electronic_std=self.doses.full.electronic_std
            )
            labels = read.labels.to(self.device) if read.labels is not None else None
            yield Batch(mu=read.mu.to(self.device), labels=labels, p=p, ids=read.ids, **truths_of(read, self.device))

    def _places(self) -> range:
        """This process's places in a batch."""
        share = self.settings.batch // world()
        return range(rank() * share, (rank() + 1) * share)

    def _numbers(self, step: int) -> Tensor:
        places = self._places()
        return self.order.take(step)[places.start : places.stop]
