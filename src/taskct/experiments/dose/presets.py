"""Named sizes of the dose experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskct.experiments.dose.arms import ARMS

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "small": {
        "train_patients": 60, "validation_patients": 8, "test_patients": 16, "size": 64, "views": 80,
        "arms": ("fbp-noise-views", "fbp-noise-share"), "base_steps": 300, "fbp_steps": 250, "unet_steps": 200,
    },
    "fbp": {
        "train_patients": 200, "test_patients": 60, "arms": ("fbp-noise-views", "fbp-noise-share"),
        "seeds_for": ("fbp-noise-views",), "seeds": 3, "fbp_steps": 250,
    },
    "full": {
        "arms": tuple(ARMS), "seeds_for": ("fbp-noise-views", "unet-rmse-mean", "unet-dice-mean"), "seeds": 3,
    },
    "gpu": {
        "arms": tuple(ARMS), "seeds_for": tuple(ARMS), "seeds": 3, "train_patients": 400, "test_patients": 100, "slices": 4,
        "reader_steps": 6000, "base_steps": 6000, "fbp_steps": 2000, "unet_steps": 3000, "batch": 16, "width": 64, "draws": 2,
    },
}  # fmt: skip
