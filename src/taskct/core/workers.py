"""Who does the work: this process, a local Dask cluster, a scheduler that runs already, or a queue (SLURM, PBS, LSF).

One worker is this process, and Dask is not imported. More than one, or a named cluster, need the extra `dask`. On workers each
call has one thread unless told otherwise, so results do not depend on the number of workers.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskct.core.config import read_toml
from taskct.core.errors import InputError, ResourceError, TaskctError, unknown_name
from taskct.core.queues import QUEUES, WORKER_RULES, imported_with_dask, queue_cluster

if TYPE_CHECKING:
    from distributed import Client, KilledWorker


LOSSES_ALLOWED = 10  # workers that may be lost with one piece of work before it is given up
_SCHEMES = ("tcp://", "tls://", "ws://", "wss://", "ucx://")
_CONNECT_S = 15
_LOST_S = 15  # a worker that is away for so long is taken for lost
_LOOK_S = 5  # between looks for lost workers
_START = "forkserver" if sys.platform == "linux" else "spawn"  # elsewhere the system's own libraries do not survive a fork
_LOCAL_OPTIONS = ("memory_limit", "local_directory", "dashboard_address")


@dataclass(frozen=True)
class Workers:
    """Where work is done.

    count     worker processes; 1 without a cluster is this process, 0 is one for each core (8 jobs in a queue)
    cluster   "" for this machine, the address of a Dask scheduler (tcp://host:8786), or one of QUEUES
    options   of the cluster: those of dask_jobqueue's class for a queue, memory_limit and the like for this machine
    threads   of each piece of work, wherever it runs; None: 1 on workers, and in this process as many as it uses anyhow
    """

    count: int = 1
    cluster: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 0:
            raise InputError(f"workers expects a number of processes from 0 (one for each core), got {self.count!r}")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"workers expects threads of 1 or more, got {self.threads!r}")
        if self.cluster and self.cluster not in QUEUES and not self.cluster.startswith(_SCHEMES):
            raise InputError(
                f"cluster {self.cluster!r}: expected the address of a Dask scheduler such as tcp://host:8786, or one of "
                f"{', '.join(QUEUES)}"
            )
        if self.running and self.options:
            raise InputError(
                f"cluster {self.cluster}: a scheduler that runs already takes no options, got {list(self.options)}"
            )

    @property
    def running(self) -> bool:
        """Whether the scheduler is somebody else's, so that it runs before and after."""
        return bool(self.cluster) and self.cluster not in QUEUES

    @property
    def processes(self) -> int:
        """How many worker processes are asked for."""
        return self.count or (8 if self.cluster in QUEUES else cores())

    @property
    def here(self) -> bool:
        """Whether this process does everything."""
        return not self.cluster and self.processes == 1


def as_workers(workers: int | Workers) -> Workers:
    """A number of processes of this machine as `Workers`."""
    return workers if isinstance(workers, Workers) else Workers(workers)


def chosen_workers(count: int, cluster: str = "", config: str | os.PathLike[str] | None = None) -> Workers:
    """Workers as a command line names them: `config` is a TOML file of the cluster's options."""
    if config is None:
        return Workers(count, cluster)
    try:
        return Workers(count, cluster, read_toml(config))
    except InputError as error:
        raise type(error)(str(error) if str(error).startswith(str(config)) else f"{Path(config)}: {error}") from error


def cores() -> int:
    """How many cores this process may use, at most 16."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, count)


@contextmanager
def open_client(workers: Workers) -> Iterator[Client]:
    """A Dask client of these workers; what was started for it ends with the block.

    Raises ConfigError without the extra `dask`, ResourceError when no scheduler answers.
    """
    distributed = imported_with_dask("distributed")
    dask = imported_with_dask("dask")
    rules = {
        "distributed.scheduler.allowed-failures": LOSSES_ALLOWED,
        "distributed.deploy.lost-worker-timeout": f"{_LOST_S}s",
        "distributed.worker.multiprocessing-method": _START,
        **WORKER_RULES,
    }
    with dask.config.set(rules):
        cluster = None if workers.running else _cluster(workers)
        try:
            client = _connected(distributed, workers, cluster)
            try:
                with _kept_up(cluster, workers.processes):
                    yield client
            finally:
                client.close(timeout=5)
        finally:
            if cluster is not None:
                cluster.close(timeout=10)


@contextmanager
def _kept_up(cluster: Any, count: int) -> Iterator[None]:
    """Start workers anew that died while they were started, and jobs that ended: Dask itself replaces those that had begun."""
    ended = threading.Event()

    async def forget_dead() -> None:
        for name, worker in list(cluster.workers.items()):
            if worker.status.name in ("failed", "closed"):
                del cluster.workers[name]

    def look() -> None:
        while not ended.wait(_LOOK_S):
            with suppress(Exception):  # the next look may succeed; work that waits for ever is better than work that is lost
                cluster.sync(forget_dead)
                cluster.scale(count)

    if cluster is None:
        yield
        return
    watch = threading.Thread(target=look, name="taskct-workers", daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


@contextmanager
def lost_named(workers: Workers, what: str) -> Iterator[None]:
    """Dask's errors about workers and schedulers that are gone as one ResourceError that says so."""
    from asyncio import CancelledError

    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        yield
    except KilledWorker as error:
        raise ResourceError(killed_words(what, error)) from error
    except (CancelledError, CommClosedError, TimeoutError) as error:
        raise ResourceError(gone_words(workers)) from error


def killed_words(what: str, error: KilledWorker) -> str:
    """The message about work whose workers were lost again and again."""
    count = error.allowed_failures + 1
    return (
        f"{what}: {count} workers were lost while they did it, most likely for want of memory; give fewer workers or more "
        "memory to each (--cluster-config with memory_limit or memory). What was done is kept"
    )


def gone_words(workers: Workers) -> str:
    """The message about a scheduler that is gone."""
    return (
        f"the Dask scheduler{' at ' + workers.cluster if workers.running else ''} is gone; what was done is kept, and the "
        "same command resumes once a scheduler answers"
    )


@contextmanager
def threads_set(count: int) -> Iterator[None]:
    """So many threads inside the block; several blocks of one process wait for one another."""
    import torch

    with _ONE_AT_A_TIME:  # torch's threads and random state belong to the process
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


_ONE_AT_A_TIME = threading.RLock()


def sendable(error: Exception) -> Exception:
    """The error as one that reaches another process whole: of the same class where it is one of taskct's."""
    if isinstance(error, TaskctError):
        return type(error)(str(error))
    if isinstance(error, MemoryError):
        return ResourceError(f"out of memory ({error or 'no more to be had'})")
    return error if _survives(error) else RuntimeError(f"{type(error).__name__}: {error}")


def _survives(error: Exception) -> bool:
    import pickle

    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False


def _cluster(workers: Workers) -> Any:
    if workers.cluster:
        return queue_cluster(workers.cluster, workers.processes, workers.options)
    distributed = imported_with_dask("distributed")
    for name in workers.options:
        if name not in _LOCAL_OPTIONS:
            raise unknown_name("option of a local cluster", name, _LOCAL_OPTIONS)
    _import_once(distributed)
    try:
        return distributed.LocalCluster(
            n_workers=workers.processes,
            threads_per_worker=1,
            processes=True,
            env=dict(os.environ),  # that of this moment: the process that forks them has that of its own beginning
            **{"dashboard_address": "127.0.0.1:0", **workers.options},
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError, TimeoutError) as error:
        words = " ".join(str(error).split())
        raise ResourceError(
            f"{workers.processes} workers could not be started on this machine ({words}); ask for fewer"
        ) from error


def _import_once(distributed: Any) -> None:
    """Let the workers be forks of one process that has imported what each of them would otherwise import for seconds."""
    if _START == "forkserver":
        distributed.utils.get_mp_context()  # its first call sets a list of its own
        multiprocessing.get_context(_START).set_forkserver_preload(["distributed", "torch"])


def _connected(distributed: Any, workers: Workers, cluster: Any) -> Client:
    try:
        client: Client = distributed.Client(cluster if cluster is not None else workers.cluster, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ResourceError(
            f"{workers.cluster or 'local cluster'}: no Dask scheduler answers within {_CONNECT_S} s "
            f"({' '.join(str(error).split())[:120]}); start one with `dask scheduler`, or check the address"
        ) from error
    if not workers.cluster:
        client.register_plugin(_deaf_to_interrupts(distributed))
    return client


def _deaf_to_interrupts(distributed: Any) -> Any:
    """Ctrl-C reaches every process of a terminal: the workers leave it to the process that started them."""

    def setup(self: Any, worker: Any) -> None:
        import signal

        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return type("Deaf", (distributed.WorkerPlugin,), {"name": "taskct-deaf", "setup": setup})()
