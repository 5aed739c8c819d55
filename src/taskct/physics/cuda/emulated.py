"""The GPU kernels run by the CPU, thread after thread: every law of theirs can be tested where there is no GPU.

The library is built with the CPU kernels when taskct is installed. It is for tests, never chosen by itself.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from taskct.core.errors import ConfigError
from taskct.physics.cuda.job import Job

LIBRARY = Path(__file__).parent / f"_emulated{'.dylib' if sys.platform == 'darwin' else '.so'}"


class Emulation:
    """A launcher (physics/backends/cuda.py) for CPU tensors. Raises ConfigError when the library was not built."""

    reason = "emulated on the CPU"

    def __init__(self, path: Path = LIBRARY) -> None:
        if not path.exists():
            raise ConfigError(f"{path} is missing: taskct was installed without a working C++ compiler; install taskct again")
        self._library = ctypes.CDLL(str(path))

    def prepare(self, part: int) -> None:
        """All are there."""

    def launch(self, part: int, name: str, job: Job, stream: int) -> None:
        """Run all threads of a kernel, one after the other."""
        getattr(self._library, name)(ctypes.byref(job))

    def stream(self) -> int:
        """There is but one."""
        return 0
