"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_S = 120.0


def wait_for(happens: Callable[[], object], what: str) -> None:
    """Return when `happens()` is true; TimeoutError that names `what` was waited for, after two minutes."""
    deadline = time.monotonic() + MOST_S
    while not happens():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {MOST_S:g} s in vain for {what}")
        time.sleep(0.01)
