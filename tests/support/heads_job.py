"""A network with two heads on partly labelled images: FOLDER KILL-AT-STEP, as a process of its own or in this one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from small_training import make_images
from torch import Tensor, nn

from taskct.core.runs import Run, is_run, load_run
from taskct.task import HuWindow
from taskct.training import AnswerPenalty, Batch, Objective, Player, TrainSettings, fit, processes_of_torchrun
from taskct.training.processes import rank, wait_for_all, world

BATCH = 4


class TwoHeads(nn.Module):
    """An encoder, a map of two classes, and one number for each image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.encoder = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU())
        self.organ, self.grade = nn.Conv2d(6, 2, 1), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        shared = self.encoder(x)
        return {"organ": self.organ(shared), "grade": self.grade(shared.mean((2, 3)))}


class Heads:
    """Organs are labelled in two of three images, grades in one of four: in many batches none, or in one rank's half only."""

    def __init__(self, settings: TrainSettings, kill: int = -1) -> None:
        self.images, self.checks, self.settings, self.kill = make_images(12, seed=0), make_images(6, seed=1), settings, kill
        self.grades = torch.linspace(-1, 1, 12)[:, None]

    def of(self, images: Any, numbers: Tensor, step: int) -> Batch:
        labels = (images.labels[numbers] > 0).long()
        return Batch(
            mu=images.mu[numbers],
            ids=tuple(images.ids[i] for i in numbers.tolist()),
            step=step,
            targets={"organ": labels, "grade": self.grades[numbers]},
            labelled={"organ": numbers % 3 != 0, "grade": numbers % 4 == 3},
        )

    def batch(self, step: int) -> Batch:
        if step == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        whole = torch.randperm(12, generator=torch.Generator().manual_seed(step))[:BATCH]
        share = BATCH // world()
        return self.of(self.images, whole[rank() * share : (rank() + 1) * share], step)

    def validation(self) -> Iterator[Batch]:
        for first in range(0, 6, 2):
            yield self.of(self.checks, torch.arange(first, first + 2), 0)


def mean_entropy(answer: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(answer, target)


def job(folder: str, *, kill: int = -1, **more: Any) -> Any:
    window = HuWindow(40, 400)
    given = {"steps": 12, "batch": BATCH, "lr": 1e-2, "validate_every": 6, "checkpoint_every": 2, "log_every": 1}
    settings = TrainSettings(**{**given, "precision": "float32", "ema": 0.9, **more})
    terms = {
        "organ": (1.0, AnswerPenalty(mean_entropy, task="organ")),
        "grade": (0.5, AnswerPenalty(nn.MSELoss(), task="grade")),
    }
    answer = lambda net, batch: batch.with_answers(net(window(batch.mu)))
    if rank() == 0 and not is_run(folder):
        Run.create(folder, {})
    wait_for_all()
    return fit(Player(TwoHeads(), Objective(terms), answer), Heads(settings, kill), load_run(folder), settings)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with processes_of_torchrun():
        job(str(Path(sys.argv[1])), kill=int(sys.argv[2]))
