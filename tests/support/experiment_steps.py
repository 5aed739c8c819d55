"""Small experiments that other processes can import: their steps write and read numbers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from waiting import wait_for

from taskct.core.errors import DataError
from taskct.experiments import Made, Step, call

GO = "go"


class Sums(NamedTuple):
    """`count` numbers, their sum.

    The step `fails` fails, `slow_s` is how long each takes, and the process of the step `dies` is killed `deaths` times. The
    step `holds` ends only when the folder of the experiment has a file GO.
    """

    count: int = 3
    first: int = 1
    fails: str = ""
    slow_s: float = 0.0
    dies: str = ""
    deaths: int = 1
    holds: str = ""


def number(folder: Path, *, value: int, settings: Sums) -> None:
    time.sleep(settings.slow_s)
    if folder.name == settings.holds:
        wait_for((folder.parent / GO).exists, f"the file {GO} that ends {folder.name}")
    if folder.name == settings.fails:
        raise DataError(f"{folder.name}: is meant to fail")
    folder.mkdir(exist_ok=True)
    if folder.name == settings.dies and len(list(folder.glob("death-*"))) < settings.deaths:
        (folder / f"death-{len(list(folder.glob('death-*')))}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with open(folder / "visits", "a", encoding="utf-8") as f:
        f.write("x")
    (folder / "value").write_text(str(value))


def read_number(folder: Path) -> int:
    return int((folder / "value").read_text())


def total(folder: Path, *, numbers: Sequence[Made[int]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "value").write_text(str(sum(number.load() for number in numbers)))


def sums(settings: Sums) -> list[Step]:
    """number-0 ... number-n, then their sum, which is always added up anew."""
    values = [settings.first + k for k in range(settings.count)]
    numbers = [
        Step(f"number-{k}", call(number, value=value, settings=settings), config={"value": value})
        for k, value in enumerate(values)
    ]
    handles = [Made(step.name, read_number) for step in numbers]
    return [*numbers, Step("total", call(total, numbers=handles), always=True)]
