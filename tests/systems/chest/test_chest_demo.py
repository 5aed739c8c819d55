from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from small_chest import TINY

from taskct.core.errors import InputError
from taskct.models import open_model, shipped_models
from taskct.systems.catalogue import reproduce
from taskct.systems.chest import chest_demo
from taskct.systems.chest.chest_net import load_reader


def test_the_network_of_the_package_has_a_card_with_figures_and_four_heads() -> None:
    model = open_model(chest_demo.CHEST_OF_PACKAGE)
    assert model.card is not None and model.card.kind == "task" and len(model.card.figures) > 6
    assert any("tested on none" in limit for limit in model.card.limits)
    assert sum(f.stat().st_size for f in shipped_models()[chest_demo.CHEST_OF_PACKAGE].iterdir()) < 5e6
    answers = load_reader(chest_demo.CHEST_OF_PACKAGE).answers(torch.full((1, 3, 96, 80), 0.005))
    assert set(answers) == {"classify", "segment", "restore", "detect"} and answers["segment"].shape == (1, 5, 96, 80)


def test_the_demo_ends_in_a_page_with_pictures(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {**TINY, **chest_demo.DEMO, "test_patients": 2}
    monkeypatch.setattr(chest_demo, "DEMO", small)
    monkeypatch.setattr(chest_demo, "CHEST_OF_PACKAGE", str(tiny_run / "first-0"))
    page = reproduce("chest-demo", tmp_path / "demo", workers=1, say=lambda text: None)
    text = page.read_text()
    assert "data:image/svg+xml" in text and "PSNR (dB)</th>" in text
    assert re.search(r"2 patients(, \d+ nodules? of 3 mm and more, \d+ of 8 mm and more)?\. Small: 95 %", text)
    said = (tmp_path / "demo" / "report" / "summary.txt").read_text()
    assert "At full dose the share of nodules found" in said and "the aim of 0.5 is" in said


def test_a_network_of_another_kind_is_refused() -> None:
    other = next(name for name in shipped_models() if name != chest_demo.CHEST_OF_PACKAGE)
    with pytest.raises(InputError, match="not a chest network"):
        load_reader(other)
