"""The queue systems whose jobs can be Dask workers: a new one is added to QUEUES."""

from __future__ import annotations

import importlib
import logging
import shlex
import shutil
from collections.abc import Mapping
from typing import Any, NamedTuple

from taskct.core.errors import ConfigError, unknown_name


class Queue(NamedTuple):
    """The class of dask_jobqueue that serves a queue system, and the command that submits a job."""

    cluster: str
    submit: str


QUEUES: dict[str, Queue] = {
    "slurm": Queue("SLURMCluster", "sbatch"),
    "pbs": Queue("PBSCluster", "qsub"),
    "lsf": Queue("LSFCluster", "bsub"),
}

WORKER_RULES: dict[str, Any] = {
    "distributed.worker.profile.enabled": False,  # sampling of stacks takes a quarter of a small training's time
    "distributed.nanny.pre-spawn-environ": {
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1),  # as Dask has them
        "MALLOC_TRIM_THRESHOLD_": 2**30,  # Dask's 2**16 gives memory back at once; asking anew took 3/4 of the time of TV
        "MALLOC_MMAP_THRESHOLD_": 2**25,  # the largest that glibc takes, and what it comes to by itself
    },
}
"""Dask's settings for workers, wherever they are started."""


def queue_cluster(queue: str, processes: int, options: Mapping[str, Any]) -> Any:
    """A Dask cluster whose workers are jobs of `queue` (one of QUEUES), with `options` of dask_jobqueue's class for it.

    Raises ConfigError for options that the class does not know, a machine without the command that submits jobs, and a
    queue that refuses the job, in its own words.
    """
    import inspect

    jobqueue = imported_with_dask("dask_jobqueue")
    kind = getattr(jobqueue, QUEUES[queue].cluster)
    bases = (*kind.job_cls.__mro__, *kind.__mro__)
    known = {name for base in bases if "__init__" in vars(base) for name in inspect.signature(base.__init__).parameters}
    for name in options:
        if name not in known - {"self", "args", "kwargs", "job_kwargs", "base_class_kwargs"}:
            raise unknown_name(f"option of {queue}", name, sorted(known))
    command = QUEUES[queue].submit
    if shutil.which(command) is None:
        raise ConfigError(f"cluster {queue}: {command} is not on this machine; start this where jobs are submitted")
    first = [*first_lines(queue, options), *exports(WORKER_RULES)]
    job = {"cores": 1, "processes": 1, "memory": "4 GiB", **options, "job_script_prologue": first}
    try:
        cluster = kind(**job, silence_logs=logging.CRITICAL)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        words = " ".join(str(error).split())
        raise ConfigError(f"cluster {queue}: {words}; check the options of the cluster") from error
    cluster.scale(processes)
    _refuse_unsubmitted(cluster, queue)
    return cluster


def first_lines(queue: str, options: Mapping[str, Any]) -> list[str]:
    """With what a job's script begins by `options`, else by Dask's settings of the site, each also under its old name.

    They are looked up here since dask_jobqueue leaves the site's out once it is given any. ConfigError for a text.
    """
    import dask

    section = options.get("config_name") or queue
    for name in ("job_script_prologue", "env_extra"):
        lines = options.get(name)
        if lines is None:
            lines = dask.config.get(f"jobqueue.{section}.{name.replace('_', '-')}", None)
        if isinstance(lines, str):
            raise ConfigError(f"{name} of {section} expects a list of lines, got the text {lines!r}; write [{lines!r}]")
        if lines:
            return list(lines)
    return []


def exports(rules: Mapping[str, Any]) -> list[str]:
    """Dask's settings as lines of a shell: a job's worker is another program, which reads them from its environment.

    >>> exports({"distributed.worker.profile.enabled": False})
    ['export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False']
    """
    names = {key: "DASK_" + key.upper().replace(".", "__").replace("-", "_") for key in rules}
    return [f"export {names[key]}={shlex.quote(repr(value))}" for key, value in rules.items()]


def _refuse_unsubmitted(cluster: Any, queue: str) -> None:
    """ConfigError with the queue's own words when it does not take a job, for which Dask would wait for ever."""
    cluster.sync(cluster._correct_state)  # what is asked for has been submitted
    jobs = [job for job in cluster.workers.values() if job.status.name == "created"]
    if not jobs:
        return
    try:
        cluster.sync(jobs[0].start)
    except (OSError, RuntimeError) as error:
        for job in jobs:
            job.status = type(job.status).closed
        cluster.close()
        words = " ".join(str(error).rpartition("stderr:")[2].split()) or "does not take jobs"
        raise ConfigError(f"cluster {queue}: {words}; check the options of the cluster") from error


def imported_with_dask(name: str) -> Any:
    """The module `name` of the extra `dask`; ConfigError naming the extra where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"several workers and clusters need Dask, and {name} is not installed; install taskct[dask], or use one worker"
        ) from error
