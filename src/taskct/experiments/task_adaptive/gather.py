"""Everything that is there, gathered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taskct.experiments.task_adaptive.settings import TaskAdaptive


def gather(folder: Path, needed: Mapping[str, Path], *, settings: TaskAdaptive) -> None:
    """Write the tables."""
    folder.mkdir(exist_ok=True)
