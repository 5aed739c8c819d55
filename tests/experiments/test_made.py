"""Handles: what a step makes reaches the steps after it, and a type checker refuses a handle of something else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from places import ROOT

from taskct.core.errors import InputError
from taskct.experiments import Made, Records, Step, call

USER = """
from pathlib import Path
from taskct.experiments.made import Made, call

def read_text(folder: Path) -> str:
    return folder.name

def read_number(folder: Path) -> int:
    return 1

def work(folder: Path, *, text: Made[str], times: int = 1) -> None: ...

text = Made("a", read_text)
call(work, text=text, times=2)
size: int = Made("b", read_number).load()
"""
WRONG = {
    'call(work, text=Made("b", read_number))': "arg-type",
    "call(work, txt=text)": "call-arg",
    'call(work, text=text, times="twice")': "arg-type",
    "number: int = text.load()": "assignment",
    'call(work, text="a")': "arg-type",
}


def read(folder: Path) -> str:
    return folder.name


class Pair(NamedTuple):
    number: int
    handle: Made[str]


def test_a_type_checker_takes_the_right_handles_and_refuses_every_wrong_one(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text(USER + "\n".join(WRONG) + "\n")
    source = ROOT / "src" / "taskct"
    words = [
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--no-site-packages",  # the package itself may be installed there, and would bring all that it imports
        "--no-error-summary",
        f"--cache-dir={ROOT / '.mypy_cache' / 'strict'}",
    ]
    for name in ("", "core", "experiments"):  # without what their own __init__ imports
        (tmp_path / "taskct" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "taskct" / name / "__init__.py").touch()
    record = "from pathlib import Path\nfrom typing import Any\n\ndef read_record(root: Path, name: str) -> dict[str, Any]:\n"
    copies = {
        "core/errors.py": (source / "core" / "errors.py").read_text(),
        "experiments/made.py": (source / "experiments" / "made.py").read_text(),
        "experiments/step_record.py": record + "    return {}\n",
    }
    for name, text in copies.items():
        (tmp_path / "taskct" / name).write_text(text)
    pages = [str(page), *(str(tmp_path / "taskct" / name) for name in copies)]
    found = subprocess.run([sys.executable, *words, *pages], check=False, capture_output=True, text=True, cwd=tmp_path)
    first = USER.count("\n") + 1
    for number, (line, code) in enumerate(WRONG.items()):
        assert f"page.py:{first + number}: error:" in found.stdout, (line, found.stdout)
        assert f"[{code}]" in next(text for text in found.stdout.splitlines() if f":{first + number}: error" in text)
    assert found.stdout.count("error:") == len(WRONG), found.stdout


def test_the_needs_of_a_step_are_the_handles_among_its_arguments_wherever_they_are() -> None:
    def work(folder: Path, one: Made[str], *, more: Sequence[Made[str]], named: Mapping[str, Made[str]], last: str) -> None:
        raise AssertionError

    handle = lambda name: Made(name, read)
    step = Step("s", call(work, handle("a"), more=[handle("b"), handle("a")], named={"x": handle("c")}, last="d"))
    assert step.needs == ("a", "b", "c")


def test_a_step_gets_its_handles_bound_to_the_folder_of_the_experiment(tmp_path: Path) -> None:
    seen: list[str] = []

    def work(folder: Path, *, named: Mapping[str, tuple[Made[str], int]], pairs: Sequence[Pair]) -> None:
        handles = [named["x"][0], *(pair.handle for pair in pairs)]
        seen.extend([folder.name, *(f"{one.load()} in {one.folder.parent.name}" for one in handles)])

    call(work, named={"x": (Made("a", read), 1)}, pairs=[Pair(2, Made("c", read))]).run(tmp_path, "b")
    assert seen == ["b", f"a in {tmp_path.name}", f"c in {tmp_path.name}"]


def test_a_handle_of_a_plan_has_nothing_to_load_yet() -> None:
    with pytest.raises(InputError, match="what the step 'a' makes can be read by a step that takes its handle"):
        Made("a", read).load()


def test_a_handle_says_whether_its_step_is_done_and_what_it_took(tmp_path: Path) -> None:
    step, records = Step("a", call(read)), Records(tmp_path)
    made = Made("a", read, tmp_path)
    assert not made.done and made.cpu_s == 0
    records.begin(step, "key")
    assert not made.done
    records.finish(step, "key", cpu_s=2.5)
    assert made.done and made.cpu_s == 2.5
    assert made.read_as(lambda folder: len(folder.name)).load() == 1
