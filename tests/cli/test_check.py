"""`taskct check` on a user's file: what passes, what fails, what cannot be loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Says = Callable[..., tuple[int, str, str]]

CODE = """
import neighbour
from taskct.recon import fbp

NUMBER = 3

def good(p, A):
    return fbp(p, A)

def flipped(p, A):
    return fbp(p, A).flip(-1)

class Method:
    def __call__(self, p, A):
        return fbp(p, A, window="hann")

class NeedsWeights:
    def __init__(self, weights):
        pass
"""


@pytest.fixture
def my_file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "neighbour.py").write_text("")
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    return tmp_path / "mine.py"


@pytest.mark.parametrize("name", ["good", "Method"])
def test_a_right_reconstructor_passes(my_file: Path, name: str, taskct_says: Says) -> None:
    code, out, err = taskct_says("check", f"{my_file}:{name}")
    assert (code, err) == (0, "") and "all checks passed" in out


def test_a_wrong_one_fails_with_exit_code_2_and_says_where(my_file: Path, taskct_says: Says) -> None:
    code, out, _ = taskct_says("check", f"{my_file}:flipped")
    assert code == 2 and "fail  the disk is where it was: off by" in out


def test_linearity_and_gradient_are_asked_on_demand(my_file: Path, taskct_says: Says) -> None:
    code, out, _ = taskct_says("check", f"{my_file}:good", "--linear", "--gradient")
    assert code == 0 and "pass  linear" in out and "pass  gradient" in out


TASK = """
import torch
from taskct.nets import UNet
from taskct.task import DiceCE, FrozenTask, HuWindow, freeze

def liver_task():
    torch.manual_seed(0)
    return FrozenTask(freeze(UNet(1, 3, widths=(4, 8))), HuWindow(60, 320), DiceCE(), "liver")

blocked = FrozenTask(liver_task().net, lambda mu: HuWindow(60, 320)(mu).detach(), DiceCE(), "blocked")
"""


def test_a_task_is_asked_for_its_gradient_and_whether_it_stays(tmp_path: Path, taskct_says: Says) -> None:
    (tmp_path / "reader.py").write_text(TASK)
    code, out, err = taskct_says("check", f"{tmp_path}/reader.py:liver_task", "--shape", "40,48")
    assert (code, err) == (0, "") and "pass  weights and statistics stay" in out and "task 'liver': all checks passed" in out
    code, out, _ = taskct_says("check", f"{tmp_path}/reader.py:blocked")
    assert code == 2 and "fail  the gradient reaches the image: raised InputError: task 'blocked': its prepare step" in out
    code, _, err = taskct_says("check", f"{tmp_path}/reader.py:liver_task", "--shape", "4")
    assert code == 2 and "--shape expects Y,X or Z,Y,X" in err


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("mine.py", "expected FILE.py:NAME"),
        ("mine.py:goof", "did you mean 'good'?"),
        ("mine.py:NUMBER", "NUMBER is int, expected a callable"),
        ("mine.py:NeedsWeights", "NeedsWeights() failed with TypeError"),
        ("broken.py:x", "cannot be imported: ModuleNotFoundError"),
        ("none.py:x", "no such file"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(my_file: Path, part: str, words: str, taskct_says: Says) -> None:
    code, _, err = taskct_says("check", my_file.parent / part)
    assert code == 2 and words in err and err.count("\n") == 1
