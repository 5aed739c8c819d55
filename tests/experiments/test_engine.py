"""Experiments: every step once, in order, across kills, processes and growth."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import own_process
import pytest
from experiment_steps import GO, Sums, sums
from places import child_env
from waiting import wait_for

from taskct.core.errors import BusyError, ConfigError, DataError
from taskct.core.workers import Workers
from taskct.experiments import Records, run_steps
from taskct.experiments.engine import do_last

pytestmark = pytest.mark.slow


def _visits(folder: Path) -> list[int]:
    return [len((folder / f"number-{k}" / "visits").read_text()) for k in range(3)]


def test_steps_are_done_once_and_what_gathers_them_every_time(tmp_path: Path) -> None:
    lines: list[str] = []
    for _ in range(2):
        folders = run_steps(sums, Sums(), tmp_path, say=lines.append)
        assert (folders["total"] / "value").read_text() == "6"
    assert _visits(tmp_path) == [1, 1, 1]
    assert sum("total: done" in line for line in lines) == 2 and sum("number-1: done" in line for line in lines) == 1
    done = [line.partition("; ")[2].partition(",")[0] for line in lines if ": done in" in line]
    assert done == [f"{k} of 4 steps done" for k in (1, 2, 3, 4, 4)]


def test_a_folder_that_was_deleted_is_made_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    run_steps(sums, Sums(), tmp_path, say=str)
    shutil.rmtree(tmp_path / "number-1")
    lines: list[str] = []
    assert (run_steps(sums, Sums(), tmp_path, say=lines.append)["total"] / "value").read_text() == "6"
    assert _visits(tmp_path) == [1, 1, 1] and sum(": done in" in line for line in lines) == 2


def test_an_experiment_grows(tmp_path: Path) -> None:
    run_steps(sums, Sums(count=3), tmp_path, say=str)
    folders = run_steps(sums, Sums(count=5), tmp_path, say=str)
    assert (folders["total"] / "value").read_text() == "15" and _visits(tmp_path) == [1, 1, 1]


def test_other_settings_in_the_same_folder_are_refused_before_any_work(tmp_path: Path) -> None:
    run_steps(sums, Sums(), tmp_path, say=str)
    with pytest.raises(ConfigError, match=r"number-0: was made with value = 1, now 2; give another folder"):
        run_steps(sums, Sums(first=2), tmp_path, say=str)
    assert (tmp_path / "number-0" / "value").read_text() == "1"


def test_a_report_of_results_under_settings_that_they_do_not_have_is_refused(tmp_path: Path) -> None:
    # the page of an experiment of one size was written with the settings of another one
    run_steps(sums, Sums(), tmp_path, say=str)
    (tmp_path / "total" / "value").write_text("old")
    words = r"number-0: was made with value = 1, now 2; repeat the size and the settings that the experiment was begun with"
    with pytest.raises(ConfigError, match=words):
        do_last(sums(Sums(first=2)), tmp_path)
    assert (tmp_path / "total" / "value").read_text() == "old"
    assert (do_last(sums(Sums(count=2)), tmp_path) / "value").read_text() == "3"


def test_a_step_that_fails_raises_its_own_error_and_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="number-1: is meant to fail"):
        run_steps(sums, Sums(fails="number-1"), tmp_path, say=str)
    assert not (tmp_path / "total").exists()
    assert (run_steps(sums, Sums(), tmp_path, say=str)["total"] / "value").read_text() == "6"


def test_a_killed_experiment_goes_on(tmp_path: Path) -> None:
    code = (
        "from experiment_steps import Sums, sums\nfrom taskct.experiments import run_steps\n"
        f"run_steps(sums, Sums(holds='number-1'), {str(tmp_path)!r})"
    )
    process = own_process.begin(code)
    wait_for(lambda: Records(tmp_path).read("number-1"), "the beginning of number-1")
    process.kill()
    assert Records(tmp_path).done("number-0") and not Records(tmp_path).done("number-2")
    lines: list[str] = []
    folders = run_steps(sums, Sums(), tmp_path, say=lines.append)  # the lock of the dead process holds nobody up
    assert (folders["total"] / "value").read_text() == "6" and _visits(tmp_path) == [1, 1, 1]
    assert any("number-1: resumed" in line for line in lines)


def test_one_worker_is_this_process_and_dask_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom experiment_steps import Sums, sums\nfrom taskct.experiments import run_steps\n"
        f"run_steps(sums, Sums(), {str(tmp_path)!r}, workers=1)\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('dask', 'distributed', 'tornado')])"
    )
    found = subprocess.run([sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_a_second_command_in_the_folder_of_an_experiment_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    first = threading.Thread(target=run_steps, args=(sums, Sums(holds="number-0"), folder), kwargs={"say": str})
    first.start()
    wait_for(lambda: Records(folder).read("number-0"), "the beginning of number-0")
    with pytest.raises(BusyError, match="x: is being written by"):
        run_steps(sums, Sums(), folder, say=str)
    (folder / GO).touch()
    first.join()
    assert _visits(folder) == [1, 1, 1]
    run_steps(sums, Sums(), folder, say=str)


def test_a_step_has_the_recorded_number_of_threads_and_resumes_with_it(tmp_path: Path) -> None:
    run_steps(sums, Sums(), tmp_path, workers=Workers(threads=2), say=str)
    records = Records(tmp_path)
    assert records.read("number-0")["threads"] == 2
    begun = {**records.read("number-1"), "done": False}
    records.path("number-1").write_text(json.dumps(begun))
    run_steps(sums, Sums(), tmp_path, say=str)
    assert records.read("number-1")["threads"] == 2 and records.read("number-1")["done"]
