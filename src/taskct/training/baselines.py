"""The published ways to train a reconstruction with a reader that is not frozen: jointly, and one after the other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Unpack

import torch
from torch import nn

from taskct.core.config import to_dict
from taskct.core.runs import Run, is_run
from taskct.data.images import ImageSet
from taskct.simulate.clean_scans import CACHE_GIB, CleanScans
from taskct.task import DiceCE, FrozenTask
from taskct.task.readers import ReaderSpec, as_task, make_reader, reader_weights, reader_window
from taskct.training.objective import convex
from taskct.training.players import WEIGHTS
from taskct.training.processes import rank
from taskct.training.schedules import Weight
from taskct.training.terms import ImageError, JointPenalty
from taskct.training.train_options import TrainOptions
from taskct.training.train_reader import train_reader
from taskct.training.train_reconstructor import train
from taskct.training.train_settings import TrainSettings, check_train_settings


def train_jointly(
    model: nn.Module,
    data: ImageSet | CleanScans,
    *,
    spec: ReaderSpec,
    alpha: Weight = 0.5,
    reader: FrozenTask | None = None,
    image: ImageError | None = None,
    **options: Unpack[TrainOptions],
) -> FrozenTask:
    """Model and reader descend together on (1 - alpha) image + alpha task.

    Source: Adler et al., Inverse Problems 38:075006 (2022). The reader begins with the weights of `reader`, or from scratch.
    Each has its own learning rate (`lr`, `reader_lr`), its own state of Adam and its own clipping, as two optimisers would.
    The model ends trained; returned is its own reader, saved as a run beside `run`, in the folder RUN-reader. The other
    arguments are those of `train`.

    Judge it twice: by its own reader and by standard ones. The published result that joint training is worst holds for the
    second only.
    """
    check_train_settings(options["settings"], who="train_jointly")
    term = joint_penalty(spec, reader, seed=options["settings"].seed)
    train(model, data, objective=convex(image or ImageError(), term, alpha=alpha), **options)
    folder = joint_reader_folder(options["run"])
    if rank() == 0:
        save_reader(term.net, spec, folder, reads="joint")
    return as_task(term.net, spec, folder.name)


def train_in_sequence(
    model: nn.Module,
    data: ImageSet,
    *,
    spec: ReaderSpec,
    reader_settings: TrainSettings | None = None,
    reader: FrozenTask | None = None,
    image: ImageError | None = None,
    **options: Unpack[TrainOptions],
) -> FrozenTask:
    """First the model for the image error alone, then a reader for the model's images, which no longer change.

    The reader begins with the weights of `reader`, or from scratch, and is saved as the run RUN-reader; `reader_settings`
    are those of its training, by default the steps and the seed of `settings`. The other arguments are those of `train`. The
    reader's score is also the recoverable bound: what a reader can find in this model's images when it knows them.
    """
    train(model, data, objective={"image": (1.0, image or ImageError())}, **options)
    settings, validation = options["settings"], options.get("validation")
    net = None
    if reader is not None:
        net = make_reader(spec)
        net.load_state_dict(reader_weights(reader))
    return train_reader(
        spec,
        data,
        run=joint_reader_folder(options["run"]),
        settings=reader_settings or TrainSettings(steps=settings.steps, seed=settings.seed),
        validation=validation.images if isinstance(validation, CleanScans) else validation,
        held_out=options.get("held_out", ()),
        through=(model, options["A"], options["dose"]),
        net=net,
        refine=options.get("refine", 2),
        cache_gib=options.get("cache_gib", CACHE_GIB),
        progress=options.get("progress"),
    )


def joint_penalty(spec: ReaderSpec, reader: FrozenTask | None = None, *, seed: int = 0) -> JointPenalty:
    """A term whose reader learns along, from the weights of `reader` or from scratch."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make_reader(spec)
    if reader is not None:
        net.load_state_dict(reader_weights(reader))
    return JointPenalty(net, reader_window(spec), DiceCE(weights=spec.class_weights))


def joint_reader_folder(run: str | os.PathLike[str]) -> Path:
    """Where the reader of a joint or sequential training is saved: beside the run.

    >>> joint_reader_folder("runs/joint").as_posix()
    'runs/joint-reader'
    """
    path = Path(run)
    return path.with_name(path.name + "-reader")


def save_reader(net: nn.Module, spec: ReaderSpec, folder: str | os.PathLike[str], *, reads: str) -> Run:
    """A reader as a run that `load_reader` opens; one that is there already is replaced."""
    run = Run.create(folder, {"reader": to_dict(spec), "reads": reads}, overwrite=is_run(folder))
    run.save_tensors(WEIGHTS, net.state_dict())
    return run
