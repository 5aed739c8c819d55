"""Installing without a compiler, or with one that fails, succeeds, says so, and leaves the reference in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from places import ROOT

from taskct.core.errors import ConfigError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.backends import choose_backend
from taskct.physics.native import library


@pytest.mark.parametrize(
    ("compiler", "said"),
    [("false", "CPU kernels (baseline) were not built by false"), ("/nowhere/c++", "no C++ compiler found")],
)
def test_a_build_without_a_working_compiler_succeeds_and_says_so(compiler: str, said: str, tmp_path: Path) -> None:
    if not (ROOT / "setup.py").exists():
        pytest.skip("needs a source checkout")
    command = [sys.executable, "setup.py", "build_ext", "--build-lib", str(tmp_path), "--build-temp", str(tmp_path)]
    env = os.environ | {"CXX": compiler}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout + done.stderr
    assert "slow reference projector" in done.stdout + done.stderr
    assert not list(tmp_path.rglob("_kernels_*"))


def test_without_built_kernels_the_reference_serves_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASKCT_KERNELS", raising=False)
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    library.load.cache_clear()
    try:
        poses = ParallelBeam(views=2, cols=4, pixel_mm=1.0).poses()
        choose = lambda name: choose_backend(Grid((4, 4), 1.0), poses, name, device=torch.device("cpu"), dtype=torch.float32)
        chosen = choose("auto")
        assert chosen.name == "reference"
        assert "installed without a working C++ compiler" in chosen.reason
        with pytest.raises(ConfigError, match="installed without a working C"):
            choose("native")
    finally:
        library.load.cache_clear()
