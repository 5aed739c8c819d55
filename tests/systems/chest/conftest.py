"""One small chest experiment, done once for all tests of the system."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_once import made_once
from small_chest import TINY

from taskct.systems.catalogue import reproduce
from taskct.systems.chest.chest_settings import ChestExperiment


@pytest.fixture(scope="session")
def tiny_settings() -> ChestExperiment:
    return ChestExperiment(**TINY)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished small experiment, made once for all processes of the tests; every process has a copy of its own."""
    return made_once(
        tmp_path_factory,
        "chest",
        lambda folder: reproduce("chest", folder, preset="full", changes=TINY, workers=1, say=lambda text: None),
    )
