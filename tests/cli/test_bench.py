"""`taskct bench` as people call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_one_case_is_measured_and_written(taskct_says: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "b.json"
    words = ("bench", "--quick", "--threads", "1", "--rounds", 1, "--only", "cone 48/adjoint", "--out", out)
    said = taskct_says(*words)
    assert said.code == 0, said.err
    assert "cone 48/adjoint, 1 thread: " in said.out and str(out.with_suffix(".png")) in said.out
    assert [row["work"] for row in json.loads(out.read_text())["rows"]] == ["adjoint"]
    again = taskct_says(*words)
    assert again.code == 2 and "exists already" in again.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--threads", "1.5"), "--threads expects different whole numbers"),
        (("--threads", "2,2"), "--threads expects different whole numbers"),
        (("--out", "b.txt"), "expected a name that ends in .json"),
    ],
)
def test_wrong_words_are_refused_before_the_work(words: tuple[str, ...], reason: str, taskct_says: Callable[..., Any]) -> None:
    said = taskct_says("bench", "--quick", *words)
    assert said.code == 2 and reason in said.err
