"""One small chest experiment, done once for all tests of the system."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from small_chest import TINY

from taskct.systems.catalogue import reproduce
from taskct.systems.chest.chest_settings import ChestExperiment


@pytest.fixture(scope="session")
def tiny_settings() -> ChestExperiment:
    return ChestExperiment(**TINY)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished small experiment, made once for all processes of the tests; every test has a copy of its own process."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "chest-run"
    with open(f"{shared}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "report.html").exists():
            reproduce("chest", shared, preset="full", changes=TINY, workers=1, say=lambda text: None)
    folder = tmp_path_factory.mktemp("chest") / "run"
    shutil.copytree(shared, folder)
    return folder
