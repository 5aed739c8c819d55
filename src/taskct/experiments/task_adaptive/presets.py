"""Sizes of the experiment: `small` for ten minutes of a laptop, `full` for hours of one, `gpu` for minutes of a GPU."""

from __future__ import annotations

from typing import Any

from taskct.experiments.task_adaptive.arms import LOSSES

SMALL: dict[str, Any] = {
    "train_patients": 120,
    "fresh_patients": 120,
    "validation_patients": 8,
    "test_patients": 24,
    "slices": 6,
    "size": 96,
    "views": 120,
    "readers": ("unet_fast", "unet_thin"),
    "other_losses": ("plain", "label-0.5", "feature", "joint"),
    "bounds": ("plain", "label-0.5"),
    "reader_steps": 600,
    "base_steps": 500,
    "task_steps": 200,
    "retrain_steps": 150,
    "audit": 8,
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
