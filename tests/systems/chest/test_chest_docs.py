from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "chest.md"


def test_the_code_of_the_page_trains_three_heads_and_freezes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert code.count("\n") <= 30
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    exec(code, space)
    readers, images = space["readers"], space["images"]
    assert set(readers) == {"findings", "areas", "boxes"}  # type: ignore[call-overload]
    assert readers["areas"].predict(images.mu[:1]).shape == (1, 3, 48, 64)  # type: ignore[index,attr-defined]
