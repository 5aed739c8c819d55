"""The steps of an experiment on Dask workers: who does what, when, and again after a loss is Dask's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taskct.core.errors import ResourceError
from taskct.core.workers import Workers, gone_words, killed_words, open_client, sendable
from taskct.experiments.folder_records import Records
from taskct.experiments.steps import Step, checked_steps
from taskct.experiments.work import Say, Work

Make = Callable[[Any], Sequence[Step]]


def do_on_workers(make: Make, settings: Any, work: Work, workers: Workers, say: Say) -> None:
    """Do the steps that are not done; each waits for those it needs, and the earlier ones come first."""
    open_ones = [step for step in work.steps.values() if not work.is_done(step)]
    if not open_ones:
        return
    from distributed import as_completed

    begun, done = time.time(), work.counted()
    with open_client(workers) as client:
        topic = f"taskct-{work.token}"
        client.subscribe_topic(topic, lambda event: say(event[1]))
        if find_spec("bokeh"):  # without it, Dask's page has nothing to show
            say(f"Dask shows who does what at {client.dashboard_link}")
        futures: dict[str, Any] = {}
        for place, step in enumerate(open_ones):
            futures[step.name] = client.submit(
                _do_step,
                make,
                settings,
                str(work.records.folder.resolve()),
                step.name,
                work.token,
                work.threads,
                topic,
                [futures[name] for name in step.needs if name in futures],
                key=f"{step.name}-{work.token}",
                priority=-place,
                pure=False,
            )
        names = {future.key: name for name, future in futures.items()}
        failed: Exception | None = None
        completed = as_completed(list(futures.values()))
        for future in completed:
            step = work.steps[names[future.key]]
            if future.status == "finished":
                if future.result():
                    say(work.said_done(step, begun, next(done)))
            elif future.status == "error":
                failed = failed or _failure(future, work)
            elif future.status != "cancelled":  # its answer was lost with the worker that held it, and is asked for again
                completed.add(future)
            else:
                raise ResourceError(f"{work.records.folder}: {gone_words(workers)}")
        if failed is not None:
            raise failed


def _do_step(  # noqa: PLR0917  (what a worker is sent)
    make: Make, settings: Any, folder: str, name: str, token: str, threads: int, topic: str, needs: list[bool]
) -> bool:
    """What a worker does with a step -> whether the step is done; False after a failure anywhere, when nothing begins."""
    from distributed import get_worker

    del needs  # Dask waits for them
    steps, records = checked_steps(make(settings)), Records(Path(folder))
    if records.failed(steps):
        return False
    worker = get_worker()
    try:
        Work(steps, records, token, threads).do(steps[name], lambda text: worker.log_event(topic, text))
    except Exception as error:
        raise sendable(error) from None
    return True


def _failure(future: Any, work: Work) -> Exception:
    """The error of a step; a loss of its workers is noted, so that no other step begins."""
    from distributed import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        step = str(error.task).rsplit("-", 1)[0]
        words = killed_words(f"{work.records.folder / step}", error)
        work.records.fail(step, words)
        return ResourceError(words)
    return error if isinstance(error, Exception) else RuntimeError(str(error))
