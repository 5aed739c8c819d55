"""Sizes of the experiment: `small` for ten minutes of a laptop, `full` for hours of one, `gpu` for minutes of a GPU.

`networks` made the readers and reconstructions that come with the package: twenty minutes of one core. `information` asks what
adds to what a retrained reader finds: neighbouring slices, statistical weights. In `full` and `gpu` the bases are trained
until validation is flat, and base_steps are the most; `gpu` alone has all that a bound needs.
"""

from __future__ import annotations

from typing import Any

from taskct.systems.adaptive.experiment.adaptive_arms import LOSSES

SMALL: dict[str, Any] = {
    "reader_patients": 90,
    "train_patients": 90,
    "validation_patients": 6,
    "test_patients": 16,
    "slices": 6,
    "size": 64,
    "views": 80,
    "widths": (16, 32, 64),
    "readers": ("unet_small", "unet_thin"),
    "other_losses": ("label-0.5",),
    "bounds": ("plain", "label-0.5"),
    "reader_steps": 600,
    "base_steps": 400,
    "task_steps": 120,
    "retrain_steps": 100,
    "audit": 6,
}

FULL: dict[str, Any] = {
    "size": 96,
    "views": 120,
    "widths": (16, 32, 64),
    "readers": ("unet_small", "unet_thin", "residual_fast"),
    "other_losses": ("label-0.5", "feature"),
    "main_losses": ("plain", "label-0.5", "feature", "label-shaken"),
    "bounds": ("plain", "label-0.5", "feature"),
    "bound_readers": ("unet_small", "residual_fast"),
    "reader_steps": 1500,
    "base_steps": 12000,
    "base_patience": 5,
    "task_steps": 500,
    "retrain_steps": 600,
}

NETWORKS: dict[str, Any] = {
    "reader_patients": 160,
    "train_patients": 160,
    "validation_patients": 8,
    "test_patients": 40,
    "slices": 6,
    "size": 64,
    "views": 80,
    "widths": (16, 32, 64),
    "readers": ("unet_small", "unet_thin", "residual_fast"),
    "models": ("unet", "lpd"),
    "losses": ("plain", "feature"),
    "other_losses": ("label-0.9",),
    "main_losses": ("plain",),
    "bounds": (),
    "reader_steps": 500,
    "base_steps": 500,
    "task_steps": 200,
    "audit": 0,
}

INFORMATION: dict[str, Any] = {  # what adds to what a reader can find: neighbouring slices 5 mm apart, statistical weights
    "reader_patients": 40,
    "train_patients": 60,
    "bound_patients": 60,
    "validation_patients": 8,
    "test_patients": 40,
    "slices": 32,
    "size": 64,
    "views": 80,
    "widths": (16, 32, 64),
    "photons": (16384.0,),
    "readers": ("unet_small", "unet_thin", "residual_fast"),
    "models": ("unet", "unet-3-slices", "unrolled", "unrolled-weighted"),
    "losses": ("plain",),
    "main_losses": ("plain",),
    "bounds": ("plain",),
    "bound_readers": ("unet_thin", "residual_fast"),
    "bound_each_dose": True,
    "reader_steps": 1000,
    "base_steps": 12000,
    "base_patience": 5,
    "task_steps": 200,
    "retrain_steps": 6000,
    "retrain_patience": 5,
    "audit": 0,
}

LITS: dict[str, Any] = {  # the published setting on volumes of LiTS or MSD Task03, given by `data`
    "size": 368,
    "views": 1000,
    "photons": (4096.0,),
    "slices": 24,
    "readers": ("unet_fast", "unet_thin", "residual_fast"),
    "models": ("unet", "lpd"),
    "losses": ("plain", "label-0.5", "feature", "joint"),
    "main_losses": ("plain", "label-0.5", "feature"),
    "bounds": ("plain", "label-0.5"),
    "bound_readers": ("unet_fast", "unet_thin"),
    "batch": 8,
    "reader_steps": 12000,
    "base_steps": 40000,
    "base_patience": 6,
    "task_steps": 6000,
    "retrain_steps": 6000,
    "audit": 0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "full": FULL,
    "networks": NETWORKS,
    "information": INFORMATION,
    "lits": LITS,
    "gpu": {
        "reader_patients": 420,
        "train_patients": 420,
        "models": ("unet", "unrolled", "lpd"),
        "seeds": 3,
        "main_losses": tuple(LOSSES),
        "bounds": tuple(LOSSES),
        "bound_readers": ("unet_fast", "unet_thin", "residual_fast"),
        "bound_patients": 420,
        "bound_each_dose": True,
        "reader_steps": 4000,
        "base_steps": 40000,
        "base_patience": 6,
        "task_steps": 3000,
        "retrain_steps": 20000,
        "retrain_patience": 6,
    },
}
