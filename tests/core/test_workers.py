"""Workers: errors that keep their class, and words for what is missing."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from pathlib import Path

import pytest
from worker_jobs import pages_asked_for

from taskct.core import workers as core_workers
from taskct.core.errors import ConfigError, DataError, InputError, ResourceError
from taskct.core.queues import WORKER_RULES, exports, first_lines
from taskct.core.workers import QUEUES, Workers, chosen_workers, open_client, sendable


class OddError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def variable(name: str) -> str | None:
    return os.environ.get(name)


def test_workers_have_the_environment_of_the_moment_at_which_they_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    for value in ("first", "second"):
        monkeypatch.setenv("TASKCT_TEST_OF_WORKERS", value)
        with open_client(Workers(2)) as client:
            assert client.submit(variable, "TASKCT_TEST_OF_WORKERS").result() == value


@pytest.mark.skipif(sys.platform != "linux", reason="how memory is kept is glibc's")
def test_workers_keep_the_memory_of_one_image_for_the_next() -> None:
    pytest.importorskip("distributed")
    with open_client(Workers(2)) as client:
        assert client.submit(pages_asked_for).result() < 10_000  # 128,000 where each image asks for its pages anew


def test_what_dask_is_told_reaches_a_job_through_its_environment() -> None:
    dask = pytest.importorskip("dask")
    names = [line.removeprefix("export ") for line in exports(WORKER_RULES)]
    read = dask.config.collect_env(dict(shlex.split(line)[0].split("=", 1) for line in names))
    assert read["distributed"]["worker"]["profile"]["enabled"] is False
    assert read["distributed"]["nanny"]["pre_spawn_environ"] == WORKER_RULES["distributed.nanny.pre-spawn-environ"]


@pytest.mark.parametrize("site", [{"job-script-prologue": ["module load a"]}, {"env-extra": ["module load a"]}])
def test_a_job_keeps_the_first_lines_of_its_site_unless_others_are_asked_for(site: dict[str, list[str]]) -> None:
    dask = pytest.importorskip("dask")
    pytest.importorskip("dask_jobqueue")
    with dask.config.set({"jobqueue.slurm": site, "jobqueue.other": {"job-script-prologue": ["b"]}}):
        assert first_lines("slurm", {}) == first_lines("slurm", {"job_script_prologue": None}) == ["module load a"]
        assert first_lines("slurm", {"config_name": "other"}) == ["b"]
        assert first_lines("slurm", {"job_script_prologue": ["c"]}) == ["c"]
        for name in ("job_script_prologue", "env_extra"):
            with pytest.raises(ConfigError, match=f"{name} of slurm expects a list of lines, got the text 'module load a'"):
                first_lines("slurm", {"job_script_prologue": [], name: "module load a"})


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"install taskct\[dask\], or use one worker"), open_client(Workers(2)):
        pass


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"count": -1}, "from 0"),
        ({"threads": 0}, "threads of 1 or more"),
        ({"cluster": "slrum"}, "expected the address of a Dask scheduler such as tcp://host:8786, or one of slurm, pbs, lsf"),
        ({"cluster": "tcp://host:1", "options": {"memory": "1 GiB"}}, "takes no options"),
    ],
)
def test_impossible_workers_are_refused(words: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Workers(**words)  # type: ignore[arg-type]


@pytest.mark.parametrize("cluster", ["", *QUEUES])
def test_an_unknown_option_of_a_cluster_is_named_before_anything_starts(cluster: str) -> None:
    pytest.importorskip("dask_jobqueue")
    right = "memory" if cluster else "memory_limit"
    with (
        pytest.raises(ConfigError, match=f"unknown option of .*; did you mean '{right}'"),
        open_client(Workers(2, cluster, {right[:-1]: "1 GiB"})),
    ):
        pass


def test_a_queue_that_is_not_here_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", "")
    for queue, command in zip(QUEUES, ("sbatch", "qsub", "bsub"), strict=True):
        with (
            pytest.raises(ConfigError, match=f"cluster {queue}: {command} is not on this machine"),
            open_client(Workers(2, queue)),
        ):
            pass


def test_a_file_of_options_is_read_and_what_is_wrong_with_it_begins_with_its_name(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('schema = 1\nqueue = "gpu"\ncores = 4\n')
    bad.write_text('schema = 1\nqueue = "gpu\n')
    assert chosen_workers(3, "slurm", good) == Workers(3, "slurm", {"queue": "gpu", "cores": 4})
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        chosen_workers(3, "slurm", bad)
    with pytest.raises(InputError, match=r"good\.toml: cluster tcp://x:1: a scheduler that runs already takes no options"):
        chosen_workers(3, "tcp://x:1", good)


def test_how_many_processes_a_number_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_workers, "cores", lambda: 6)
    assert [Workers(n).processes for n in (0, 1, 5)] == [6, 1, 5] and Workers(0, "slurm").processes == 8
    assert Workers(1).here and not Workers(1, "slurm").here and not Workers(2).here
    monkeypatch.setattr(core_workers, "cores", lambda: 1)
    assert Workers(0).here


def test_errors_reach_another_process_with_their_class_where_that_is_possible() -> None:
    assert type(sendable(DataError("x"))) is DataError and type(sendable(KeyError("x"))) is KeyError
    assert str(sendable(OddError("x"))) == "OddError: x" and type(sendable(OddError("x"))) is RuntimeError
    assert isinstance(sendable(MemoryError()), ResourceError)
