"""What `taskct train` says when it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

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
