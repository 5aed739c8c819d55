"""Batches of images with marks: balanced, augmented, with a target for each head and what is not labelled said so."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.seeds import generator
from taskct.data.images import ImageSet
from taskct.data.marks import Classes, Marks
from taskct.training.augment import Augmentation
from taskct.training.batch import Batch
from taskct.training.processes import rank, world
from taskct.training.train_settings import TrainSettings
from taskct.training.truths import Truth, targets_of


class MarkedSource:
    """Batches of a training of several heads; `batch.image` is what the network sees, `batch.mu` the full-dose truth.

    data, validation  images in memory with marks
    truths            head -> what it should say (`ClassMapTruth`, `BoxesTruth`, `FindingsTruth`, `ImageTruth`)
    balance           classes of which images are drawn as often as images of any kind: with two classes a third of each batch
                      shows the first, a third the second, and a third is drawn from all images, negatives included
    shown             what the network sees in place of mu: (N, doses, Y, X) in 1/mm, one of the doses drawn for each image;
                      `shown_validation` the same for the validation images, of which the middle dose is taken
    neighbours        images of the same scan before and behind that are shown as further channels

    Raises InputError for images without marks, GeometryError for `shown` of another shape.
    """

    def __init__(
        self,
        data: ImageSet,
        validation: ImageSet | None,
        settings: TrainSettings,
        device: torch.device,
        *,
        truths: Mapping[str, Truth],
        balance: Classes | None = None,
        augment: Augmentation | None = None,
        neighbours: int = 0,
        shown: Tensor | None = None,
        shown_validation: Tensor | None = None,
    ) -> None:
        for part, images, pixels in (("training", data, shown), ("validation", validation, shown_validation)):
            if images is None:
                continue
            if not images.has_marks:
                raise InputError(f"the {part} images carry no marks; see ImageSet.with_marks and Cohort.images(marks=True)")
            if pixels is not None and (pixels.shape[0], *pixels.shape[2:]) != (len(images), *images.shape):
                raise GeometryError(
                    f"shown {part} images expect shape ({len(images)}, doses, {', '.join(map(str, images.shape))}), got "
                    f"{tuple(pixels.shape)}"
                )
        self.data, self.checks, self.settings, self.device = data, validation, settings, device
        self.truths, self.augment, self.neighbours = dict(truths), augment, neighbours
        self.shown, self.shown_validation = shown, shown_validation
        self.pools = [np.arange(len(data)), *_pools(data.marks, balance or {})]

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of a step."""
        share = self.settings.batch // world()
        places = range(rank() * share, (rank() + 1) * share)
        draw = np.random.default_rng(generator(self.settings.seed, "places", step).initial_seed())
        pools = [self.pools[k % len(self.pools)] for k in range(self.settings.batch)]
        numbers = [int(pool[draw.integers(len(pool))]) for pool in pools][places.start : places.stop]
        image, mu, marks = self._read(self.data, self.shown, numbers, draw)
        if self.augment is not None:
            streams = [generator(self.settings.seed, "augment", step, k) for k in places]
            image, mu, marks = moved_together(self.augment, image, mu, marks, streams)
        return self._batch(image, mu, marks, tuple(self.data.ids[i] for i in numbers), step)

    def validation(self) -> Iterator[Batch]:
        """Validation images in order, as they are."""
        if self.checks is None:
            return
        for first in range(0, len(self.checks), self.settings.batch):
            numbers = list(range(first, min(first + self.settings.batch, len(self.checks))))
            read = self._read(self.checks, self.shown_validation, numbers, None)
            yield self._batch(*read, tuple(self.checks.ids[i] for i in numbers))

    def _read(
        self, images: ImageSet, shown: Tensor | None, numbers: Sequence[int], draw: np.random.Generator | None
    ) -> tuple[Tensor, Tensor, list[Marks | None]]:
        """What is shown (B, C, ...), the truth (B, 1, ...) and marks."""
        read = images.take(numbers, neighbours=self.neighbours if shown is None else 0)
        if shown is None:
            assert read.stack is not None
            return read.stack, read.mu, read.marks
        doses = shown.shape[1]
        picks = [doses // 2 if draw is None else int(draw.integers(doses)) for _ in numbers]
        beside = images.beside(numbers, self.neighbours)
        return torch.stack([shown[row, k] for row, k in zip(beside, picks, strict=True)]).float(), read.mu, read.marks

    def _batch(self, image: Tensor, mu: Tensor, marks: Sequence[Marks | None], ids: tuple[str, ...], step: int = 0) -> Batch:
        mu = mu.to(self.device)
        targets, labelled = targets_of(self.truths, marks, mu, self.device)
        return Batch(mu=mu, ids=ids, mu_hat=image.to(self.device), step=step, targets=targets, labelled=labelled)


def moved_together(
    augment: Augmentation, image: Tensor, mu: Tensor, marks: Sequence[Marks | None], streams: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor, list[Marks | None]]:
    """Images (B, C, ...), their truth (B, 1, ...) and their marks, each moved by one draw of its generator.

    Noise and blur of the augmentation are in what is shown; the truth only moves and changes its brightness along with it.
    """
    images, truths, found = [], [], []
    for k, stream in enumerate(streams):
        one, state = marks[k], stream.get_state()
        labels = None if one is None else one.instances[None]
        moved, labels = augment(image[k : k + 1], labels, stream)
        stream.set_state(state)
        truth, grid = augment.moved(mu[k : k + 1], stream)
        truths.append(truth)
        images.append(moved)
        found.append(None if one is None or labels is None else _none_lost(one, one.with_map(labels[0]), grid[0]))
    return torch.cat(images), torch.cat(truths), found


def _none_lost(marks: Marks, moved: Marks, grid: Tensor) -> Marks:
    """Moved marks of which none is lost that the image still shows: small lesions lie between its samples."""
    before, after = marks.instances, moved.instances
    for number in sorted(set(marks.shown) - set(moved.shown)):
        middle = (before == number).nonzero().double().mean(0)
        sides = torch.tensor(before.shape, dtype=torch.float64)
        places = ((grid.flip(-1).double().cpu() + 1) * sides - 1) / 2  # in samples of the map before
        away = (places - middle.cpu()).square().sum(-1)
        at = tuple(int(k) for k in np.unravel_index(int(away.argmin()), tuple(after.shape)))
        if away[at] <= 1 and int((after == after[at]).sum()) > 1:  # farther from every sample, it left the image
            after[at] = number
    return moved


def _pools(marks: Sequence[Marks | None], balance: Classes) -> list[np.ndarray]:
    """For each class the numbers of the images that show it; classes that none shows are left out."""
    if not balance:
        return []
    present = np.array([_known(one, balance) for one in marks])
    return [pool for k in range(len(balance)) if len(pool := np.flatnonzero(present[:, k] == 1))]


def _known(marks: Marks | None, classes: Collection[str] | Classes) -> list[float]:
    return [float("nan")] * len(classes) if marks is None else marks.presence(classes).tolist()  # type: ignore[arg-type]
