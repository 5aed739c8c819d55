"""`train_shared`: one encoder with several heads learns from images with marks, partly labelled or whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.data.images import ImageSet
from taskct.data.leaks import refuse_leaks
from taskct.data.marks import Classes
from taskct.nets.shared_net import SharedNet
from taskct.task.boxes import Boxes
from taskct.task.centres import check_stride
from taskct.task.prepare import check_water
from taskct.training.augment import Augmentation
from taskct.training.batch import Batch
from taskct.training.begin import open_training, to_channels_last
from taskct.training.loop import Trained, fit
from taskct.training.marked_source import MarkedSource
from taskct.training.objective import Objective
from taskct.training.players import Player
from taskct.training.train_settings import TrainSettings, check_train_settings
from taskct.training.truths import BoxesTruth, FindingsTruth, Truth


def train_shared(
    net: SharedNet,
    data: ImageSet,
    *,
    objective: Objective,
    truths: Mapping[str, Truth],
    prepare: Callable[[Tensor], Tensor],
    run: Run | str | os.PathLike[str],
    settings: TrainSettings,
    validation: ImageSet | None = None,
    held_out: Sequence[str] = (),
    balance: Classes | None = None,
    augment: Augmentation | None = None,
    neighbours: int = 0,
    shown: Tensor | None = None,
    shown_validation: Tensor | None = None,
    config: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Trained:
    """Train the heads of `net` on images with marks, for an objective of their names (`shared_objective`).

    `truths` says what each head should answer; a head's penalty counts where its truth is known, and a batch of which nothing
    is known for it leaves it alone. `balance`, `shown`, `neighbours`: see `MarkedSource`. `augment` moves images and marks
    together; without it they stay as they are. The run's weights are those of the network.

    Raises InputError for images without marks, for a head, or a class of one, that nothing in the images is labelled for, and
    for patients in two parts; ConfigError for a term without a truth or without a head, and for boxes of other cells.
    """
    check_train_settings(settings, who="train_shared")
    refuse_leaks(data, validation, held_out)
    for head in objective.terms:
        if head not in truths or head not in net.heads:
            missing = "truth" if head not in truths else "head of the network"
            raise ConfigError(f"train_shared: the term {head!r} has no {missing}; terms, truths and heads share their names")
        check_stride(head, net.heads[head], getattr(objective.terms[head], "penalty", None))
    check_water(prepare, data.mu_water_per_mm, who="train_shared")
    device = next(net.parameters()).device
    wanted = {head: truths[head] for head in objective.terms}
    source = MarkedSource(
        data,
        validation,
        settings,
        device,
        truths=wanted,
        balance=balance,
        augment=augment,
        neighbours=neighbours,
        shown=shown,
        shown_validation=shown_validation,
    )
    known = _checked_labels(data, wanted)
    facts = {"training": settings, "data": data.facts(), "labelled": known, **(config or {})}
    folder = open_training(run, facts)
    to_channels_last(net)
    heads = tuple(objective.terms)

    def answer(module: torch.nn.Module, batch: Batch) -> Batch:
        return batch.with_answers(module(prepare(batch.image), heads=heads))

    return fit(Player(net, objective.to(device), answer), source, folder, settings, progress=progress)


def _checked_labels(data: ImageSet, truths: Mapping[str, Truth]) -> dict[str, int]:
    """`labelled_counts`; InputError for a head, or a class of it, of which no image says anything."""
    counts = labelled_counts(data, truths)
    blank = torch.zeros(1, *data.shape)
    for head, truth in truths.items():
        if not counts[head]:
            raise InputError(f"train_shared: none of the {len(data)} images is labelled for head {head!r}; leave it out")
        if not isinstance(truth, FindingsTruth | BoxesTruth):
            continue  # others are known as a whole
        known = [False] * len(truth.classes)
        for one in data.marks:
            value: Any = truth.of(one, blank)
            if value is not None:
                says = value.known if isinstance(value, Boxes) else ~value.isnan()
                known = [was or is_known for was, is_known in zip(known, says.tolist(), strict=True)]
            if all(known):
                break
        for name, there in zip(truth.classes, known, strict=True):
            if not there:
                told = [one for one in data.marks if one is not None]
                kinds = {kind for one in told for kind in one.boxed}
                if isinstance(truth, FindingsTruth):
                    kinds.update(name for one in told for name in one.findings)
                raise InputError(
                    f"train_shared: none of the {len(data)} images says whether it shows {name!r}, a class of head {head!r}, "
                    f"so nothing can be learnt about it; kinds that are known: {', '.join(sorted(kinds)) or 'none'}"
                )
    return counts


def labelled_counts(data: ImageSet, truths: Mapping[str, Truth]) -> dict[str, int]:
    """How many images are labelled for each head."""
    blank = torch.zeros(1, *data.shape)
    return {head: sum(truth.of(one, blank) is not None for one in data.marks) for head, truth in truths.items()}
