"""The tool that asks whether the tests notice wrong code, on a planted package with one hole in its tests."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest
from mutants import mutants
from mutation import KILLED, TIMED_OUT, UNCOVERED, Project
from mutation_answers import read_rows, scores
from places import ROOT

SOURCE = '''\
"""Dose."""

LIMIT = 4


def allowed(dose, *, strict=True):
    if dose < 0:
        raise ValueError("a dose below 0")
    return dose <= LIMIT


def never(x):
    return x + 1


def count_down(n):
    while n > 0:
        n -= 1
    return n
'''
TESTS = """\
import pytest
from planted.core.dose import allowed, count_down

@pytest.fixture(scope="module")
def answer():
    return allowed(3)

def test_some_doses_are_allowed():
    assert allowed(1)
    assert not allowed(9)

def test_the_shared_answer_is_true(answer):
    assert answer is True

def test_the_shared_answer_is_one_of_two(answer):
    assert answer in (True, False)

def test_the_count_ends():
    assert count_down(3) == 0
"""
DRIVER = """\
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from forked_pytest import load_slow_libraries
from mutation import Project
from mutation_answers import run
import forked_pytest
forked_pytest._SLOW_TO_LOAD = ("pytest", "coverage")
load_slow_libraries()
project = Project(Path(sys.argv[1]), "planted", ("core",), Path(sys.argv[2]), support=(), grace_seconds=1.0)
units = ["tests/test_dose.py"]
list(project.record(units))
tests = project.tests(units)
rows = Path(sys.argv[2]) / "answers.jsonl"
seconds = float(sys.argv[4])
for _ in run(project, project.sample(100, 0), lambda mutant: tests, rows, budget=60.0, seconds=seconds, again=False):
    pass
"""


def changes(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for mutant in mutants(text.encode(), "x.py"):
        found.setdefault(mutant.kind, []).append(mutant.applied(text.encode()).decode())
    return found


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    project, store = folder / "project", folder / "store"
    (project / "src/planted/core").mkdir(parents=True)
    (project / "src/planted/__init__.py").write_text("")
    (project / "src/planted/core/__init__.py").write_text("")
    (project / "src/planted/core/dose.py").write_text(SOURCE)
    (project / "tests").mkdir()
    (project / "tests/test_dose.py").write_text(TESTS)
    (project / "pytest.ini").write_text("[pytest]\nmarkers = slow: long\n")
    subprocess.run(["git", "init", "-q", project], check=True)

    def go(seconds):
        driver = [sys.executable, "-c", DRIVER, project, store, ROOT / "tests" / "support", str(seconds)]
        done = subprocess.run(list(map(str, driver)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return list(read_rows(store / "answers.jsonl").values())

    return project, store, go, go(1000)


def outcome(rows: list[dict], before: str, after: str) -> dict:
    return next(r for r in rows if (r["before"], r["after"]) == (before, after))


def test_a_change_that_a_test_notices_is_killed_and_one_at_the_untested_limit_survives(trial):
    *_, rows = trial
    assert outcome(rows, "n > 0", "(n >= 0)")["outcome"] == KILLED
    assert outcome(rows, "dose < 0", "False")["outcome"] == "survived"  # no test gives a negative dose
    assert outcome(rows, "dose <= LIMIT", "(dose < LIMIT)")["outcome"] == "survived"  # nor the limit itself
    assert outcome(rows, "4", "5")["outcome"] == "survived"


def test_only_tests_that_run_the_line_are_tried_and_fixtures_count_for_those_who_use_them(trial):
    *_, rows = trial
    assert outcome(rows, "dose < 0", "False")["covering"] == 3
    assert outcome(rows, "n > 0", "(n >= 0)")["covering"] == 1
    assert outcome(rows, "x + 1", "(x - 1)")["outcome"] == UNCOVERED
    assert outcome(rows, "4", "5")["covering"] == 4  # run on import: every test that runs a function of the file


def test_a_loop_without_end_counts_as_killed(trial):
    *_, rows = trial
    assert outcome(rows, "n -= 1", "n += 1")["outcome"] == TIMED_OUT


def test_a_second_call_tries_only_what_has_no_answer_and_the_project_is_never_edited(trial):
    project, store, go, rows = trial
    kept = [json.dumps(row | {"by": "the first call"}) for row in rows[1:]]
    (store / "answers.jsonl").write_text("\n".join([*kept, '{"key": "cut sho']) + "\n")
    assert (project / "src/planted/core/dose.py").read_text() == SOURCE
    after = go(0.0)
    assert len(after) == len(rows) - 1  # no time: nothing is tried
    after = go(1000)
    assert [row["by"] for row in after[:-1]] == ["the first call"] * len(kept)
    assert after[-1]["key"] == rows[0]["key"] and after[-1]["outcome"] == rows[0]["outcome"]
    assert (project / "src/planted/core/dose.py").read_text() == SOURCE


def test_recorded_lines_are_found_again_after_an_edit_above_them(tmp_path):
    (tmp_path / "project/src/planted/core").mkdir(parents=True)
    file = tmp_path / "project/src/planted/core/dose.py"
    file.write_text("# new\n# lines\n" + SOURCE)
    subprocess.run(["git", "init", "-q", tmp_path / "project"], check=True)
    store = tmp_path / "store"
    (store / "sources").mkdir(parents=True)
    (store / "tests").mkdir()
    (store / "sources/then").write_text(SOURCE)
    project = Project(tmp_path / "project", "planted", ("core",), store)
    name = "src/planted/core/dose.py"
    told = {"files": {name: "then"}, "tests": {"tests/test_dose.py::test": {"seconds": 1.0, "lines": {name: [9, 10]}}}}
    project._recording("tests/test_dose.py").write_text(json.dumps(told))
    (test,) = project.tests(["tests/test_dose.py"])
    assert test.lines[name] == {11, 12}


def test_scores_count_time_outs_as_killed_and_uncovered_lines_as_alive():
    rows = [{"layer": "core", "outcome": o} for o in (KILLED, TIMED_OUT, "survived", UNCOVERED)]
    assert scores(rows, ["core", "data"]) == [("core", 4, 2, 1, 1), ("data", 0, 0, 0, 0), ("all", 4, 2, 1, 1)]


def test_every_kind_of_change_is_made_once_and_words_are_left_alone():
    assert changes("a < b") == {"comparison": ["(a <= b)"]}
    assert changes("a + b") == {"arithmetic": ["(a - b)"]}
    assert changes("x = a and b") == {"logic": ["x = (a or b)"]}
    assert changes("x = -a") == {"sign or not dropped": ["x = (a)"]}
    assert changes("x = f(a, b=c)") == {"keyword dropped": ["x = f(a)"]}
    assert changes("f()") == {"call dropped": ["pass"]}
    assert changes("x = min(a, b)") == {"opposite": ["x = max(a, b)"]}
    assert changes("x = True") == {"truth value": ["x = False"]}
    assert changes("x = 2.5") == {"number": ["x = 5.0"]}
    assert changes("x = a if b else c") == {"condition negated": ["x = (c if b else a)"]}
    for text in ('x = "word" + y', "raise ValueError(1, a < b)", '"""1 < 2"""', "x: Literal[1]", "assert a < b", 'f"{a + b}"'):
        assert not changes(text), text


def test_a_change_beside_letters_outside_ascii_hits_its_place():
    assert changes('x = "äöü", a < b')["comparison"] == ['x = "äöü", (a <= b)']


def test_the_whole_package_can_be_mutated():
    for path in sorted((ROOT / "src/taskct/recon").glob("*.py")):
        source = path.read_bytes()
        for mutant in mutants(source, path.name)[::40]:
            assert ast.parse(mutant.applied(source)) and mutant.applied(source) != source
