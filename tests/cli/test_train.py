"""What `taskct train` says when it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskct.core.runs import Run

CONFIG = """schema = 1
[data]
patients = { train = 2, validation = 1 }
shape = [32, 32]
slices = 1
[beam]
kind = "parallel"
views = 20
cols = 48
pixel_mm = 12.0
[dose]
photons = 65536.0
[model]
kind = "fbp_unet"
widths = [4, 8]
norm = "none"
[objective]
task = "none"
[training]
steps = 4
batch = 2
validate_every = 1
lr = LR
keep = "last"
ema = 0.0
"""


@pytest.mark.parametrize(("lr", "worse"), [("30.0", True), ("1e-9", False)])
def test_a_training_that_ends_worse_than_fbp_says_so_on_its_last_line(tmp_path: Path, taskct_says, lr, worse) -> None:
    (tmp_path / "c.toml").write_text(CONFIG.replace("LR", lr))
    code, said, error = taskct_says("train", tmp_path / "c.toml", "--out", tmp_path / "run")
    assert code == 0, error
    last = said.splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'run'}: ")
    assert ("HU, that of filtered back-projection (Hann window)" in last) == worse, last


def test_a_folder_of_something_else_is_refused_before_any_image_is_made(
    tmp_path: Path, taskct_says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskct.training.training_config.read_parts", lambda *_, **__: pytest.fail("images were made"))
    (tmp_path / "c.toml").write_text(CONFIG.replace("LR", "1e-3"))
    Run.create(tmp_path / "evaluated", {"evaluate": {}})
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    for name, reason in (("evaluated", "is a run of another kind than a training"), ("thesis", "exists already")):
        code, _, error = taskct_says("train", tmp_path / "c.toml", "--out", tmp_path / name)
        assert code == 2 and f"{name}: {reason}" in error
