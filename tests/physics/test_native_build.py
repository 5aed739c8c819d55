"""Installing without a compiler, or with one that fails, succeeds, says so, and leaves the reference in use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from places import ROOT

from taskct.core.errors import ConfigError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.backends import SlowProjectorWarning, _say_once, choose_backend
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
        _say_once.cache_clear()
        with pytest.warns(SlowProjectorWarning, match=r"slow here: taskct was installed without a working C\+\+ compiler"):
            chosen = choose("auto")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            choose("auto")  # once is enough
            choose("reference")
        assert chosen.name == "reference"
        assert "installed without a working C++ compiler" in chosen.reason
        with pytest.raises(ConfigError, match="installed without a working C"):
            choose("native")
    finally:
        library.load.cache_clear()


def test_an_installation_without_kernels_projects_and_says_once_that_it_is_slow(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src/taskct", tmp_path / "taskct", ignore=shutil.ignore_patterns("*.so", "*.dylib", "__pycache__"))
    code = (
        "import torch, taskct\n"
        "for cols in (8, 9):\n"
        "    A = taskct.Projector(taskct.Grid((8, 8), 1.0), taskct.ParallelBeam(views=2, cols=cols, pixel_mm=1.0))\n"
        "    back = A.adjoint(torch.ones(1, 1, *A.p_shape))\n"
        "    print(round(float(A(torch.full((1, 1, 8, 8), 0.02)).max()), 4), back.shape[-1])\n"
    )
    env = {k: v for k, v in os.environ.items() if k != "TASKCT_KERNELS"} | {"PYTHONPATH": str(tmp_path), "PATH": "", "CXX": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.16", "8", "0.16", "8"]
    assert done.stderr.count("SlowProjectorWarning: projections are slow here: taskct was installed without") == 1
