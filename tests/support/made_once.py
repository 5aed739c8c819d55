"""Folders that are costly to make, made by the first of the processes that share the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A copy, for this process alone, of the folder that `make` fills; the others wait for the first one to make it.

    What a failure leaves is removed: each test that asks then sees the failure, not what another process left of it.
    """
    own = factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"once-{name}"
    done = Path(f"{shared}.done")
    with open(f"{shared}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(shared, ignore_errors=True)
            make(shared)
            done.touch()
    folder = factory.mktemp(name) / "copy"
    shutil.copytree(shared, folder)
    return folder
