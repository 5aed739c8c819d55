"""The smallest chest experiment that does every kind of step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made_once import made_once

from taskct.systems.catalogue import reproduce

TINY: dict[str, Any] = {
    "train_patients": 2,
    "validation_patients": 1,
    "test_patients": 3,
    "slices": 4,
    "crop": (48, 48),
    "pixel_mm": 4.0,
    "nodule_share": 1.0,
    "infection_share": 1.0,
    "widths": (8, 12),
    "batch": 3,
    "first_steps": 2,
    "steps": 2,
    "seeds": 1,
    "comparisons": ("steps",),
    "subsets": False,
    "shares": (),
    "backbones": (),
    "losses": (),
    "sharings": (),
    "preload": True,
    "doses": (0.05,),
    "bridge_slices": 1,
    "views": 30,
    "reader_steps": 2,
    "bridge_steps": 2,
}


def chest_experiment(factory: pytest.TempPathFactory, preset: str, changes: Mapping[str, Any]) -> Path:
    """A finished experiment, made once for all processes of the tests; every process has a copy of its own."""
    return made_once(
        factory,
        f"chest-{preset}",
        lambda folder: reproduce("chest", folder, preset=preset, changes=changes, workers=1, say=lambda text: None),
    )
