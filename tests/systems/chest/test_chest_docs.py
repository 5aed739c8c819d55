from __future__ import annotations

import re
from pathlib import Path

import pytest

from taskct.core.runs import load_run

PAGE = Path(__file__).parents[3] / "docs" / "chest.md"


def test_the_code_of_the_page_trains_its_heads_and_one_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    three, five = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert three.count("\n") <= 30 and sum(bool(line.strip()) for line in five.splitlines()) <= 30
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    exec(three, space)
    readers, images = space["readers"], space["images"]
    assert set(readers) == {"findings", "areas", "boxes"}  # type: ignore[call-overload]
    assert readers["areas"].predict(images.mu[:1]).shape == (1, 3, 48, 64)  # type: ignore[index,attr-defined]
    exec(five, space)
    assert "all checks passed" in capsys.readouterr().out
    assert set(space["five"].heads) == {"findings", "areas", "boxes", "image", "burden"}  # type: ignore[attr-defined]
    assert space["burden"].predict(images.mu[:2]).shape == (2,)  # type: ignore[attr-defined]
    assert load_run(tmp_path / "runs" / "five").config["labelled"]["burden"] == len(images)  # type: ignore[arg-type]
