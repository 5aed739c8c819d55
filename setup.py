"""Setuptools entry point; the metadata stand in pyproject.toml. Here only the CPU kernels are compiled.

The C++ sources of `taskct/physics/native/cpp` become plain shared libraries, one per instruction set, which are loaded
through ctypes: no Python or torch headers, so nothing here depends on their versions. They are optional. Without a compiler,
or with one that fails, the installation succeeds, says so, and the slow reference in PyTorch serves.

The kernels for GPUs (`taskct/physics/cuda/kernels`) are compiled at run time. Here the same source becomes one more small
library, which runs them on the CPU for the tests.
"""

from __future__ import annotations

import os
import platform
import runpy
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

PACKAGE = Path("taskct/physics/native")
CPP = "src" / PACKAGE / "cpp"
GPU = Path("taskct/physics/cuda")
# No -ffast-math: NaN and Inf in an image must reach the result.
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden"]
FLAGS += ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-psabi"]
FLAGS += ["-falign-loops=64"]  # short loops keep to few cache lines wherever they fall: 5 % of time either way
# Tuned for one core of each level: generic tuning refuses the gathers that make AVX2 worth having.
LEVELS = {
    "baseline": [],
    "avx2": ["-march=x86-64-v3", "-mtune=haswell"],
    "avx512": ["-march=x86-64-v4", "-mtune=icelake-server", "-mprefer-vector-width=512"],
}


class BuildKernels(build_ext):
    """Compile the kernels for each instruction set; never fail."""

    def run(self) -> None:
        """Build into the source tree for an editable install, else into the wheel's tree."""
        root = Path("src") if self.inplace else Path(self.build_lib)
        self.folder = root / PACKAGE
        self.folder.mkdir(parents=True, exist_ok=True)
        compiler = find_compiler()
        if compiler is None:
            self.warn("no C++ compiler found (set CXX): taskct will use its slow reference projector")
            return
        levels = list(LEVELS) if platform.machine().lower() in ("x86_64", "amd64") else ["baseline"]
        with ThreadPoolExecutor() as pool:
            problems = list(pool.map(lambda level: compile_level(compiler, level, self.folder), levels))
        for level, problem in zip(levels, problems, strict=True):
            if problem:
                self.warn(f"CPU kernels ({level}) were not built by {' '.join(compiler)}:\n{problem}")
        if all(problems):
            self.warn("no CPU kernels were built: taskct will use its slow reference projector")
        (root / GPU).mkdir(parents=True, exist_ok=True)
        if problem := compile_emulation(compiler, root / GPU):
            self.warn(f"GPU kernels cannot be tested on the CPU; {' '.join(compiler)} said:\n{problem}")

    def get_outputs(self) -> list[str]:
        """What was built, for the installer's records."""
        root = Path(self.build_lib)
        return [str(p) for p in (*sorted((root / PACKAGE).glob("_kernels_*")), *sorted((root / GPU).glob("_emulated*")))]

    def get_output_mapping(self) -> dict[str, str]:
        """Nothing is copied back: an editable install builds in place."""
        return {}


def find_compiler() -> list[str] | None:
    """The C++ compiler's command, from CXX or by the usual names."""
    if os.environ.get("CXX"):
        command = os.environ["CXX"].split()
        return command if shutil.which(command[0]) else None
    return next(([name] for name in ("g++", "clang++", "c++") if shutil.which(name)), None)


def compile_level(compiler: list[str], level: str, folder: Path) -> str:
    """Build one shared library; "" when that worked, else what the compiler said."""
    sources = sorted(str(path) for path in CPP.glob("*.cpp"))
    # Without OpenMP the kernels run on one thread.
    attempts = [[*FLAGS, *LEVELS[level], *openmp, *sources] for openmp in (["-fopenmp"], [])]
    return build(compiler, attempts, library(folder, f"_kernels_{level}"), [*CPP.iterdir(), Path(__file__)])


def compile_emulation(compiler: list[str], folder: Path) -> str:
    """Build the GPU kernels for the CPU; "" when that worked, else what the compiler said."""
    source = "src" / GPU
    job = source / "job.py"
    flags = ["-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-math-errno", "-ffp-contract=off"]
    arguments = [*flags, *runpy.run_path(str(job))["definitions"](), "-x", "c++", str(source / "kernels" / "kernels.cu")]
    return build(compiler, [arguments], library(folder, "_emulated"), [*(source / "kernels").iterdir(), job, Path(__file__)])


def library(folder: Path, name: str) -> Path:
    """The path of a shared library on this system."""
    return folder / f"{name}{'.dylib' if sys.platform == 'darwin' else '.so'}"


def build(compiler: list[str], attempts: list[list[str]], target: Path, inputs: list[Path]) -> str:
    """Run the compiler with the first arguments that work, unless `target` is newer than all `inputs`; "" or what it said."""
    if target.exists() and all(path.stat().st_mtime < target.stat().st_mtime for path in inputs):
        return ""
    said = ""
    part = target.with_suffix(".part")
    for arguments in attempts:
        try:
            command = [*compiler, *arguments, "-o", str(part)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode == 0 and part.exists():
            part.replace(target)
            return ""
        said = said or (done.stderr or f"exit code {done.returncode}")[-2000:]
    target.unlink(missing_ok=True)
    return said


setup(
    ext_modules=[Extension("taskct.physics.native._kernels", sources=[])],  # marks the wheel as one for a platform
    cmdclass={"build_ext": BuildKernels},
)
