"""Experiments on Dask workers: each step once, whatever happens to workers, schedulers and people's patience."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from experiment_steps import GO, Sums, sums
from places import child_env
from waiting import wait_for

from taskct.core import workers as core_workers
from taskct.core.errors import DataError, ResourceError
from taskct.core.workers import Workers
from taskct.experiments import Records, run_steps
from taskct.experiments.steps import checked_steps
from taskct.experiments.work import Work

distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")
TWO = Workers(2)


def visits(folder: Path, count: int = 3) -> list[int]:
    return [len((folder / f"number-{k}" / "visits").read_text()) for k in range(count)]


def test_two_workers_do_each_step_once_and_say_so(tmp_path: Path) -> None:
    lines: list[str] = []
    folders = run_steps(sums, Sums(), tmp_path, workers=TWO, say=lines.append)
    assert (folders["total"] / "value").read_text() == "6" and visits(tmp_path) == [1, 1, 1]
    assert sum(": done in" in line for line in lines) == 4 and sum(": begins" in line for line in lines) == 4
    counts = [line.partition("; ")[2].partition(" steps")[0] for line in lines if ": done in" in line]
    assert counts == [f"{k} of 4" for k in (1, 2, 3, 4)]  # in the order in which they end, whatever began first
    assert all(Records(tmp_path).read(name)["threads"] == 1 for name in folders)
    again: list[str] = []
    run_steps(sums, Sums(), tmp_path, workers=TWO, say=again.append)
    assert sum(": done in" in line for line in again) == 1 and visits(tmp_path) == [1, 1, 1]  # what is always done anew


def test_a_step_that_fails_raises_its_own_error_and_nothing_begins_after_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="number-1: is meant to fail"):
        run_steps(sums, Sums(fails="number-1", count=8, slow_s=0.1), tmp_path, workers=TWO, say=str)
    assert not (tmp_path / "total").exists() and not (tmp_path / "number-7").exists()
    assert (run_steps(sums, Sums(count=8), tmp_path, say=str)["total"] / "value").read_text() == "36"
    assert visits(tmp_path, 8) == [1] * 8


def test_a_killed_worker_is_replaced_and_its_step_resumes(tmp_path: Path) -> None:
    lines: list[str] = []
    folders = run_steps(sums, Sums(dies="number-1", deaths=2), tmp_path, workers=TWO, say=lines.append)
    assert (folders["total"] / "value").read_text() == "6" and visits(tmp_path) == [1, 1, 1]
    assert len(list((tmp_path / "number-1").glob("death-*"))) == 2
    assert any("number-1: resumed" in line for line in lines)  # a worker may die before its words have left it
    assert sum("number-1: done in" in line for line in lines) == 1


def test_an_answer_that_is_lost_with_the_worker_that_held_it_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed.client import FutureState

    lost: list[str] = []
    noticed: set[str] = set()
    lose = FutureState.lose

    def noting(state: FutureState) -> None:
        noticed.add(state.key)
        lose(state)

    class Losing(distributed.as_completed):
        """Kills all workers once the first step is done, before anybody has looked at its answer.

        None is left that could give the answer again before the loss of it is seen.
        """

        def __next__(self) -> Any:
            future = super().__next__()
            if not lost:
                lost.append(future.key)
                for pid in future.client.run(os.getpid).values():
                    os.kill(pid, signal.SIGKILL)
                wait_for(lambda: future.key in noticed, "the loss of the answer")
                (tmp_path / GO).touch()
            return future

    monkeypatch.setattr(FutureState, "lose", noting)
    monkeypatch.setattr(distributed, "as_completed", Losing)
    folders = run_steps(sums, Sums(holds="number-2"), tmp_path, workers=TWO, say=str)
    (name,) = (key.rsplit("-", 1)[0] for key in lost)
    assert (folders["total"] / "value").read_text() == "6" and (tmp_path / name / "visits").read_text() == "x"


def test_a_step_that_takes_every_worker_with_it_is_named_and_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_workers, "LOSSES_ALLOWED", 1)
    with pytest.raises(
        ResourceError, match=r"number-1: 2 workers were lost while they did it, most likely for want of memory"
    ):
        run_steps(sums, Sums(dies="number-1", deaths=99), tmp_path, workers=TWO, say=str)
    assert Records(tmp_path).done("number-0") and not Records(tmp_path).done("number-1")
    assert (run_steps(sums, Sums(), tmp_path, say=str)["total"] / "value").read_text() == "6"


def test_workers_that_die_while_they_are_started_are_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_workers, "_LOST_S", 1)
    monkeypatch.setattr(core_workers, "_LOOK_S", 0.5)

    def workers() -> set[Any]:
        found = set()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # gone in the meantime
                words = " ".join(process.cmdline())
                if "spawn_main" in words or ("forkserver" in words and process.ppid() != os.getpid()):
                    found.add(process)
        return found

    first: set[Any] = set()
    again: set[Any] = set()

    def as_many_killed_again() -> bool:
        for process in workers() - first - again:
            process.kill()  # before it has reached the scheduler
            again.add(process)
        return len(again) >= len(first)

    def kill_all_twice() -> None:
        wait_for(lambda: Records(tmp_path).read("number-0"), "the beginning of number-0")
        first.update(workers())
        for process in first:
            process.kill()
        wait_for(as_many_killed_again, "workers in place of those that were killed")

    thread = threading.Thread(target=kill_all_twice)
    thread.start()
    folders = run_steps(sums, Sums(slow_s=1), tmp_path, workers=TWO, say=str)
    thread.join()
    assert 0 < len(first) <= len(again)
    assert (folders["total"] / "value").read_text() == "6" and visits(tmp_path) == [1, 1, 1]


def test_no_scheduler_at_the_address_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_workers, "_CONNECT_S", 1)
    with pytest.raises(ResourceError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers within 1 s"):
        run_steps(sums, Sums(), tmp_path, workers=Workers(cluster="tcp://127.0.0.1:9"), say=str)


def test_a_running_scheduler_is_used_and_left_running_and_one_that_goes_away_is_named(tmp_path: Path) -> None:
    from distributed import LocalCluster

    cluster = LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0")
    there = Workers(cluster=cluster.scheduler_address)
    folders = run_steps(sums, Sums(), tmp_path / "first", workers=there, say=str)
    assert (folders["total"] / "value").read_text() == "6"

    def go_away() -> None:
        wait_for(lambda: Records(tmp_path / "second").read("number-0"), "the beginning of number-0")
        cluster.close()

    thread = threading.Thread(target=go_away)
    thread.start()
    with pytest.raises(ResourceError, match=r"the Dask scheduler at tcp://.* is gone; what was done is kept"):
        run_steps(sums, Sums(slow_s=3), tmp_path / "second", workers=there, say=str)
    thread.join()
    run_steps(sums, Sums(), tmp_path / "second", say=str)
    assert visits(tmp_path / "second") == [1, 1, 1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_command_leaves_a_folder_that_resumes_and_no_process(tmp_path: Path, number: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import signal\nfrom experiment_steps import Sums, sums\nfrom taskct.experiments import run_steps\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        f"if __name__ == '__main__':\n    run_steps(sums, Sums(slow_s=20), {str(tmp_path / 'x')!r}, workers=2, say=str)"
    )
    process = subprocess.Popen([sys.executable, str(script)], env=child_env(), start_new_session=True, stderr=subprocess.PIPE)
    assert process.stderr is not None
    wait_for(lambda: Records(tmp_path / "x").read("number-1"), "the beginning of number-1")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # Ctrl-C reaches the workers too
    else:
        process.send_signal(number)
    said = process.stderr.read().decode()  # to its end: no process holds it any more
    process.wait()
    assert (said.count("Traceback") == (number == signal.SIGINT) and "KeyboardInterrupt" in said) or number == signal.SIGKILL
    lines: list[str] = []
    run_steps(sums, Sums(), tmp_path / "x", say=lines.append)
    assert visits(tmp_path / "x") == [1, 1, 1] and any("number-1: resumed" in line for line in lines)


def test_a_step_that_is_sent_twice_is_done_once(tmp_path: Path) -> None:
    settings = Sums(slow_s=0.5)
    steps, records = checked_steps(sums(settings)), Records(tmp_path)
    work = Work(steps, records, "call", 1)
    done: list[bool] = []
    both = [threading.Thread(target=lambda: done.append(work.do(steps["number-0"], str))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(done) == [False, True] and len((tmp_path / "number-0" / "visits").read_text()) == 1
