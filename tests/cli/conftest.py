"""Run `taskct` inside this process and see what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from taskct.cli import main


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def taskct_says(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`taskct_says("info", path)` -> exit code, stdout, stderr."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(w) for w in words])
        out, err = capsys.readouterr()
        return Said(int(stop.value.code or 0), out, err)

    return run
