"""Where things lie, and the environment of a process that a test starts."""

from __future__ import annotations

import os
from pathlib import Path

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parents[1]


def child_env(**more: str) -> dict[str, str]:
    """The environment of a child process that can import what lies in tests/support, with one thread."""
    paths = os.pathsep.join(p for p in (str(SUPPORT), os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}
