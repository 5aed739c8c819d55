"""Shared by all tests: where the real data lie."""

from __future__ import annotations

import gc
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: at 64 pixels more threads cost more than they give
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # where a test asks for several, those that wait must not spin

import pytest
from hypothesis import settings

from taskct.core import progress

gc.disable()  # until all tests are collected: what is found stays, and looking through it again and again takes seconds
progress.LINE_EVERY_S = float("inf")  # a slow machine must not add lines to what a test compares

settings.register_profile("ci", derandomize=True)  # the same examples each time: what is new is found at home
if os.environ.get("CI"):
    settings.load_profile("ci")

REAL_DATA = Path(os.environ.get("TASKCT_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Files that take long come first: with several processes (pytest -n 2 --dist loadfile) these then end at the same time.
    first = {item.path for item in items if "slow" in item.keywords or "begun_first" in item.keywords}
    items.sort(key=lambda item: item.path not in first)
    if REAL_DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"real CT not found at {REAL_DATA}; set TASKCT_REAL_DATA")
    for item in items:
        if "real_data" in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT; use it with the marker `real_data`."""
    return REAL_DATA
