"""How to train: steps, learning rate, precision, when to log, validate, save and stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from taskct.core.errors import ConfigError
from taskct.core.precision import Precision

_FROM_1 = ("steps", "batch", "log_every", "validate_every", "checkpoint_every", "most_bad_steps")
_FROM_0 = ("warmup_steps", "patience", "weight_decay", "clip_norm", "least_gain", "final_lr_share")


@dataclass(frozen=True, kw_only=True)
class DescentSettings:
    """How one network descends; networks that train against each other may have one each.

    lr                learning rate of Adam, after `warmup_steps`, falling by `schedule` to `final_lr_share` of it
    reader_lr         learning rate of readers in joint training; `lr` when not given
    weight_decay      decoupled (AdamW)
    clip_norm         the gradient's norm is cut to this; 0: never
    ema               decay of the running mean of the weights, which is what is kept; 0: none
    """

    lr: float = 1e-3
    reader_lr: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 30
    final_lr_share: float = 0.02
    clip_norm: float = 5.0
    ema: float = 0.99

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
                raise ConfigError(f"training expects a finite {field.name}, got {value!r}")
            if field.name in _FROM_1 and value < 1:
                raise ConfigError(f"training expects {field.name} >= 1, got {value!r}")
            if field.name in _FROM_0 and value < 0:
                raise ConfigError(f"training expects {field.name} >= 0, got {value!r}")
        for name in ("lr", "reader_lr"):
            rate = getattr(self, name)
            if rate is not None and not 0 < rate <= 1e3:
                raise ConfigError(f"training expects {name} above 0 and at most 1000, got {rate!r}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"training expects 0 <= ema < 1, got {self.ema!r}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"training expects betas of two numbers from 0 to below 1, got {self.betas!r}")
        if self.schedule not in ("cosine", "constant"):
            raise ConfigError(f"training expects schedule cosine or constant, got {self.schedule!r}")


@dataclass(frozen=True, kw_only=True)
class TrainSettings(DescentSettings):
    """Settings of the training loop, with those of its descent (`DescentSettings`).

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
    precision: Precision = "auto"
    keep: Literal["best", "last"] = "best"
    log_every: int = 50
    validate_every: int = 200
    patience: int = 0
    least_gain: float = 0.002
    checkpoint_every: int = 200
    most_bad_steps: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision not in ("auto", "bf16", "float32"):
            raise ConfigError(f"training expects precision auto, bf16 or float32, got {self.precision!r}")
        if self.keep not in ("best", "last"):
            raise ConfigError(f"training expects keep best or last, got {self.keep!r}")


def check_train_settings(settings: object, *, who: str) -> None:
    """ConfigError for anything but `TrainSettings`, such as a dict."""
    if not isinstance(settings, TrainSettings):
        raise ConfigError(f"{who} expects settings=TrainSettings(steps=...), got {type(settings).__name__}")
