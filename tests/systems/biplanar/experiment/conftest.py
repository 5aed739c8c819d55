"""A small experiment with everything that is asked beside the main table."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_once import made_once
from small_biplanar import settings

from taskct.experiments import run_steps
from taskct.systems.biplanar.experiment import BiPlanar, biplanar_steps


@pytest.fixture(scope="package")
def asked() -> BiPlanar:
    """Two trainings of one row, readers, refined poses, one view."""
    return settings(
        seeds=2,
        nets=("smear", "smear-agree"),
        reading_skulls=12,
        refined=("gaussian",),
        view_counts=(1,),
        few_view_plain=("atlas",),
    )


@pytest.fixture(scope="package")
def answered(asked: BiPlanar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    return made_once(tmp_path_factory, "asked", lambda folder: run_steps(biplanar_steps, asked, folder, say=lambda text: None))
