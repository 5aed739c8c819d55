"""One small chest experiment, done once for all tests of the system."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_chest import TINY, chest_experiment

from taskct.systems.chest.chest_settings import ChestExperiment


@pytest.fixture(scope="session")
def tiny_settings() -> ChestExperiment:
    return ChestExperiment(**TINY)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished small experiment with every kind of step but the shortcut test."""
    return chest_experiment(tmp_path_factory, "full", TINY)
