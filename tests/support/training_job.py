"""A small training as a process of its own, to be killed or to be run twice: FOLDER KILL-AT-STEP PRECISION [against]."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import torch
from small_training import make_images, make_model, make_projector, make_task

from taskct.nets import PatchDiscriminator
from taskct.physics.dose import Dose
from taskct.training import (
    DescentSettings,
    DoseRange,
    ImageError,
    JointPenalty,
    LabelPenalty,
    Objective,
    TrainSettings,
    WarmUp,
    processes_of_torchrun,
    train,
)
from taskct.training.adversarial import FoolPenalty, discriminator_player
from taskct.training.processes import rank
from taskct.training.scan_source import ScanSource


def job(folder: str, *, norm: str = "batch", joint: bool = True, against: bool = False, **settings: Any) -> Any:
    """`against`: a discriminator learns as well, in two of three steps, and the reconstruction in every one."""
    model = make_model(norm=norm)
    torch.manual_seed(9)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Dropout(0.2), torch.nn.Conv2d(4, 3, 1))
    task = make_task()
    terms: dict[str, Any] = {"image": (1.0, ImageError())}
    if joint:
        terms["task"] = (WarmUp(0.5, steps=5), LabelPenalty(task))
        terms["joint"] = (0.1, JointPenalty(net, task.prepare, task.penalty))
    others = []
    if against:
        torch.manual_seed(3)
        judge = PatchDiscriminator(dims=2, width=4, layers=1, norm="none" if norm == "none" else "batch")
        terms["fool"] = (0.1, FoolPenalty(judge))
        descent = DescentSettings(lr=2e-3, ema=0.9, betas=(0.5, 0.999))
        others.append(discriminator_player(judge, descent=descent, every=1 if norm == "none" else 2, start=1))
    plan = {"steps": 12, "batch": 4, "validate_every": 4, "checkpoint_every": 3, "log_every": 3, "lr": 5e-3} | settings
    return train(
        model,
        make_images(12, seed=0),
        objective=Objective(terms),
        A=make_projector(),
        dose=DoseRange(Dose(2e4, electronic_std=3.0), 0.2, 1.0),
        run=folder,
        others=others,
        validation=make_images(4, seed=1, prefix="check"),
        refine=1,
        settings=TrainSettings(**plan),
    )


def kill_at(step: int) -> None:
    """Make this process kill itself without warning when it asks for the batch of `step`."""
    own = ScanSource.batch

    def batch(self: ScanSource, number: int) -> Any:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return own(self, number)

    ScanSource.batch = batch  # type: ignore[method-assign]


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, kill, precision, *kind = sys.argv[1:]
    if int(kill) >= 0:
        kill_at(int(kill))
    with processes_of_torchrun():
        if precision == "ranks":
            job(folder, norm="none", joint=False, precision="float32", ema=0.9, against="against" in kind)
        else:
            job(folder, precision=precision, against="against" in kind)
        sys.stdout.write(f"done {rank()}\n")
