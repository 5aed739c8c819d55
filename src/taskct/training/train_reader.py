"""`train_reader`: a segmentation reader learns from full-dose images, or from what a reconstruction shows it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from taskct.core.class_names import refuse_other_order
from taskct.core.errors import GeometryError
from taskct.core.runs import Run
from taskct.core.seeds import generator
from taskct.data.images import ImageSet
from taskct.data.leaks import refuse_leaks
from taskct.data.samples import ImageBatch
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import check_units
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import neighbours_of
from taskct.simulate.clean_scans import CACHE_GIB, CleanScans
from taskct.task import DiceCE, FrozenTask
from taskct.task.penalties import soft_dice
from taskct.task.prepare import check_water
from taskct.task.readers import ReaderSpec, as_task, make_reader, reader_weights, reader_window
from taskct.task.sliding import SlidingWindow
from taskct.training.augment import Augmentation, augmented
from taskct.training.batch import Batch, truths_of
from taskct.training.begin import begin_with, open_training, to_channels_last
from taskct.training.doses import DoseRange, as_dose_range
from taskct.training.image_order import ImageOrder
from taskct.training.loop import fit
from taskct.training.objective import Objective
from taskct.training.players import Player
from taskct.training.processes import rank, world
from taskct.training.read_ahead import ReadAhead
from taskct.training.scan_source import ScanSource
from taskct.training.terms import AnswerPenalty
from taskct.training.train_settings import TrainSettings, check_train_settings

READER = "reader"  # the task that a reader answers


def train_reader(
    spec: ReaderSpec,
    data: ImageSet,
    *,
    run: Run | str | os.PathLike[str],
    settings: TrainSettings,
    validation: ImageSet | None = None,
    held_out: Sequence[str] = (),
    augment: Augmentation | None = None,
    through: tuple[Reconstructor, Projector, Dose | DoseRange] | None = None,
    warm_start: Run | str | os.PathLike[str] | None = None,
    net: nn.Module | None = None,
    refine: int = 2,
    cache_gib: float = CACHE_GIB,
    progress: bool | None = None,
    tensorboard: bool = False,
) -> FrozenTask:
    """Train the reader of `spec` by DiceCE on labelled images; returns it frozen, and `load_reader(run)` gives it back.

    The seed of the `settings` also draws the first weights. `augment` defaults to `Augmentation()`.
    With `through` = (reconstruct, A, dose) it reads reconstructions of low-dose scans, with fresh noise in every step,
    instead of the full-dose images: the reader that knows a method's images, and the bound of what they hold
    (`warm_start` from the full-dose reader).
    A spec with `dims` 3 reads volumes; with a `patch` it learns on pieces of them, every other one about a voxel of a
    class drawn at random, and is validated on whole volumes in windows.
    `net` replaces the spec's network by your own; the run then gives its weights only (`as_task(net, spec, name)`).

    Raises InputError for images without labels, or with labels that are numbered otherwise than the classes of the spec, for
    classes that occur nowhere, and for patients in two parts; UnitsError where the spec takes another attenuation for water.
    """
    check_train_settings(settings, who="train_reader")
    refuse_leaks(data, validation, held_out)
    who = f"reader {spec.net!r}"
    if len(data.shape) != spec.dims:
        raise GeometryError(f"{who} of {spec.dims} dimensions expects images with as many axes, got {data.shape}")
    for part, whose in ((data, who), (validation, f"{who}, validation")):
        if part is not None:
            part.check_classes(len(spec.classes), who=whose)
            refuse_other_order(dict(enumerate(spec.classes)), part.label_names, who=whose)
            check_water(reader_window(spec), part.mu_water_per_mm, who=whose)
    config = {
        "reader": spec,
        "training": settings,
        "augmentation": augment or Augmentation(),
        "data": data.facts(),
        **({"grid": {"spacing_mm": list(data.spacing_mm)}} if data.spacing_mm else {}),
        "reads": "full dose" if through is None else "reconstructions",
    }
    folder = open_training(run, config)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        net = net or make_reader(spec)
    if warm_start is not None:
        begin_with(net, warm_start)
    to_channels_last(net)
    device = next(net.parameters()).device
    scans = None
    if through is not None:
        reconstruct, A, dose = through
        check_units(reconstruct, data.mu_water_per_mm, who=f"{who}'s images")
        made = [
            CleanScans(d, A, refine=refine, cache_gib=cache_gib, progress=progress)
            for d in (data, validation)
            if d is not None
        ]
        beside = neighbours_of(reconstruct)
        source = ScanSource(
            made[0], made[1] if len(made) > 1 else None, as_dose_range(dose), settings, device, neighbours=beside
        )
        scans = (source, reconstruct, A)
    images = ReaderSource(data, validation, settings, device, augment=augment or Augmentation(), scans=scans, patch=spec.patch)
    window, names = reader_window(spec), spec.classes

    def answer(module: nn.Module, batch: Batch) -> Batch:
        whole = module if spec.patch is None else SlidingWindow(module, spec.patch)
        return batch.with_answers({READER: whole(window(batch.mu))})

    def dice(batch: Batch) -> dict[str, float]:
        answers = nn.functional.one_hot(batch.answers[READER].argmax(1), len(names)).movedim(-1, 1).float()
        scores, occurs = soft_dice(answers, batch.target(READER))
        return {f"dice_{n}": float(scores[k]) for k, n in enumerate(names) if k and bool(occurs[k])}

    objective = Objective({"dice_ce": (1.0, AnswerPenalty(DiceCE(weights=spec.class_weights), task=READER))}).to(device)
    fit(Player(net, objective, answer), images, folder, settings, measure=dice, progress=progress, tensorboard=tensorboard)
    return as_task(net, spec, folder.folder.name, spacing_mm=data.spacing_mm or ())


class ReaderSource:
    """Labelled images, augmented; full dose, or as a reconstruction shows them."""

    def __init__(
        self,
        data: ImageSet,
        validation: ImageSet | None,
        settings: TrainSettings,
        device: torch.device,
        *,
        augment: Augmentation,
        scans: tuple[ScanSource, Reconstructor, Projector] | None = None,
        patch: tuple[int, ...] | None = None,
        workers: int = 0,
    ) -> None:
        self.data, self.checks, self.settings, self.device = data, validation, settings, device
        self.augment, self.scans, self.patch = augment, scans, patch
        self.order = ImageOrder(len(data), settings.batch, settings.seed)
        self.ahead = ReadAhead(data, self._numbers, workers=workers)

    def batch(self, step: int) -> Batch:
        """This process's share of the batch of a step."""
        if self.scans is None:
            batch = self._full_dose(self.ahead.take(step), step, moved=True)
        else:
            batch = self._reconstructed(self.scans[0].batch(step))
        streams = [generator(self.settings.seed, "augment", step, k) for k in self._places()]
        mu, labels = augmented(self.augment, batch.mu, batch.labels, streams)
        if self.patch is not None:
            assert labels is not None
            pieces = [cut_patch(mu[k], labels[k], self.patch, stream) for k, stream in enumerate(streams)]
            mu, labels = torch.stack([piece for piece, _ in pieces]), torch.stack([piece for _, piece in pieces])
        return replace(batch, mu=mu, labels=labels)

    def validation(self) -> Iterator[Batch]:
        """Validation images as they are."""
        if self.checks is None:
            return
        if self.scans is not None:
            yield from (self._reconstructed(batch) for batch in self.scans[0].validation())
            return
        yield from (self._full_dose(read) for read in self.checks.batches(self.settings.batch))

    def _reconstructed(self, batch: Batch) -> Batch:
        assert self.scans is not None and batch.p is not None
        _, reconstruct, A = self.scans
        with torch.no_grad():
            return replace(batch, mu=reconstruct(batch.p, A), p=None)

    def _full_dose(self, read: ImageBatch, step: int = 0, *, moved: bool = False) -> Batch:
        labels = read.labels if read.labels is not None else torch.zeros_like(read.mu[:, 0], dtype=torch.uint8)
        truths = truths_of(read, self.device, moved=moved)
        return Batch(mu=read.mu.to(self.device), labels=labels.to(self.device), ids=read.ids, step=step, **truths)

    def _places(self) -> range:
        """This process's places in a batch."""
        share = self.settings.batch // world()
        return range(rank() * share, (rank() + 1) * share)

    def _numbers(self, step: int) -> Tensor:
        places = self._places()
        return self.order.take(step)[places.start : places.stop]


def cut_patch(mu: Tensor, labels: Tensor, patch: Sequence[int], stream: torch.Generator) -> tuple[Tensor, Tensor]:
    """A piece of an image (1, ...) and of its labels (...): anywhere, or about a sample of a class drawn at random.

    An image smaller than the patch is given whole along that axis.
    """
    draw = lambda n: int(torch.randint(n, (), generator=stream, device=stream.device))
    room = [max(0, n - p) for n, p in zip(labels.shape, patch, strict=True)]
    start = [draw(r + 1) for r in room]
    classes = labels.unique()
    classes = classes[classes > 0]
    if len(classes) and draw(2):
        places = (labels == classes[draw(len(classes))]).nonzero()
        at = places[draw(len(places))].tolist()
        start = [min(max(0, a - p // 2), r) for a, p, r in zip(at, patch, room, strict=True)]
    for axis, (first, wanted) in enumerate(zip(start, patch, strict=True)):
        size = min(wanted, labels.shape[axis])
        mu, labels = mu.narrow(axis + 1, first, size), labels.narrow(axis, first, size)
    return mu, labels


def retrained(
    reader: FrozenTask | None,
    spec: ReaderSpec,
    data: ImageSet,
    *,
    run: Run | str | os.PathLike[str],
    through: tuple[Reconstructor, Projector, Dose | DoseRange],
    settings: TrainSettings,
    validation: ImageSet | None = None,
    refine: int = 2,
    progress: bool | None = None,
) -> FrozenTask:
    """A reader trained further on a method's own images, from the weights of `reader` (None: from scratch)."""
    net = make_reader(spec)
    if reader is not None:
        net.load_state_dict(reader_weights(reader))
    return train_reader(
        spec,
        data,
        run=run,
        settings=settings,
        validation=validation,
        through=through,
        net=net,
        refine=refine,
        progress=progress,
    )
