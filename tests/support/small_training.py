"""Small abdomens for training tests: 32 pixels, a body, a liver, a dark spot in it; and small things to train."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from taskct.data.images import ImageSet
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.recon.learned import FBPNet, fbp_unet
from taskct.task import DiceCE, FrozenTask, HuWindow, freeze
from taskct.training import TrainSettings

SIZE = 32
GRID = Grid((SIZE, SIZE), 8.0)


def make_images(count: int, *, seed: int, prefix: str = "patient") -> ImageSet:
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(*(torch.from_numpy(a).float() for a in GRID.axes_mm()), indexing="ij")
    mu, labels = torch.zeros(count, 1, SIZE, SIZE), torch.zeros(count, SIZE, SIZE, dtype=torch.uint8)
    for k in range(count):
        shift = (torch.rand(2, generator=generator) - 0.5) * 40
        body, liver = x**2 + y**2 < 110**2, (x + 30 - shift[0]) ** 2 + (y - shift[1]) ** 2 < 50**2
        spot = (x + 30 - shift[0]) ** 2 + (y - shift[1]) ** 2 < 18**2
        mu[k, 0] = 0.018 * body + 0.002 * liver - 0.001 * spot
        labels[k] = (liver.int() + spot.int()).to(torch.uint8)
    patients = tuple(f"{prefix}-{k // 2}" for k in range(count))
    return ImageSet(mu, patients, labels, tuple(f"{prefix}-{k // 2}-s{k % 2}" for k in range(count)))


def make_projector() -> Projector:
    return Projector(GRID, ParallelBeam(views=24, cols=48, pixel_mm=8.0))


def make_model(seed: int = 0, norm: str = "batch") -> FBPNet:
    torch.manual_seed(seed)
    return fbp_unet(widths=(4, 8), norm=norm)


def make_task(seed: int = 5) -> FrozenTask:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1))
    return FrozenTask(freeze(net), HuWindow(40, 400), DiceCE(), "reader")


def how(**words: Any) -> dict[str, Any]:
    """Keyword arguments of a training: the words that are settings become `settings`, the others stay as they are."""
    names = {f.name for f in fields(TrainSettings)}
    given = {k: v for k, v in words.items() if k in names}
    return {"settings": TrainSettings(**given), **{k: v for k, v in words.items() if k not in names}}


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in module.state_dict().items()}
