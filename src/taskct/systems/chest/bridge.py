"""The bridge to task-adaptive reconstruction: frozen heads in the loss of a low-dose reconstruction, judged by other readers.

A reconstruction corrects the FBP of a low-dose scan. All arms begin from one that learnt the image error alone; each goes on
with the error, or with the error and the penalties of frozen heads, whose pull on the image is as large as the error's. The
control is a reader with random weights. What judges has other widths and another seed, and no training ever saw it.
A seed of the bridge is all of it again: a reader for the losses, one that judges, a start and every arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.precision import autocast
from taskct.core.runs import load_run
from taskct.core.seeds import derive_seed
from taskct.experiments.made import Made
from taskct.nets import UNet
from taskct.nets.weights import load_weights
from taskct.systems.chest.bridge_scans import BridgeScans
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_classes import BALANCE, TRUTHS, WINDOW
from taskct.systems.chest.chest_net import ChestReader, build_net, penalties_of
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_trainings import AUGMENT, how_to_train, net_config
from taskct.systems.chest.image_scores import image_scores
from taskct.systems.chest.lung_crops import LungCrops
from taskct.systems.chest.reading_crops import read_crops
from taskct.task import FrozenTask, tasks_of
from taskct.training import Augmentation, Balanced, Batch, ImageError, LabelPenalty, Objective, Player, fit, shared_objective
from taskct.training import train_shared as train_heads
from taskct.training.begin import begin_with, open_training, to_channels_last
from taskct.training.marked_source import MarkedSource
from taskct.training.players import WEIGHTS

READS = ("classify", "segment", "detect")
ARMS: dict[str, tuple[str, ...]] = {
    "error": (),
    "classify": ("classify",),
    "segment": ("segment",),
    "detect": ("detect",),
    "all": READS,
    "random": READS,
}
UNSEEN_WIDTHS = (24, 40, 72, 112)
_MOVES = Augmentation(shift_share=0.06, scale=0.05, rotate_deg=6.0, offset_hu=0.0, mirror=True)


def train_reader(folder: Path, *, settings: ChestExperiment, images: Made[LungCrops], unseen: bool, seed: int) -> None:
    """A reader of single full-dose slices: the one in the losses, or the one that judges."""
    crops = images.load()
    changes: dict[str, Any] = {"neighbours": 0, "widths": UNSEEN_WIDTHS if unseen else settings.widths}
    config = net_config(settings, Arm(READS, steps=settings.reader_steps), **changes)
    train_heads(
        build_net(config, seed=derive_seed(settings.seed, "reader", int(unseen), seed) % 2**31),
        crops.images("train"),
        objective=shared_objective(penalties_of(config)),
        truths=TRUTHS,
        prepare=WINDOW,
        run=folder,
        settings=how_to_train(
            settings, settings.reader_steps, seed=derive_seed(settings.seed, "reading", int(unseen), seed) % 2**31
        ),
        validation=crops.images("validation"),
        held_out=crops.images("test").patient_ids,
        balance=BALANCE,
        augment=AUGMENT,
        config={"chest": config.table()},
        progress=False,
    )


class Corrector(nn.Module):
    """mu of FBP (B, 1, Y, X) -> mu: a residual U-Net in the readers' window."""

    def __init__(self, widths: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        self.net = UNet(1, 1, widths=tuple(widths), skip_channels=None, residual=True)
        self.per_mm = float(WINDOW(torch.tensor(0.02)) - WINDOW(torch.tensor(0.01))) / 0.01  # window units of 1/mm

    def forward(self, mu: Tensor) -> Tensor:
        """(B, 1, Y, X) in 1/mm."""
        x = WINDOW(mu)
        return mu + (self.net(x) - x) / self.per_mm


def train_start(folder: Path, *, settings: ChestExperiment, scans: Made[BridgeScans], seed: int) -> None:
    """The reconstruction from which all arms of a seed begin."""
    _train(folder, settings, scans.load(), Objective({"image": (1.0, ImageError())}), arm="start", seed=seed)


def train_bridge(
    folder: Path,
    *,
    settings: ChestExperiment,
    scans: Made[BridgeScans],
    start: Made[Corrector],
    reader: Made[ChestReader],
    arm: str,
    seed: int,
) -> None:
    """An arm of ARMS, from the start on."""
    terms: dict[str, Any] = {"image": ImageError()}
    for head, task in _readers(settings, reader, arm, seed).items():
        terms[head] = LabelPenalty(task, target=head)
    objective = Balanced(terms, share=0.5) if len(terms) > 1 else Objective({"image": (1.0, terms["image"])})
    _train(folder, settings, scans.load(), objective, arm=arm, seed=seed, begin=start.folder, heads=ARMS[arm])


def _readers(settings: ChestExperiment, reader: Made[ChestReader], arm: str, seed: int) -> dict[str, FrozenTask]:
    """The frozen heads of an arm, read in one pass."""
    if not ARMS[arm]:
        return {}
    read = reader.load()
    net = (
        build_net(read.config, seed=derive_seed(settings.seed, "random reader", seed) % 2**31) if arm == "random" else read.net
    )
    penalties = penalties_of(read.config)
    return tasks_of(net.eval(), {head: penalties[head] for head in ARMS[arm]}, prepare=WINDOW, name=arm)


def _train(
    folder: Path,
    settings: ChestExperiment,
    scans: BridgeScans,
    objective: Objective,
    *,
    arm: str,
    seed: int,
    begin: Path | None = None,
    heads: Sequence[str] = (),
) -> None:
    images = scans.images("train")
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(settings.seed, "corrector", seed) % 2**31)
        model = Corrector()
    plan = how_to_train(settings, settings.bridge_steps, seed=derive_seed(settings.seed, "bridge", arm, seed) % 2**31)
    run = open_training(folder, {"training": plan, "bridge": {"arm": arm, "seed": seed}, "data": images.facts()})
    if begin is not None:
        begin_with(model, begin)
    to_channels_last(model)
    source = MarkedSource(
        images,
        None,
        plan,
        torch.device("cpu"),
        truths={head: TRUTHS[head] for head in heads},
        balance=BALANCE,
        augment=_MOVES,
        shown=scans.low("train"),
    )

    def answer(module: nn.Module, batch: Batch) -> Batch:
        return batch.with_image(module(batch.image))

    fit(Player(model, objective, answer), source, run, plan, progress=False)


def load_corrector(folder: Path) -> Corrector:
    """The reconstruction of a step that trained one."""
    model = Corrector()
    load_weights(model, load_run(folder).load_tensors(WEIGHTS)[0], what=str(folder))
    to_channels_last(model)
    return model.eval()


def read_bridge(
    folder: Path,
    *,
    settings: ChestExperiment,
    scans: Made[BridgeScans],
    reader: Made[ChestReader],
    dose: float | None,
    of: Made[Corrector] | None,
) -> None:
    """What the reader that judges says of test patients: at full dose (`dose` None), of FBP, or of a reconstruction."""
    found = scans.load()
    images = found.images("test")
    shown = images.mu
    if dose is not None:
        shown = found.low("test")[:, settings.doses.index(dose)][:, None]
    if of is not None:
        shown = restored(of.load(), shown)
    read = partial(read_crops, pixel_mm=settings.pixel_mm, slice_mm=settings.slice_mm)
    readings = read(reader.load(), images, None, shown=shown)
    found_images = image_scores(WINDOW(shown), WINDOW(images.mu))
    psnr, ssim, bias_hu = (found_images[name] for name in ("restored", "ssim", "bias_hu"))
    replace(readings, restored=psnr, ssim=ssim, bias_hu=bias_hu).save(folder)


def restored(model: nn.Module, low: Tensor, *, batch: int = 32) -> Tensor:
    """What a reconstruction makes of FBP images (N, 1, Y, X)."""
    parts = []
    with torch.no_grad(), autocast(low.device):
        for first in range(0, len(low), batch):
            parts.append(model(low[first : first + batch]).float())
    return torch.cat(parts)
