"""Doing an experiment: its steps in order, by one process or several; what is done is never done again.

Processes need no coordinator. Each takes the first step that is not done, whose needs are, and that nobody works at (a
file lock says so, which dies with its process); so several commands may work at one folder at the same time.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from taskct.core import errors
from taskct.experiments.records import Records
from taskct.experiments.steps import Step, checked_steps, step_keys
from taskct.experiments.worker import Say, Worker

Settings = TypeVar("Settings")
Make = Callable[[Any], Sequence[Step]]


def run_steps(
    make: Callable[[Settings], Sequence[Step]],
    settings: Settings,
    folder: str | os.PathLike[str],
    *,
    workers: int = 1,
    threads: int = 1,
    say: Say = print,
) -> dict[str, Path]:
    """Do all steps of `make(settings)` that are not done yet -> {step: its folder}.

    `make` is a function of a module, and `settings` can be sent to another process: with `workers` > 1 each of them builds
    the steps itself. Each uses `threads` threads. Results depend on neither the number of processes nor on kills between,
    as far as the steps keep to that (see `Step`); on the number of threads they may depend by rounding.

    A step that fails ends the experiment, with what the others are doing finished first; the same call goes on later.
    Raises ConfigError for a folder that holds steps of other settings, and what a step raises.
    """
    steps = checked_steps(make(settings))
    keys, records = step_keys(steps), Records(folder)
    for name, step in steps.items():
        records.check(step, keys[name])
    for name in steps:
        records.path(name, "error").unlink(missing_ok=True)
    begun = time.time()
    if workers <= 1:
        with _threads(threads):
            Worker(steps, records, begun, say).work()
    else:
        _with_processes(workers, say, make=make, settings=settings, folder=Path(folder), threads=threads, begun=begun)
    return {name: records.folder / name for name in steps}


def do_last(steps: Sequence[Step], folder: str | os.PathLike[str]) -> Path:
    """Do the last step with those of its needs that are done -> its folder: the results of an experiment under way.

    It is not recorded as done. Raises InputError when none of its needs is.
    """
    last, records = steps[-1], Records(folder)
    if not any(records.done(name) for name in last.needs):
        raise errors.InputError(f"{folder}: no step is done that {last.name!r} could show; resume the experiment first")
    last.work.run(records.folder, last.name)
    return records.folder / last.name


def _with_processes(workers: int, say: Say, **about: Any) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads
    told: Any = context.Queue()
    about |= {"told": told, "parent": os.getpid()}
    processes = [context.Process(target=_process, kwargs=about) for _ in range(workers)]
    failed: list[Exception] = []

    def listen(timeout_s: float) -> bool:
        try:
            kind, what = told.get(timeout=timeout_s)
        except queue.Empty:
            return False
        if kind == "failed":
            failed.append(_same_error(*what))
        else:
            say(what)
        return True

    try:
        for process in processes:
            process.start()
        while any(p.is_alive() for p in processes):
            listen(0.3)
        while listen(0.05):
            pass
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()  # trainings save their state and leave
        for process in processes:
            if process.pid is not None:
                process.join()
    if failed:
        raise failed[0]
    broken = [p.exitcode for p in processes if p.exitcode]
    if broken:
        raise errors.ResourceError(
            f"{about['folder']}: a process of the experiment ended with code {broken[0]}; the same command goes on"
        )


def _process(*, make: Make, settings: Any, folder: Path, threads: int, begun: float, told: Any, parent: int) -> None:
    """The life of one process."""
    import torch

    signal.signal(signal.SIGTERM, _leave)
    torch.set_num_threads(threads)
    try:
        steps = checked_steps(make(settings))
        Worker(steps, Records(folder), begun, lambda text: told.put(("said", text))).work(parent=parent)
    except KeyboardInterrupt:
        return
    except Exception as error:
        told.put(("failed", (type(error).__name__, str(error))))


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _same_error(kind: str, text: str) -> Exception:
    """An error of another process as one of this: of the same class where it is one of taskct's."""
    own = getattr(errors, kind, None)
    if isinstance(own, type) and issubclass(own, errors.TaskctError):
        return own(text)
    return RuntimeError(f"{kind}: {text}")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads inside the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
