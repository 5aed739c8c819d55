"""Adversarial training: a discriminator learns to tell made images from real ones, the reconstruction learns to pass.

    judge = PatchDiscriminator(dims=2)
    objective = {"image": (1.0, ImageError()), "fool": (0.1, FoolPenalty(judge))}
    train(model, images, objective=objective, others=[discriminator_player(judge)], ...)

Both use least squares (LSGAN: Mao et al., ICCV 2017, arXiv 1611.04076, eq. 9), with D the discriminator's answers:

    discriminator   min  1/2 E (D(mu) - 1)^2 + 1/2 E D(mu_hat)^2
    reconstruction  min  1/2 E (D(mu_hat) - 1)^2

A picture that fools a discriminator shows what is usual, not what is there: look at the task and at the projections beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from taskct.recon.learned import MuScale
from taskct.training.batch import Batch
from taskct.training.objective import Objective
from taskct.training.players import Player
from taskct.training.train_settings import DescentSettings

Look = Callable[[Batch, Tensor], Tensor]
"""What a discriminator sees of an image (B, 1, ...) in 1/mm of a batch: (batch, image) -> (B, C, ...)."""


def image_alone(batch: Batch, image: Tensor) -> Tensor:
    """The image in numbers of order 1; a conditional discriminator also sees something else of the batch."""
    return MuScale().normalise(image)


class FoolPenalty(nn.Module):
    """The reconstruction's part: half the mean square by which the discriminator's answer falls short of "real".

    The discriminator's own weights and statistics stay as they are: it learns as a player of its own.
    """

    def __init__(self, discriminator: nn.Module, *, look: Look = image_alone) -> None:
        super().__init__()
        self._discriminator, self.look = (discriminator,), look  # in a tuple: its weights are not those of this term

    def forward(self, batch: Batch) -> Tensor:
        """Scalar."""
        (discriminator,) = self._discriminator
        said = asked_only(discriminator, self.look(batch, batch.image))
        return 0.5 * (said.float() - 1).square().mean()


class RealOrMade(nn.Module):
    """The discriminator's part: half the mean square distance of its answers from 1 for real and from 0 for made images."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: Batch) -> Tensor:
        """Scalar."""
        said = batch.answers[self.task]
        return 0.5 * (said["real"].float() - 1).square().mean() + 0.5 * said["made"].float().square().mean()


def discriminator_player(
    discriminator: nn.Module,
    *,
    look: Look = image_alone,
    name: str = "discriminator",
    descent: DescentSettings | None = None,
    every: int = 1,
    start: int = 0,
) -> Player:
    """The player that learns to tell the full-dose images of a batch from the reconstructions that the first player made.

    It stands after the reconstruction: `train(..., others=[discriminator_player(net)])`. `descent` defaults to Adam with
    learning rate 2e-4 and betas (0.5, 0.999), as published for PatchGAN, without a running mean. `every` and `start`: it
    learns in every k-th step from `start` on.
    """

    def answer(net: nn.Module, batch: Batch) -> Batch:
        real, made = net(look(batch, batch.mu)), net(look(batch, batch.image))
        return batch.with_answers({name: {"real": real, "made": made}})

    usual = DescentSettings(lr=2e-4, betas=(0.5, 0.999), ema=0.0, schedule="constant", warmup_steps=0, clip_norm=0.0)
    objective = Objective({"lsgan": (1.0, RealOrMade(name))})
    return Player(discriminator, objective, answer, name=name, descent=descent or usual, every=every, start=start)


def asked_only(net: nn.Module, x: Tensor) -> Tensor:
    """`net(x)` with a gradient to x; the weights of `net` get none, and its statistics stay as they are."""
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    statistics = {name: buffer.clone() for name, buffer in net.named_buffers()}
    answer: Tensor = torch.func.functional_call(net, (weights, statistics), (x,))
    return answer
