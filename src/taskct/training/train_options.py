"""What `train` takes beside the model, its images and the objective, for functions that pass it on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

from taskct.core.runs import Run
from taskct.data.images import ImageSet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.simulate.clean_scans import CleanScans
from taskct.training.doses import DoseRange
from taskct.training.train_settings import TrainSettings


class TrainOptions(TypedDict, total=False):
    """Keywords of `train`; see there."""

    A: Required[Projector]
    dose: Required[Dose | DoseRange]
    run: Required[str | os.PathLike[str]]
    settings: Required[TrainSettings]
    validation: ImageSet | CleanScans | None
    held_out: Sequence[str]
    warm_start: Run | str | os.PathLike[str] | None
    refine: int
    cache_gib: float
    config: Mapping[str, Any] | None
    progress: bool | None
