"""One writer at a time, by a lock that dies with its process."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from taskct.core.errors import BusyError
from taskct.core.leftovers import tidy
from taskct.core.write_locks import claim, one_writer, release_claims

HOLDER = """
import sys, time
from taskct.core.write_locks import one_writer
with one_writer(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_process_is_told_who_writes_and_a_killed_one_holds_nothing(tmp_path):
    out = tmp_path / "deep" / "scan.h5"
    with holder(out) as first:
        told = rf"scan\.h5: is being written by process {first.pid}; wait for it to end"
        with pytest.raises(BusyError, match=told), one_writer(out):
            pass
        (tmp_path / "link").symlink_to(tmp_path / "deep")
        with pytest.raises(BusyError), one_writer(tmp_path / "link" / "scan.h5"):  # the same file by another way
            pass
        with one_writer(tmp_path / "deep" / "other.h5"):
            pass
        tidy(tmp_path / "deep")
        assert os.listdir(tmp_path / "deep") == [".lock-scan.h5"]
        first.send_signal(signal.SIGKILL)
        first.wait()
        with one_writer(out):
            pass
    assert os.listdir(tmp_path / "deep") == []


def test_a_lock_left_by_a_killed_process_is_swept(tmp_path):
    with holder(tmp_path / "run") as first:
        first.kill()
        first.wait()
    assert os.listdir(tmp_path) == [".lock-run"]
    tidy(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_thread_holds_a_place_as_often_as_it_likes_and_another_is_told(tmp_path):
    told = []

    def other():
        try:
            with one_writer(tmp_path / "run"):
                told.append("held")
        except BusyError as error:
            told.append(str(error))

    with one_writer(tmp_path / "run"):
        with one_writer(tmp_path / "run"):
            tidy(tmp_path)  # opening our own lock file would give it up
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        code = f"import sys; from taskct.core.write_locks import one_writer\nwith one_writer({str(tmp_path / 'run')!r}): pass"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "BusyError" in done.stderr
    assert "another thread of this process" in told[0]
    assert os.listdir(tmp_path) == []


def test_folders_made_for_a_lock_go_when_nothing_came_of_them(tmp_path):
    with one_writer(tmp_path / "a" / "b" / "out"):
        assert (tmp_path / "a" / "b").is_dir()
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_its_owner_removes_while_we_take_it_is_not_taken_for_ours(tmp_path, monkeypatch):
    import fcntl

    real, lock = fcntl.lockf, tmp_path / ".lock-run"
    seen = []

    def removed_before(descriptor, *how):
        if not seen:
            seen.append(lock)
            lock.unlink()  # the owner ended between our opening of the file and our lock on it
        return real(descriptor, *how)

    monkeypatch.setattr(fcntl, "lockf", removed_before)
    with one_writer(tmp_path / "run"):
        assert lock.exists() and seen


def test_claims_last_until_they_are_released(tmp_path):
    claim(tmp_path / "out")
    assert os.listdir(tmp_path) == [".lock-out"]
    release_claims()
    assert os.listdir(tmp_path) == []


def test_a_child_made_by_fork_does_not_keep_the_lock_of_its_parent(tmp_path):
    code = (
        "import os, sys, time\nfrom taskct.core.write_locks import one_writer\n"
        "with one_writer(sys.argv[1]):\n"
        "    if os.fork() == 0:\n        time.sleep(20); os._exit(0)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)
    began = time.monotonic()
    with one_writer(tmp_path / "run"):
        assert time.monotonic() - began < 10
