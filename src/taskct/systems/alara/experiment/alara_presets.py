"""Named sizes of the dose experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskct.systems.alara.experiment.alara_arms import ARMS

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "small": {
        "train_patients": 60, "reader_patients": 0, "validation_patients": 8, "test_patients": 16, "size": 64, "views": 80,
        "arms": ("fbp-noise-views", "fbp-noise-share"), "base_steps": 300, "fbp_steps": 250, "unet_steps": 200,
    },
    "fbp": {
        "train_patients": 200, "reader_patients": 0, "test_patients": 60, "arms": ("fbp-noise-views", "fbp-noise-share"),
        "seeds_for": ("fbp-noise-views",), "seeds": 3, "fbp_steps": 250,
    },
    "networks": {  # made the dose module that comes with the package
        "train_patients": 120, "reader_patients": 0, "validation_patients": 12, "test_patients": 40, "size": 64, "views": 80,
        "arms": ("fbp-noise-views",), "seeds_for": (), "fbp_steps": 200, "width": 16,
    },
    "task": {  # lesions no smaller than the grid shows, as a reader that misses them at full dose has nothing to lose
        "train_patients": 320, "reader_patients": 200, "test_patients": 120, "slices": 6, "size": 96, "views": 120,
        "width_mm": (260.0, 400.0), "radius_mm": (10.0, 25.0), "contrast_hu": (-70.0, -30.0),
        "photons": (2.0**13, 2.0**17, 2.0**19), "curve_photons": tuple(2.0 ** (15.5 + k / 2) for k in range(6)),
        "dice_share": 0.9,
        "arms": ("fbp-tumour-views",), "seeds_for": ("fbp-tumour-views",), "seeds": 3,
        "readers": ("unet_small", "residual_fast"), "reader_steps": 1000, "fbp_steps": 200,
    },
    "lodopab": {  # the published setting, on slices of LoDoPaB-CT given by `data`
        "train_patients": 4000, "reader_patients": 0, "validation_patients": 100, "test_patients": 400, "slices": 1,
        "size": 362, "views": 1000, "photons": (2.0**8, 2.0**12, 2.0**16), "psnr_bound": 38.57,
        "arms": ("unet-psnr-hinge", "unet-psnr-fr-hinge"), "seeds_for": (), "base_steps": 20000, "unet_steps": 10000,
    },
    "full": {
        "arms": tuple(ARMS), "seeds_for": ("fbp-noise-views", "unet-rmse-mean", "unet-dice-mean"), "seeds": 3,
    },
    "gpu": {
        "arms": tuple(ARMS), "seeds_for": tuple(ARMS), "seeds": 3, "train_patients": 600, "reader_patients": 200,
        "test_patients": 100, "slices": 4, "reader_steps": 6000, "base_steps": 6000, "fbp_steps": 2000, "unet_steps": 3000,
        "batch": 16, "width": 64, "draws": 2,
    },
}  # fmt: skip
