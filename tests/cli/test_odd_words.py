"""Words that a shell lets through and people do not mean: empty outputs, names that are not UTF-8, outputs being written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from taskct.data.case import Case
from taskct.data.nifti import write_nifti

SHARED_TOML = "schema = 1\nx = " + "9" * 5000


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    hu = torch.full((2, 24, 24), -1000.0)
    hu[:, 6:18, 5:15] = 40.0
    write_nifti(Case(hu, (5.0, 2.0, 2.0)), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "CT"),
        ("reconstruct", "CT"),
        ("evaluate", "CT"),
        ("report", "CT"),
        ("train", "CONFIG"),
        ("demo",),
        ("dose", "CT"),
        ("bench",),
        ("chest", "CT"),
        ("reproduce", "dose"),
    ],
)
def test_an_empty_output_is_refused_as_the_callers_mistake(ct, taskct_says, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text("schema = 1\n[training]\nsteps = 1\n")
    names = {"CT": ct, "CONFIG": tmp_path / "c.toml"}
    code, _, err = taskct_says(*(names.get(w, w) for w in words), "--out", "")
    assert code == 2 and err.count("\n") >= 1 and "a bug of ours" not in err
    assert sorted(os.listdir(tmp_path)) == ["c.toml", "ct.nii.gz"]


def test_a_name_that_is_not_utf_8_goes_through_the_whole_chain(ct, tmp_path):
    """In a process of its own, whose streams are as strict as a user's."""
    odd = os.path.join(os.fsencode(tmp_path), b"a\xff.nii.gz")
    os.rename(ct, odd)
    code = (
        "import sys\nfrom taskct.cli import main\n"
        "for words in (['info'], ['simulate', '--views', '20', '--out', 's.h5'],"
        " ['evaluate', '--views', '20', '--methods', 'fbp', '--doses', '1', '--slices', '0', '--report', '--out', 'run']):\n"
        "    try:\n        main([words[0], sys.argv[1], *words[1:]])\n"
        "    except SystemExit as stop:\n        assert not stop.code, stop.code\n"
        "for words in (['info', 's.h5'], ['info', 'run'], ['reconstruct', 's.h5', '--out', 'o.nii.gz'],"
        " ['report', 'run', '--overwrite']):\n"
        "    try:\n        main(words)\n"
        "    except SystemExit as stop:\n        assert not stop.code, (words, stop.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, odd], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    assert b"a bug of ours" not in done.stderr
    done.stdout.decode("utf-8")


def test_an_output_that_another_process_is_writing_is_refused_before_the_work(ct, taskct_says, tmp_path):
    hold = (
        "import sys\nfrom taskct.core.write_locks import one_writer\nwith one_writer(sys.argv[1]):\n"
        "    print('held', flush=True)\n    sys.stdin.read()"
    )
    for verb, out in (("simulate", "scan.h5"), ("evaluate", "run"), ("reconstruct", "o.nii.gz")):
        with subprocess.Popen(
            [sys.executable, "-c", hold, str(tmp_path / out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            code, _, err = taskct_says(verb, ct, "--out", tmp_path / out, "--overwrite")
            assert code == 2 and f"{out}: is being written by process {other.pid}" in err
            other.kill()


@pytest.mark.parametrize("kind", ["['fan']", "{a = 1}", "3", "1979-01-01"])
def test_a_word_of_another_type_in_a_config_is_the_callers_mistake(taskct_says, tmp_path, kind):
    (tmp_path / "c.toml").write_text(
        f"schema = 1\ninputs = ['phantom:abdomen:1']\n[beam]\nkind = {kind}\nviews = 3\ncols = 4\npixel_mm = 1.0\n"
    )
    code, _, err = taskct_says("evaluate", tmp_path / "c.toml", "--out", tmp_path / "run")
    assert code == 2 and "a bug of ours" not in err
    (tmp_path / "c.toml").write_text(f"schema = 1\ninputs = ['phantom:abdomen:1']\n[methods.fbp]\nmethod = {kind}\n")
    code, _, err = taskct_says("evaluate", tmp_path / "c.toml", "--out", tmp_path / "run")
    assert code == 2 and "a bug of ours" not in err
    (tmp_path / "c.toml").write_text(SHARED_TOML)
    code, _, err = taskct_says("evaluate", tmp_path / "c.toml", "--out", tmp_path / "run")
    assert code == 2 and "c.toml: cannot be read as TOML" in err
