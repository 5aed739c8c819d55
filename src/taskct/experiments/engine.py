"""Doing an experiment: its steps in order, in this process or on Dask workers; what is done is never done again."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from taskct.core.errors import InputError
from taskct.core.workers import Workers, as_workers
from taskct.core.write_locks import one_writer
from taskct.experiments.folder_records import Records
from taskct.experiments.steps import Step, checked_steps, step_keys
from taskct.experiments.work import Say, Work

Settings = TypeVar("Settings")


def run_steps(
    make: Callable[[Settings], Sequence[Step]],
    settings: Settings,
    folder: str | os.PathLike[str],
    *,
    workers: int | Workers = 1,
    say: Say = print,
) -> dict[str, Path]:
    """Do all steps of `make(settings)` that are not done yet -> {step: its folder}.

    `make` is a function of a module, and `settings` can be sent to another process: Dask workers build the steps themselves,
    and see `folder` under the same path. One worker is this process. Each step has one thread unless `workers` says otherwise.
    Results depend neither on the number of workers nor on kills between, as far as the steps keep to that (see `Step`).

    A step that fails ends the experiment, after the others have finished what they are doing; the same call resumes it. A
    worker that is lost is replaced, and its step resumes. Raises ConfigError for a folder that holds steps of other settings,
    BusyError for one that another process runs, ResourceError when scheduler or workers are gone, and what a step raises.
    """
    chosen = as_workers(workers)
    steps, records = checked_steps(make(settings)), Records(folder)
    with one_writer(records.folder):
        work = Work(steps, records, uuid.uuid4().hex, chosen.threads or 1)
        for name, step in steps.items():
            records.check(step, work.keys[name])
        records.forget_failures(steps)
        if chosen.here:
            begun, done = time.time(), work.counted()
            for step in steps.values():
                if work.do(step, say):
                    say(work.said_done(step, begun, next(done)))
        else:
            from taskct.experiments.steps_on_workers import do_on_workers

            do_on_workers(make, settings, work, chosen, say)
    return {name: records.folder / name for name in steps}


def do_last(steps: Sequence[Step], folder: str | os.PathLike[str]) -> Path:
    """Do the last step with those of its needs that are done -> its folder: the results of an experiment under way.

    It is not recorded as done. Raises InputError when none of its needs is, and ConfigError where one was begun with other
    settings: the results would be shown as those of settings that they do not have.
    """
    last, records = steps[-1], Records(folder)
    planned = checked_steps(steps)
    for name, key in step_keys(planned).items():
        records.check(planned[name], key, words="repeat the size and the settings that the experiment was begun with")
    if not any(records.done(name) for name in last.needs):
        raise InputError(f"{folder}: no step is done that {last.name!r} could show; resume the experiment first")
    last.work.run(records.folder, last.name)
    return records.folder / last.name
