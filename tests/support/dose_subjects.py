"""Patients whose noise follows a law that is known, and readers of them, for tests of dose searches and strategies."""

import torch
from torch import Tensor

from taskct.data.images import ImageSet
from taskct.evaluation import Subject
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.task import FrozenTask, freeze

SIZE = 32


A = Projector(Grid((SIZE, SIZE), 10.0), ParallelBeam(views=30, cols=40, pixel_mm=10.0))


NOISE = "noise_sd_hu<=5"


def smooth(p: Tensor, A: Projector) -> Tensor:
    return fbp(p, A, window="hann", frequency_scale=0.5)


def subject(number: int, *, slices: int = 2) -> Subject:
    """A body whose image is what the smooth FBP makes of its own scan: without noise there is no error at all."""
    axis = torch.linspace(-155, 155, SIZE)
    radius = 70.0 + 12.0 * number
    body = 0.02 * ((axis[:, None] / (0.7 * radius)) ** 2 + (axis / radius) ** 2 < 1).float()
    p = A(body.expand(slices, 1, SIZE, SIZE).contiguous())
    labels = (body > 0).long().expand(slices, SIZE, SIZE)
    images = ImageSet(smooth(p, A), [f"p{number}"] * slices, labels, label_names={1: "body"})
    return Subject(images, p, A, tuple(range(slices)))


SUBJECTS = [subject(k) for k in range(6)]


class Threshold(torch.nn.Module):
    """Marks what is denser than half of water: a reader whose errors come from noise alone."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = torch.nn.Parameter(torch.tensor(at))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([0 * x, 400 * (x - self.at)], 1)


def reader(at: float = 0.01) -> FrozenTask:
    return FrozenTask(freeze(Threshold(at)), torch.nn.Identity(), lambda a, b: a.mean(), "threshold")


class Blind(torch.nn.Module):
    """Never finds anything."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([0 * x + 1, 0 * x], 1)
