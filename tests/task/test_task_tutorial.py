"""The code of docs/tutorial-task.md runs as it stands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from places import ROOT

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "tutorial-task.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    skipped = []
    for block in blocks():
        if "load_nnunet" in block or ("monai" in block and importlib.util.find_spec("monai") is None):
            skipped.append(block)  # their own tests are in test_task_foreign.py
            continue
        exec(compile(block, str(PAGE), "exec"), names)
    assert len(skipped) <= 2
    assert names["answer"].shape == (8, 3, 64, 64)  # type: ignore[attr-defined]
    assert (tmp_path / "runs" / "mine" / "weights.safetensors").exists()


def test_ten_lines_are_ten_lines() -> None:
    ten = blocks()[1]
    statements = [line for line in ten.splitlines() if line and not line.startswith((" ", "import", "from"))]
    assert len(statements) <= 10
