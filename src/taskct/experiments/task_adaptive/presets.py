"""Sizes of the experiment: `small` for ten minutes of a laptop, `full` for hours of one, `gpu` for minutes of a GPU."""

from __future__ import annotations

from typing import Any

from taskct.experiments.task_adaptive.arms import LOSSES

SMALL: dict[str, Any] = {
    "train_patients": 90,
    "fresh_patients": 90,
    "validation_patients": 6,
    "test_patients": 16,
    "slices": 6,
    "size": 96,
    "views": 120,
    "readers": ("unet_fast", "unet_thin"),
    "losses": tuple(name for name, loss in LOSSES.items() if not loss.fresh),  # twice the patients take twice the time
    "other_losses": ("label-0.5", "feature"),
    "bounds": ("plain", "label-0.5"),
    "reader_steps": 400,
    "base_steps": 400,
    "task_steps": 120,
    "retrain_steps": 100,
    "audit": 6,
}

PRESETS: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "full": {},
    "gpu": {
        "train_patients": 420,
        "seeds": 3,
        "main_losses": tuple(LOSSES),
        "bounds": tuple(LOSSES),
        "reader_steps": 4000,
        "base_steps": 8000,
        "task_steps": 3000,
        "retrain_steps": 1500,
    },
}
