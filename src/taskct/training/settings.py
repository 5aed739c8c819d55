"""How to train: steps, learning rate, precision, when to log, validate, save and stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from taskct.core.errors import ConfigError
from taskct.core.precision import Precision


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of the training loop.

    steps             training steps at most
    batch             images a step, over all processes together
    lr                learning rate of Adam, after `warmup_steps`, falling by `schedule` to `final_lr_share` of it
    reader_lr         learning rate of readers in joint training; `lr` when not given
    weight_decay      decoupled (AdamW)
    clip_norm         the gradient's norm is cut to this; 0: never
    precision         "bf16" (autocast, weights in float32), "float32", or "auto": bf16 where the device computes in it
    ema               decay of the running mean of the weights, which is what is kept; 0: none
    keep              "best" weights by validation, or "last"
    validate_every    steps between validations; `patience` of them without a gain of `least_gain` (relative) end it, 0: never
    checkpoint_every  steps between states that a killed run resumes from
    most_bad_steps    so many steps in a row without a finite loss end it with an error
    """

    steps: int
    batch: int = 16
    lr: float = 1e-3
    reader_lr: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 30
    final_lr_share: float = 0.02
    clip_norm: float = 5.0
    precision: Precision = "auto"
    ema: float = 0.99
    keep: Literal["best", "last"] = "best"
    log_every: int = 50
    validate_every: int = 200
    patience: int = 0
    least_gain: float = 0.002
    checkpoint_every: int = 200
    most_bad_steps: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "log_every", "validate_every", "checkpoint_every", "most_bad_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training expects {name} >= 1, got {getattr(self, name)!r}")
        for name in ("warmup_steps", "patience", "weight_decay", "clip_norm", "least_gain", "final_lr_share"):
            if getattr(self, name) < 0:
                raise ConfigError(f"training expects {name} >= 0, got {getattr(self, name)!r}")
        for name in ("lr", "reader_lr"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"training expects {name} > 0, got {value!r}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"training expects 0 <= ema < 1, got {self.ema!r}")
