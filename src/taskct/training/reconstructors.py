"""`train`: a reconstruction learns from simulated low-dose scans of full-dose images."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run, is_run, load_run
from taskct.core.seeds import generator
from taskct.core.units import to_hu_unchecked
from taskct.data.images import ImageSet
from taskct.data.leaks import refuse_leaks
from taskct.data.marks import MARKS
from taskct.data.samples import ImageBatch
from taskct.geometry.beam_config import beam_to_config
from taskct.nets.weights import load_weights
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.simulate.clean_scans import CACHE_GIB, CleanScans
from taskct.training.batch import Batch, Term
from taskct.training.doses import DoseRange, as_dose_range, noisy_scans
from taskct.training.loop import Trained, fit
from taskct.training.objective import Objective, as_objective
from taskct.training.players import WEIGHTS, Player, check_players
from taskct.training.processes import rank, wait_for_all, world
from taskct.training.read_ahead import ReadAhead
from taskct.training.schedules import Weight
from taskct.training.train_settings import TrainSettings, check_train_settings

Augmentation = Callable[[Tensor, Tensor | None, torch.Generator], tuple[Tensor, Tensor | None]]


_WORSE = 1.01  # times the error of filtered back-projection


def train(
    model: nn.Module,
    data: ImageSet | CleanScans,
    *,
    objective: Objective | Mapping[str, tuple[Weight, Term]],
    A: Projector,
    dose: Dose | DoseRange,
    run: Run | str | os.PathLike[str],
    settings: TrainSettings,
    validation: ImageSet | CleanScans | None = None,
    held_out: Sequence[str] = (),
    warm_start: Run | str | os.PathLike[str] | None = None,
    augment: Augmentation | None = None,
    others: Sequence[Player] = (),
    refine: int = 2,
    cache_gib: float = CACHE_GIB,
    workers: int = 0,
    config: Mapping[str, Any] | None = None,
    channels_last: bool = True,
    progress: bool | None = None,
    tensorboard: bool = False,
) -> Trained:
    """Train `model`, a module `(p, A) -> mu`, to make low-dose scans of `data` good by `objective`.

    Each step draws images, gives each a dose from `dose` (one, or a `DoseRange`) and fresh noise, reconstructs and descends.
    Model and data may be on a GPU: batches follow the model.

    model                a network that sees neighbouring slices says so by `neighbours`, and gets p with 2 neighbours + 1
                         channels: images of a patient stand together, in the order of their slices
    data, validation     images with labels if a term needs them, or their `CleanScans`, which several trainings can share;
                         `refine` and `cache_gib` say how clean scans are made
    workers              processes that read the images of a streamed set ahead; 0: two threads of this process
    held_out             patients of the test set: training refuses to see them
    run                  a folder: a new one, or one that was stopped and is resumed. The end is bit-equal on a CPU
    settings             `TrainSettings(steps=2000)`: steps, batch, learning rate, validation, seed and so on
    warm_start           a run whose weights the model begins with
    augment              (mu, labels, generator) -> the same, other images; they are then projected in every step
    others               players that learn in each step after the model, from what it made: `discriminator_player`
    config               more to be written into the run's config, such as how the model was made

    Under `torchrun` the processes share each batch. The model ends with its best (or last) weights, in evaluation mode.

    Raises InputError for patients in two parts and for missing labels, GeometryError for images on another grid than A's,
    ConfigError for a run that began with other settings, DataError when losses stay infinite.
    """
    check_train_settings(settings, who="train")
    objective = as_objective(objective)
    doses = as_dose_range(dose)
    images = data.images if isinstance(data, CleanScans) else data
    seen = validation.images if isinstance(validation, CleanScans) else validation
    refuse_leaks(images, seen, held_out)
    for part, name in ((images, "training"), (seen, "validation")):
        if part is not None and objective.needs_labels:
            _check_labels(part, name)
    if settings.batch % world():
        raise ConfigError(
            f"{world()} processes share a batch evenly, got batch={settings.batch}; take a multiple of {world()}"
        )
    answer = lambda module, batch: batch.with_image(module(batch.p, A))
    players = [Player(model, objective, answer), *others]
    check_players(players)
    as_scans = lambda part: part if isinstance(part, CleanScans) else CleanScans(
        part, A, refine=refine, cache_gib=0 if augment and part is images else cache_gib, progress=progress
    )  # fmt: skip
    facts = {
        "training": settings,
        "dose": {"photons": doses.full.photons, "lowest": doses.lowest, "highest": doses.highest,
                 "electronic_std": doses.full.electronic_std},
        "beam": beam_to_config(A.beam),
        "grid": {"shape": list(A.grid.shape), "spacing_mm": list(A.grid.spacing_mm)},
        "data": {**images.facts(), "validation_images": len(seen) if seen is not None else 0, "refine": refine},
        **(config or {}),
    }  # fmt: skip
    folder = open_training(run, facts)
    if warm_start is not None:
        begin_with(model, warm_start)
    if channels_last:
        to_channels_last(model)
        to_channels_last(objective)
    device = next(model.parameters()).device
    objective.to(device)
    for player in others:
        player.to(device)
    source = ScanSource(
        as_scans(data),
        as_scans(validation) if validation is not None else None,
        doses,
        settings,
        device,
        augment=augment,
        neighbours=int(getattr(model, "neighbours", 0)),
        workers=workers,
    )
    done = fit(
        players,
        source,
        folder,
        settings,
        measure=_measure,
        progress=progress,
        tensorboard=tensorboard,
    )
    return replace(done, remark=_beside_fbp(done.run, source, A))


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
        augment: Augmentation | None = None,
        neighbours: int = 0,
        workers: int = 0,
    ) -> None:
        self.scans, self.checks, self.doses = scans, validation, doses
        self.settings, self.device, self.augment, self.neighbours = settings, device, augment, neighbours
        self.order = Order(len(scans), settings.batch, settings.seed)
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


class Order:
    """Which images a step takes: each once in a random order, then again in another."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, batch, seed
        self._epoch, self._order = -1, torch.empty(0)

    def take(self, step: int) -> Tensor:
        """(batch,) numbers of images.

        >>> order = Order(3, 2, seed=0)
        >>> sorted(torch.cat([order.take(0), order.take(1), order.take(2)]).tolist())
        [0, 0, 1, 1, 2, 2]
        """
        numbers = []
        for place in range(step * self.batch, (step + 1) * self.batch):
            epoch, rest = divmod(place, self.count)
            if epoch != self._epoch:
                self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator(self.seed, "order", epoch))
            numbers.append(self._order[rest])
        return torch.stack(numbers)


def augmented(
    augment: Augmentation, mu: Tensor, labels: Tensor | None, streams: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor | None]:
    """Each image of a batch augmented with a generator of its own."""
    pairs = [
        augment(mu[k : k + 1], labels[k : k + 1] if labels is not None else None, stream) for k, stream in enumerate(streams)
    ]
    found = [one for _, one in pairs if one is not None]
    return torch.cat([image for image, _ in pairs]), torch.cat(found) if found else None


def truths_of(read: ImageBatch, device: torch.device, *, moved: bool = False) -> dict[str, Any]:
    """Targets and masks of a batch for `Batch(...)`. With `moved` images, InputError for targets that would have to move too.

    Marks are left to those who derive targets from them.
    A number or a finding of an image stays what it is when the image moves; anything larger may be a place in it.
    """
    known = {name: values for name, values in read.targets.items() if name != MARKS}
    for name, values in known.items():
        if moved and not (isinstance(values, Tensor) and values.ndim == 1) and bool(read.labelled[name].any()):
            raise InputError(
                f"target {name!r} may be a place in the image, which augmentation would move without it; train with images as "
                "they are, or derive the target from the label map in a term"
            )
    to_device = lambda value: value.to(device) if isinstance(value, Tensor) else value
    masks = {name: mask.to(device) for name, mask in read.labelled.items() if not bool(mask.all())}
    masks.pop(MARKS, None)
    return {"targets": {name: to_device(values) for name, values in known.items()}, "labelled": masks}


def open_training(run: Run | str | os.PathLike[str], config: Mapping[str, Any]) -> Run:
    """The run to write: one that is given or exists, else a new folder with `config`."""
    if isinstance(run, Run):
        return run
    if rank() == 0 and not is_run(run):
        Run.create(run, _plain(config))
    wait_for_all()
    return load_run(run)


def begin_with(model: nn.Module, warm_start: Run | str | os.PathLike[str]) -> None:
    """Give a model the weights of a finished run."""
    run = warm_start if isinstance(warm_start, Run) else load_run(warm_start)
    if not run.path(WEIGHTS).exists():
        raise InputError(f"{run.folder}: holds no weights yet ({WEIGHTS}); let its training end first")
    load_weights(model, run.load_tensors(WEIGHTS)[0], what=str(Path(run.folder)))


def to_channels_last(module: nn.Module) -> None:
    """2D convolutions in the memory order that CPUs and GPUs are fastest with; 3D networks are left as they are."""
    if all(p.ndim < 5 for p in module.parameters()):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _check_labels(part: ImageSet, name: str) -> None:
    if not part.has_labels:
        raise InputError(f"the objective needs labels, the {name} images have none; use FeaturePenalty or TeacherPenalty")
    if not any(value > 0 for value in part.label_values()):
        raise InputError(
            f"the objective needs labels, but those of the {name} images are all background; are they the right ones?"
        )


def _measure(batch: Batch) -> dict[str, float]:
    """RMS error in HU and PSNR of a window of 2000 HU, mean over images, clipped to it."""
    truth, image = (to_hu_unchecked(x.float()).clamp(-1000, 1000) for x in (batch.mu, batch.image))
    square = (image - truth).square().flatten(1).mean(1)
    psnr = 10 * (2 * math.log10(2000.0) - square.clamp_min(1e-12).log10())
    return {"rmse_hu": float(square.sqrt().mean()), "psnr_2000hu": float(psnr.mean())}


def _beside_fbp(run: Run, source: ScanSource, A: Projector) -> str:
    """A remark where the weights that are kept leave a larger error on validation than plain filtered back-projection."""
    lines = [line for line in run.metrics() if line.get("kind") == "validation" and line.get("rmse_hu") is not None]
    if not lines or source.checks is None:
        return ""
    keeps_best = run.config.get("training", {}).get("keep", "best") == "best"
    ours = (min(lines, key=lambda line: line["total"]) if keeps_best else lines[-1])["rmse_hu"]
    sums, count = 0.0, 0
    with torch.no_grad():
        for batch in source.validation():
            assert batch.p is not None
            middle = batch.p[:, batch.p.shape[1] // 2][:, None]  # of neighbouring slices the one that is asked for
            scores = _measure(batch.with_image(fbp(middle, A, window="hann")))
            sums, count = sums + scores["rmse_hu"] * len(batch), count + len(batch)
    plain = sums / count
    if ours <= _WORSE * plain:
        return ""
    return (
        f"its error on validation is {ours:.1f} HU, that of filtered back-projection (Hann window) {plain:.1f} HU: train for "
        "more steps, or with a lower learning rate"
    )


def _plain(values: Any) -> Any:
    from dataclasses import asdict, is_dataclass

    if is_dataclass(values) and not isinstance(values, type):
        values = asdict(values)
    if isinstance(values, Mapping):
        return {k: _plain(v) for k, v in values.items() if v is not None}
    return [_plain(v) for v in values] if isinstance(values, list | tuple) else values
