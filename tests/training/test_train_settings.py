"""Settings of a training that cannot be are refused by name."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from small_training import how, make_model

from taskct.core.config import from_dict
from taskct.core.errors import ConfigError
from taskct.data.images import ImageSet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.training import ImageError, train
from taskct.training.train_settings import TrainSettings

PLAIN = {"image": (1.0, ImageError())}


def test_settings_that_cannot_be_are_refused_by_name(
    images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="'patients'; did you mean 'patience'"):
        from_dict(TrainSettings, {"steps": 3, "patients": 2})
    with pytest.raises(ConfigError, match="lack steps"):
        from_dict(TrainSettings, {})
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"batch": 0}, "batch >= 1, got 0"),
        ({"lr": math.inf}, "finite lr, got inf"),
        ({"lr": math.nan}, "finite lr, got nan"),
        ({"lr": 1e30}, "lr above 0 and at most 1000"),
        ({"reader_lr": math.inf}, "finite reader_lr"),
        ({"weight_decay": math.nan}, "finite weight_decay"),
        ({"clip_norm": math.inf}, "finite clip_norm"),
        ({"least_gain": math.nan}, "finite least_gain"),
        ({"ema": math.nan}, "finite ema"),
        ({"betas": (0.9, math.nan)}, "finite betas"),
        ({"betas": (0.9, 1.0)}, "betas of two numbers"),
        ({"schedule": "linear"}, "schedule cosine or constant"),
        ({"precision": "fp16"}, "precision auto, bf16 or float32"),
        ({"keep": "all"}, "keep best or last"),
    ]
    for settings, words in wrong:
        with pytest.raises(ConfigError, match=words):
            TrainSettings(steps=3, **settings)
    with pytest.raises(ConfigError, match=r"expects settings=TrainSettings\(steps=...\), got dict"):
        train(make_model(), images, objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", settings={"steps": 3})  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=re.escape("nothing to train")):
        train(
            make_model().requires_grad_(False),
            images,
            **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", steps=1),
        )
