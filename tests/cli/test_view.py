"""`taskct view`: what it refuses before it serves, and that it serves until it is stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from lopsided_phantom import lopsided

from taskct.core import memory
from taskct.core.runs import Run
from taskct.data.nifti import write_nifti

Says = Callable[..., tuple[int, str, str]]
needs_viewer = pytest.mark.skipif(
    find_spec("fastapi") is None or find_spec("uvicorn") is None,
    reason="the viewer's packages are not installed: pip install 'taskct[viewer]'",
)


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    write_nifti(lopsided(), tmp_path / "ct.nii")
    return tmp_path / "ct.nii"


def test_without_its_packages_one_line_says_what_to_install(ct: Path, taskct_says: Says, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("taskct.viewer.view_server.find_spec", lambda name: None)
    code, out, err = taskct_says("view", ct)
    assert (code, out) == (2, "") and "pip install 'taskct[viewer]'" in err and err.count("\n") == 1


@needs_viewer
def test_a_port_in_use_is_one_line_before_anything_is_read(taskct_says: Says):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, out, err = taskct_says("view", "there-is-no-such-ct", "--port", port)
    assert (code, out) == (2, "") and f"--port {port}: another program uses this port" in err and err.count("\n") == 1


@needs_viewer
def test_a_ct_that_does_not_fit_into_memory_is_one_line(ct: Path, taskct_says: Says, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    code, out, err = taskct_says("view", ct)
    assert (code, out) == (4, "") and str(ct) in err and "GiB are free" in err and err.count("\n") == 1


@needs_viewer
def test_runs_without_images_say_what_to_open_instead(tmp_path: Path, taskct_says: Says):
    for name, config, words in (
        ("search", {"dose_search": {"what": "fbp"}}, "a dose search keeps numbers"),
        ("training", {"model": {"net": "unet"}, "training": {"steps": 1}}, "a training that is unfinished"),
        ("experiment", {"experiment": {"name": "task-adaptive"}}, "has no example images yet: it is unfinished: 0 steps done"),
        ("other", {"anything": 1}, "a run without images"),
    ):
        Run.create(tmp_path / name, config)
        code, _, err = taskct_says("view", tmp_path / name)
        assert code == 2 and words in err and str(tmp_path / name) in err and err.count("\n") == 1


@needs_viewer
def test_words_that_cannot_be_are_refused(ct: Path, taskct_says: Says):
    for words, said in (
        (("--methods", "fpb"), "unknown method 'fpb'"),
        (("--doses", "2"), "--doses 2: expected a fraction"),
        (("--labels", "a.nii", "--labels", "b.nii"), "--labels: expected one for each of 1 CT"),
        (("--beam", "clinical_cone"), "slice by slice"),
    ):
        code, _, err = taskct_says("view", ct, *words)
        assert code == 2 and said in err
    assert taskct_says("view", ct.parent / "missing.nii")[0] == 2


@needs_viewer
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_address_that_is_printed_answers_until_the_viewer_is_stopped(ct: Path, sent: signal.Signals, code: int):
    command = [sys.executable, "-m", "taskct", "view", str(ct)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as viewer:
        assert viewer.stdout is not None and viewer.stderr is not None
        address = viewer.stdout.readline().strip()
        with urllib.request.urlopen(address + "studies") as answer:
            assert answer.status == 200 and b'"title":"ct"' in answer.read().replace(b'": "', b'":"')
        viewer.send_signal(sent)
        assert viewer.wait(60) == code
        assert viewer.stderr.read() == ""


@needs_viewer
def test_two_readers_of_one_name_are_refused_as_the_page_could_not_tell_them_apart(ct: Path, taskct_says: Says):
    code, out, err = taskct_says("view", ct, "--reader", "a/seg", "--reader", "b/seg")
    assert (code, out) == (2, "") and "two readers are named 'seg'" in err and err.count("\n") == 1
