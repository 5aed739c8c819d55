"""An experiment in the queue of a real SLURM: needs one whose jobs see this machine's files (marker `slurm`)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from experiment_steps import Sums, sums
from places import child_env
from worker_jobs import pages_asked_for

from taskct.core.errors import ConfigError
from taskct.core.workers import Workers, open_client
from taskct.experiments import Records, run_steps

pytestmark = pytest.mark.slurm


@pytest.fixture(autouse=True)
def _slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    answers = shutil.which("sinfo") and not subprocess.run(["sinfo", "-h"], check=False, capture_output=True).returncode
    if not answers:
        pytest.skip("no SLURM here: `sinfo` does not answer")
    monkeypatch.setenv("PYTHONPATH", child_env()["PYTHONPATH"])  # jobs take it over


def test_a_queue_that_does_not_take_the_jobs_says_why(tmp_path: Path) -> None:
    workers = Workers(2, "slurm", {"queue": "nonsense", "scheduler_options": {"host": "127.0.0.1"}})
    with pytest.raises(ConfigError, match=r"cluster slurm: .*invalid partition specified: nonsense"):
        run_steps(sums, Sums(), tmp_path / "x", workers=workers, say=str)


def options(tmp_path: Path) -> dict[str, object]:
    more = {"scheduler_options": {"host": "127.0.0.1"}, "death_timeout": 60}
    return {
        "memory": "1500 MiB", "job_mem": "1500M", "walltime": "00:10:00", "log_directory": str(tmp_path / "logs"), **more
    }  # fmt: skip


def test_a_job_keeps_the_memory_of_one_image_for_the_next(tmp_path: Path) -> None:
    with open_client(Workers(1, "slurm", options(tmp_path))) as client:
        assert client.submit(pages_asked_for).result() < 10_000


def test_an_experiment_runs_in_the_queue_and_a_job_that_dies_is_replaced(tmp_path: Path) -> None:
    lines: list[str] = []
    settings = Sums(count=4, dies="number-1")
    folders = run_steps(sums, settings, tmp_path / "x", workers=Workers(2, "slurm", options(tmp_path)), say=lines.append)
    assert (folders["total"] / "value").read_text() == "10"
    assert [len((tmp_path / "x" / f"number-{k}" / "visits").read_text()) for k in range(4)] == [1, 1, 1, 1]
    assert all(Records(tmp_path / "x").done(name) for name in folders)
    assert any("number-1: resumed" in line for line in lines) and sum(": done in" in line for line in lines) == 5
