"""`train_task`: any task network learns from full-dose images with label maps, by any penalty."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.data.images import ImageSet
from taskct.data.leaks import refuse_leaks
from taskct.task import FrozenTask, freeze
from taskct.task.prepare import check_water
from taskct.task.sliding import SlidingWindow
from taskct.training.augment import Augmentation
from taskct.training.batch import Batch
from taskct.training.begin import open_training, to_channels_last
from taskct.training.loop import fit
from taskct.training.objective import Objective
from taskct.training.players import Player
from taskct.training.terms import AnswerPenalty
from taskct.training.train_reader import ReaderSource
from taskct.training.train_settings import TrainSettings, check_train_settings


def train_task(
    net: nn.Module,
    data: ImageSet,
    *,
    prepare: Callable[[Tensor], Tensor],
    penalty: Callable[[Any, Any], Tensor],
    run: Run | str | os.PathLike[str],
    settings: TrainSettings,
    name: str = "",
    validation: ImageSet | None = None,
    held_out: Sequence[str] = (),
    augment: Augmentation | None = None,
    patch: Sequence[int] | None = None,
    progress: bool | None = None,
    tensorboard: bool = False,
) -> FrozenTask:
    """Train `net` on full-dose images by `penalty(net(prepare(mu)), label map)`; returns it as a frozen task.

    For classification (`PresenceBCE`), detection (`CentreFocal`) and networks of your own; readers of READERS are trained by
    `train_reader`. With `patch` it learns on pieces of that size and answers in
    windows. The run gives its weights: `load_network(net, "RUN/weights.safetensors")`.

    Raises InputError for images without labels or all background, and for patients in two parts; ConfigError for a network
    that cannot learn.
    """
    check_train_settings(settings, who="train_task")
    refuse_leaks(data, validation, held_out)
    for part, what in ((data, "training"), (validation, "validation")):
        if part is None:
            continue
        check_water(prepare, part.mu_water_per_mm, who=f"train_task, {what} images")
        if not any(value > 0 for value in part.label_values()):
            found = "have none but background" if part.has_labels else "have none"
            raise InputError(f"train_task expects {what} images with labels, these {found}")
    weights = next((p for p in net.parameters() if p.requires_grad), None)
    if weights is None:
        raise ConfigError("train_task expects a network that can learn, all of its weights are frozen")
    config = {
        "task": {"name": name or os.fspath(run.folder if isinstance(run, Run) else run), "net": type(net).__name__},
        "training": settings,
        "augmentation": augment or Augmentation(),
        "data": data.facts(),
    }
    folder = open_training(run, config)
    to_channels_last(net)
    sizes = None if patch is None else tuple(patch)

    def answer(module: nn.Module, batch: Batch) -> Batch:
        whole = module if sizes is None else SlidingWindow(module, sizes)
        return batch.with_answers({"task": whole(prepare(batch.mu))})

    images = ReaderSource(data, validation, settings, weights.device, augment=augment or Augmentation(), patch=sizes)
    objective = Objective({"task": (1.0, AnswerPenalty(penalty, task="task"))}).to(weights.device)
    fit(Player(net, objective, answer), images, folder, settings, progress=progress, tensorboard=tensorboard)
    whole = net if sizes is None else SlidingWindow(net, sizes)
    return FrozenTask(freeze(whole), prepare, penalty, name or folder.folder.name)
