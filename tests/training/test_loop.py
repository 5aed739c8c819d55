"""A training that is killed, stopped or shared by processes ends with the weights of one that was not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import own_process
import pytest
import torch
from places import SUPPORT, child_env
from training_job import job

from taskct.core.errors import ConfigError
from taskct.core.runs import load_run
from taskct.training.scan_source import ScanSource

pytestmark = pytest.mark.slow


JOB = SUPPORT / "training_job.py"


def start(folder: Path, *, kill: int = -1, precision: str = "auto", kind: tuple[str, ...] = ()) -> int:
    return own_process.run(JOB, folder, kill, precision, *kind).returncode


def torchrun(folder: Path, *kind: str) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    two = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", str(port))
    words = [sys.executable, *two, str(JOB), str(folder), "-1", "ranks", *kind]
    return subprocess.run(words, env=child_env(), check=False, timeout=120, capture_output=True).returncode


def weights(folder: Path) -> dict[str, torch.Tensor]:
    run = load_run(folder)
    files = [name for name in ("weights", "joint_joint", "discriminator") if run.path(f"{name}.safetensors").exists()]
    return {f"{name}.{k}": v for name in files for k, v in run.load_tensors(f"{name}.safetensors")[0].items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(("precision", "against"), [("float32", False), ("bf16", False), ("float32", True)])
def test_a_run_killed_without_warning_ends_bit_equal_to_one_that_was_not(
    precision: str, against: bool, tmp_path: Path
) -> None:
    # dose range, read-out noise, dropout, BatchNorm, running mean, warm-up and a joint reader at once; and all of that against
    # a discriminator with BatchNorm and a running mean of its own, which learns in every other step
    kind = ("against",) if against else ()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    job(str(tmp_path / "whole"), precision=precision, against=against)
    torch.set_num_threads(threads)
    step = int.from_bytes(os.urandom(1), "big") % 8 + 3  # any step after the first state
    assert start(tmp_path / "killed", kill=step, precision=precision, kind=kind) == -signal.SIGKILL
    assert not load_run(tmp_path / "killed").path("weights.safetensors").exists()
    assert start(tmp_path / "killed", precision=precision, kind=kind) == 0
    assert any(name.startswith("discriminator") for name in weights(tmp_path / "killed")) == against
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed")), f"killed at step {step}"
    lines = [[m["step"] for m in load_run(tmp_path / n).metrics() if m["kind"] == "validation"] for n in ("whole", "killed")]
    assert lines[0] == lines[1] == [4, 8, 12]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_ends_the_step_saves_and_goes_on_later(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(str(tmp_path / "whole"))
    own = ScanSource.batch

    def batch(self: ScanSource, step: int) -> object:
        if step == 4:
            os.kill(os.getpid(), number)
        return own(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(ScanSource, "batch", batch)
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
            job(str(tmp_path / "stopped"))
    assert job(str(tmp_path / "stopped")).steps == 12
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = job(str(tmp_path / "run"))
    before = load_run(tmp_path / "run").metrics()
    again = job(str(tmp_path / "run"))
    assert again.steps == first.steps and again.stopped == first.stopped == "all steps done"
    assert load_run(tmp_path / "run").metrics() == before


def test_a_run_goes_on_only_with_the_settings_it_began_with(tmp_path: Path) -> None:
    job(str(tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"began with lr = 0.005, now it is 0.01.*warm_start"):
        job(str(tmp_path / "run"), lr=0.01)


@pytest.mark.parametrize("kind", [(), ("against",)], ids=["one player", "two players"])
def test_two_ranks_end_where_one_process_ends(kind: tuple[str, ...], tmp_path: Path) -> None:
    if kind:  # one of both by torchrun itself, whose start takes seconds
        assert torchrun(tmp_path / "two", *kind) == 0
    else:
        ranks = own_process.run_ranks(2, JOB, tmp_path / "two", -1, "ranks")
        assert [(one.returncode, one.stdout) for one in ranks] == [(0, "done 0\n"), (0, "done 1\n")], ranks
    assert start(tmp_path / "one", precision="ranks", kind=kind) == 0
    one, both = weights(tmp_path / "one"), weights(tmp_path / "two")
    apart = max(float((one[k] - both[k]).abs().max()) for k in one)
    assert apart < 1e-6  # sums over a batch in another order, over 12 steps of Adam
    moved = max(float((one[k] - torch.zeros(())).abs().max()) for k in one)
    assert moved > 1e-2
