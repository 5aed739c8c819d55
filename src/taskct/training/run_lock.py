"""A run is trained by one process at a time, or by the processes of one `torchrun`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from taskct.core.write_locks import one_writer
from taskct.training.processes import rank

P = ParamSpec("P")
R = TypeVar("R")


def alone_in_its_run(work: Callable[P, R]) -> Callable[P, R]:
    """Let `work(..., run, ...)` hold the lock of its run folder; BusyError when another process trains in it."""
    signature = inspect.signature(work)

    @functools.wraps(work)
    def locked(*args: P.args, **more: P.kwargs) -> R:
        if rank() != 0:  # the leading process holds the lock for all
            return work(*args, **more)
        run = signature.bind(*args, **more).arguments["run"]
        with one_writer(run.folder):
            return work(*args, **more)

    return locked
