"""Writers that are killed: each writes version k of something over version k - 1, and reads back which version there is.

A child made by `fork` (no import, a few ms) writes and is killed by SIGKILL, at a step of its choice or at a random time.
"""

from __future__ import annotations

import os
import random
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from taskct.core import files
from taskct.core.leftovers import LeftoverWarning

STEPS = ("replace", "rename", "link", "unlink", "rmdir", "fsync", "chmod", "mkdir")


@dataclass(frozen=True)
class Writer:
    """`write(place, k)` writes version k over whatever is there; `read(place)` gives k, or raises for a mixture."""

    name: str
    write: Callable[[Path, int], object]
    read: Callable[[Path], int]


def killed_at(writer: Writer, place: Path, version: int, step: int) -> bool:
    """Write in a child that dies just before its `step`-th change of the disk; False when it ended before."""

    def until_then() -> None:
        left = [step]

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def change(*args: object, **more: object) -> object:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(*args, **more)

            return change

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        files.exchange = counted(files.exchange)  # type: ignore[assignment]
        writer.write(place, version)

    return _in_child(until_then)


def killed_after(writer: Writer, place: Path, first: int, wait_s: float) -> None:
    """Write version after version in a child, until it is killed after `wait_s` of writing."""

    def for_ever() -> None:
        version = first
        while True:
            writer.write(place, version)
            version += 1

    _in_child(for_ever, wait_s=wait_s)


def check(writer: Writer, place: Path, least: int, most: int | None) -> int:
    """The version that is read after a kill, between these; then one more is written, and nothing else lies about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftoverWarning)
        found = writer.read(place)
        assert found >= least, f"{writer.name}: version {found} is older than {least}"
        assert most is None or found <= most, f"{writer.name}: version {found}, though {most} was the last"
        writer.write(place, found + 1)
        assert writer.read(place) == found + 1
    strays = [
        p for p in [*place.parent.iterdir(), *_inside(place)] if p.name.startswith((".part-", ".old-", ".commit-", ".lock-"))
    ]
    assert not strays, f"{writer.name}: {strays} are left"
    return found + 1


def every_kill(writer: Writer, place: Path, *, steps: range | None = None) -> int:
    """Kill before each change of the disk in turn, with the checks -> how many changes a write takes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    writer.write(place, 0)
    version = writer.read(place)
    for step in steps or range(1000):
        if not killed_at(writer, place, version + 1, step):
            return step
        version = check(writer, place, version, version + 1)
    return len(steps or ())


def random_kills(writer: Writer, place: Path, *, count: int, seed: int) -> int:
    """Kill `count` times after random times of at most three writes, with the checks -> the last version."""
    place.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    writer.write(place, 0)
    writer.write(place, 1)
    each = (time.perf_counter() - began) / 2
    dice = random.Random(seed)
    version = 1
    for _ in range(count):
        killed_after(writer, place, version + 1, dice.uniform(0, 3 * each))
        version = check(writer, place, version, None)
    return version


def _in_child(work: Callable[[], None], *, wait_s: float | None = None) -> bool:
    """Whether a child that does the work was killed by SIGKILL; a child that fails is an error of the test."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            torch.set_num_threads(1)
            warnings.simplefilter("ignore")
            os.write(write, b"!")
            work()
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    if wait_s is not None:
        time.sleep(wait_s)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the writer failed in its child"
    return False


def _inside(place: Path) -> list[Path]:
    return list(place.iterdir()) if place.is_dir() else []
