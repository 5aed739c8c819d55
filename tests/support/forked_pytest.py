"""Runs of pytest in forks of one process that has loaded the slow libraries: in a copy of the project, for a limited time."""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

_SLOW_TO_LOAD = (
    "numpy", "scipy.ndimage", "scipy.optimize", "scipy.stats", "torch", "pydicom", "nibabel", "h5py", "safetensors.torch",
    "pydantic", "pytest", "_pytest.doctest", "hypothesis", "coverage",
)  # fmt: skip
_MEMORY_BYTES = 8 << 30
PASSED, FAILED, TIMEOUT, NO_TESTS = 0, 1, 124, 5


def load_slow_libraries() -> None:
    """Once, before the first fork; the package under test must not be among what they load."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    for name in _SLOW_TO_LOAD:
        try:
            importlib.import_module(name)
        except ImportError:  # an optional library: its tests load it, or are skipped
            continue


def copy_project(root: Path, to: Path) -> Path:
    """What git knows of the project, as it lies on the disk, and the compiled kernels; bytecode is made once for all."""
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
    ).stdout.decode()
    kernels = [p.relative_to(root).as_posix() for p in (root / "src").rglob("*") if p.suffix in (".so", ".dylib")]
    for name in [*filter(None, listed.split("\0")), *kernels]:
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)
    subprocess.run([sys.executable, "-m", "compileall", "-q", to / "src"], check=False)
    return to


def forked(
    work: Callable[[], int],
    *,
    root: Path,
    log: Path,
    cpu_seconds: float,
    wall_seconds: float,
    extra_path: tuple[Path, ...] = (),
) -> int:
    """The exit code of `work()` in a child of its own group whose imports come from `root`; TIMEOUT when it ran too long."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _become(root, log, cpu_seconds, extra_path)
        code = 70
        try:
            code = work()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return _awaited(child, wall_seconds)


def _become(root: Path, log: Path, cpu_seconds: float, extra_path: tuple[Path, ...]) -> None:
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(root)
    os.environ["PYTHONPATH"] = os.pathsep.join(str(p) for p in (root / "src", *extra_path))
    sys.path[:] = [
        str(root / "src"),
        *map(str, extra_path),
        *(p for p in sys.path if Path(p or ".").resolve() != root / "src"),
    ]
    importlib.invalidate_caches()
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds) + 1, int(cpu_seconds) + 3))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))


def _awaited(child: int, wall_seconds: float) -> int:
    end = time.monotonic() + wall_seconds
    try:
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return TIMEOUT if code in (-signal.SIGXCPU, -signal.SIGKILL) else code
            time.sleep(0.02)
        return TIMEOUT
    finally:
        _end_group(child)


def _end_group(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError, PermissionError):
        pass
