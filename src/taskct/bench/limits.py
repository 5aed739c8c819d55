"""What the machine can do at most: vector operations and memory traffic of one core, measured."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from taskct.physics.native.library import kernels

_ROUNDS = 2_000_000  # of 32 operations: some 10 ms
_COPY_MIB = 256  # more than the caches of a core


def machine() -> dict[str, Any]:
    """Processor, load, vector width, vector operations and copied bytes per second of one core."""
    lanes, operations = _vector_operations()
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "load": [round(n, 1) for n in os.getloadavg()],
        "kernels": kernels().level,
        "lanes": lanes,
        "vector_operations_per_s": operations,
        "copy_bytes_per_s": _copy(),
    }


def _vector_operations() -> tuple[int, float | None]:
    library = kernels().library
    if library is None:
        return 1, None
    function = library.taskct_vector_operations
    function.restype, function.argtypes = ctypes.c_int, (ctypes.c_int64, ctypes.c_void_p)
    values = np.array([0.5, 0.25], dtype=np.float32)
    seconds, lanes = [], 1
    for _ in range(7):
        start = time.process_time()
        lanes = function(_ROUNDS, values.ctypes.data)
        seconds.append(time.process_time() - start)
    return lanes, 32 * _ROUNDS / max(min(seconds), 1e-9)


def _copy() -> float:
    """Bytes read and written."""
    source = np.ones(_COPY_MIB * 2**18, dtype=np.float32)
    target = np.zeros_like(source)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        np.copyto(target, source)
        seconds.append(time.process_time() - start)
    return float(2 * source.nbytes / max(median(seconds), 1e-9))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
