"""Small chests and untrained chest networks for tests of `taskct chest`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct.core.runs import Run
from taskct.data.case import Case
from taskct.phantoms.chest import ChestSettings
from taskct.phantoms.patient import make_patient
from taskct.systems.chest.chest_net import ChestNetConfig, build_net

TINY = ChestNetConfig(widths=(4, 8, 8))


def network(folder: Path, **changes: Any) -> Path:
    """A run of an untrained chest network."""
    config = replace(TINY, **changes)
    run = Run.create(folder, {"chest": config.table()})
    run.save_tensors("weights.safetensors", build_net(config).state_dict())
    return folder


def chest_with_ball(at_mm: Sequence[float], radius_mm: float, hu: float = 900.0) -> Case:
    """A built-in chest with pixels of 5 mm, without disease, and a ball of `hu` at (z, y, x) in mm."""
    settings = ChestSettings(nodule_share=0, infection_share=0, effusion_share=0, distractors=False, noise_hu=0)
    made = make_patient(2, 4, site="chest", shape=(16, 72, 88), spacing_mm=(6.0, 5.0, 5.0), settings=settings, texture=False)
    case = made.case
    index = np.indices(tuple(case.hu.shape)).reshape(3, -1)
    places = (case.affine_mm @ np.vstack([index, np.ones(index.shape[1])]))[:3]  # type: ignore[operator]
    ball = sum((v - c) ** 2 for v, c in zip(places, at_mm, strict=True)) < radius_mm**2
    where = torch.from_numpy(np.asarray(ball).reshape(tuple(case.hu.shape)))
    return Case(case.hu.clamp(max=200).masked_fill(where, hu), case.spacing_mm, "chest-4", affine_mm=case.affine_mm)
