"""Who learns in a training: a network with its objective and its optimiser. Most trainings have one player.

A player says how its network answers a batch and what it is judged by. Several players take turns within each step, in their
order: each is given the batch as the one before left it, its image and answers without gradients. So a discriminator sees
what the generator has just made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.training.batch import Batch
from taskct.training.objective import Objective
from taskct.training.processes import world
from taskct.training.schedules import learning_rate_share
from taskct.training.train_settings import DescentSettings

WEIGHTS = "weights.safetensors"
Answer = Callable[[Any, Batch], Batch]
"""How a network answers: (network, batch) -> the batch with its image or its answers."""


def unchanged(net: nn.Module, batch: Batch) -> Batch:
    """The answer of a player whose terms ask its network themselves, such as a discriminator."""
    return batch


class Player(nn.Module):
    """A network, how it answers, and what it is judged by, as one module.

    name       of its weights in the run and of its metrics; "" is the main player, whose weights are the run's
    descent    its learning rate and so on; those of the training without
    every      it learns in every k-th step, from step `start` on; in the others it only answers
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        answer: Answer,
        *,
        name: str = "",
        descent: DescentSettings | None = None,
        every: int = 1,
        start: int = 0,
    ) -> None:
        super().__init__()
        if every < 1 or start < 0:
            raise ConfigError(f"player {name!r} expects every >= 1 and start >= 0, got {every!r} and {start!r}")
        self.model, self.objective, self.answer = model, objective, answer
        self.name, self.descent, self.every, self.start = name, descent, every, start

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Batch]:
        """Loss, its parts, and the batch with what the network answered, without gradients: for the next player."""
        answered = self.answer(self.model, batch)
        loss, parts = self.objective(answered)
        if not parts and world() > 1:  # nothing is labelled here: the other processes still wait for this one's gradients
            loss = loss + torch.stack([p.sum() * 0 for p in self.parameters() if p.requires_grad]).sum()
        return loss, parts, answered.detached()

    def learns_in(self, step: int) -> bool:
        """Whether it learns in a step."""
        return step >= self.start and (step - self.start) % self.every == 0

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.model.parameters()).device

    @property
    def weights_file(self) -> str:
        """Where the run keeps its weights."""
        return f"{self.name}.safetensors" if self.name else WEIGHTS

    def labelled_as(self, name: str) -> str:
        """A name of its metrics."""
        return f"{self.name}/{name}" if self.name else name


def make_optimiser(player: Player, descent: DescentSettings) -> torch.optim.Optimizer:
    """AdamW of a player's weights, and of the readers in its objective that learn along."""
    readers = [p for m in player.objective.trained_terms().values() for p in m.parameters() if p.requires_grad]
    weights = [p for p in player.model.parameters() if p.requires_grad]
    if not weights and not readers:
        raise ConfigError("nothing to train: no weight of the model asks for a gradient")
    groups: list[dict[str, Any]] = [{"params": weights, "full_lr": descent.lr}] if weights else []
    if readers:
        groups.append({"params": readers, "full_lr": descent.reader_lr or descent.lr})
    return torch.optim.AdamW(groups, lr=descent.lr, betas=descent.betas, weight_decay=descent.weight_decay)


def set_learning_rate(optimiser: torch.optim.Optimizer, descent: DescentSettings, *, step: int, steps: int) -> float:
    """Give all groups their learning rate of a step; returns that of the network."""
    share = learning_rate_share(
        step,
        steps=steps,
        warmup_steps=descent.warmup_steps,
        final_share=descent.final_lr_share,
        schedule=descent.schedule,
    )
    for group in optimiser.param_groups:
        group["lr"] = group["full_lr"] * share
    return descent.lr * share


def clip_gradients(player: Player, clip_norm: float) -> float:
    """Norm of the model's gradient, which is then clipped; a reader that learns along is clipped apart from it."""
    sizes = []
    for part in (player.model, player.objective):
        weights = [p for p in part.parameters() if p.grad is not None]
        if weights:
            size = nn.utils.clip_grad_norm_(weights, clip_norm or math.inf)
            sizes.append(float(size))
    return max(sizes, key=lambda s: math.inf if math.isnan(s) else s, default=0.0)


def check_players(players: list[Player]) -> None:
    """ConfigError for players without a name or with one name; the first is the main one."""
    names = [player.name for player in players]
    odd = [name for name in names[1:] if not name or not name.isidentifier() or name in ("weights", "state")]
    if not players or odd or len(set(names)) < len(names):
        raise ConfigError(f"the players after the first expect names of their own, made of letters and digits, got {names}")
