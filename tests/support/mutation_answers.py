"""Trying many mutants in turn: each answer is written down at once, and their scores by layer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mutants import Mutant
from mutation import KILLED, SURVIVED, TIMED_OUT, UNCOVERED, Project, Test


def run(
    project: Project,
    sample: Sequence[Mutant],
    tests: Callable[[Mutant], Sequence[Test] | None],
    rows: Path,
    *,
    budget: float,
    seconds: float,
    again: bool,
) -> Iterator[tuple[Mutant, dict[str, Any]]]:
    """Try the mutants with the tests that `tests` allows for each (None: leave it out now). Those that `rows` (JSON lines) has
    no answer for are tried until `seconds` have passed, and each answer is appended at once. With `again`, survivors and lines
    that no test covered are tried once more."""
    answers = read_rows(rows)
    end = time.monotonic() + seconds
    for mutant in sample:
        key = mutant.key((project.copy / mutant.file).read_bytes())
        told = answers.get(key)
        if told is None or (again and told["outcome"] in (SURVIVED, UNCOVERED)):
            if time.monotonic() > end:
                continue
            start = time.monotonic()
            allowed = tests(mutant)
            if allowed is None:
                continue
            told = {
                "key": key,
                "layer": project.layer(mutant.file),
                "file": mutant.file,
                "line": mutant.line,
                "kind": mutant.kind,
            }
            told |= {"before": mutant.before, "after": mutant.after} | project.attempt(mutant, allowed, budget)
            told["seconds"] = round(time.monotonic() - start, 2)
            with rows.open("a") as file:
                file.write(json.dumps(told) + "\n")
        yield mutant, told


def read_rows(rows: Path) -> dict[str, dict[str, Any]]:
    """The last answer for each key; a line that a kill cut short is passed over."""
    answers: dict[str, dict[str, Any]] = {}
    for line in rows.read_text().splitlines() if rows.exists() else ():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        answers[told["key"]] = told
    return answers


def scores(answers: Iterable[dict[str, Any]], layers: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """Layer, tried, killed (time-outs too), survived, not covered: one row for each layer and one for all."""
    told = list(answers)
    table = []
    for layer in (*layers, "all"):
        outcomes = [t["outcome"] for t in told if layer in (t["layer"], "all")]
        dead = sum(o in (KILLED, TIMED_OUT) for o in outcomes)
        table.append((layer, len(outcomes), dead, outcomes.count(SURVIVED), outcomes.count(UNCOVERED)))
    return table
