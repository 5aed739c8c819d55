"""Numbers that change over the steps: weights of terms, learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from taskct.core.errors import ConfigError

Weight = float | Callable[[int], float]
LR_SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class WarmUp:
    """0 until step `start`, then up in a straight line to `value`, reached after `steps` more.

    >>> warm = WarmUp(0.5, steps=100)
    >>> warm(0), warm(50), warm(1000)
    (0.0, 0.25, 0.5)
    """

    value: float
    steps: int
    start: int = 0

    def __post_init__(self) -> None:
        if self.value < 0 or self.steps < 1 or self.start < 0:
            raise ConfigError(f"WarmUp expects value >= 0, steps >= 1 and start >= 0, got {self}")

    def __call__(self, step: int) -> float:
        """The weight in a step."""
        return self.value * min(1.0, max(0.0, (step - self.start) / self.steps))


@dataclass(frozen=True)
class Complement:
    """1 - weight: what the image error keeps of a convex objective while the task's share warms up."""

    weight: Weight

    def __call__(self, step: int) -> float:
        """The weight in a step."""
        return 1.0 - weight_at(self.weight, step)


def weight_at(weight: Weight, step: int) -> float:
    """A weight in some step."""
    return float(weight(step) if callable(weight) else weight)


def learning_rate_share(step: int, *, steps: int, warmup_steps: int, final_share: float, schedule: str) -> float:
    """What part of the learning rate holds in a step: a linear warm-up, then constant or a half cosine to `final_share`.

    >>> [round(learning_rate_share(s, steps=100, warmup_steps=10, final_share=0.0, schedule="cosine"), 2) for s in (0, 50, 99)]
    [0.1, 0.5, 0.0]
    """
    rise = min(1.0, (step + 1) / max(1, warmup_steps))
    if schedule == "constant":
        return rise
    return rise * (final_share + (1 - final_share) * (0.5 + 0.5 * math.cos(math.pi * step / steps)))
