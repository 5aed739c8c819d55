"""Small experiments that other processes can import: their steps write and read numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from taskct.core.errors import DataError
from taskct.experiments import Step


class Sums(NamedTuple):
    """`count` numbers, their sum; the step `fails` fails, and `slow_s` is how long each takes."""

    count: int = 3
    first: int = 1
    fails: str = ""
    slow_s: float = 0.0


def number(folder: Path, needed: Mapping[str, Path], *, value: int, settings: Sums) -> None:
    time.sleep(settings.slow_s)
    if folder.name == settings.fails:
        raise DataError(f"{folder.name}: is meant to fail")
    folder.mkdir(exist_ok=True)
    with open(folder / "visits", "a", encoding="utf-8") as f:
        f.write("x")
    (folder / "value").write_text(str(value))


def total(folder: Path, needed: Mapping[str, Path]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "value").write_text(str(sum(int((path / "value").read_text()) for path in needed.values())))


def sums(settings: Sums) -> list[Step]:
    """number-0 ... number-n, then their sum, which is always added up anew."""
    numbers = [
        Step(f"number-{k}", partial(number, value=settings.first + k, settings=settings), config={"value": settings.first + k})
        for k in range(settings.count)
    ]
    return [*numbers, Step("total", total, needs=tuple(s.name for s in numbers), always=True)]
