"""The task-adaptive experiment on a handful of patients of 32 pixels: seconds, and nothing to be learnt from its numbers."""

from __future__ import annotations

import sys
from typing import Any

from taskct.experiments import run_steps
from taskct.systems.adaptive.experiment import TaskAdaptive, task_adaptive_steps

SIZES: dict[str, Any] = {
    "reader_patients": 8,
    "train_patients": 6,
    "widths": (8, 16),
    "validation_patients": 2,
    "test_patients": 5,
    "slices": 3,
    "size": 32,
    "views": 24,
    "photons": (65536.0, 16384.0),
    "readers": ("unet_fast", "unet_thin"),
    "models": ("unet",),
    "losses": ("plain", "label-0.5", "joint"),
    "bounds": ("plain",),
    "reader_steps": 12,
    "base_steps": 10,
    "task_steps": 8,
    "retrain_steps": 4,
    "batch": 4,
    "tv_strengths": (1.0, 2.0),
    "audit": 2,
}


def settings(**more: Any) -> TaskAdaptive:
    return TaskAdaptive(**{**SIZES, **more})


if __name__ == "__main__":
    run_steps(task_adaptive_steps, settings(), sys.argv[1], workers=2)
