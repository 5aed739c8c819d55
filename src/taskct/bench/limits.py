"""What the machine can do at most: vector operations and memory traffic of one core, measured."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from taskct.physics.native.library import kernels

_ROUNDS = 2_000_000  # of 32 operations: some 10 ms
_TURN_ROUNDS = 6 * _ROUNDS
_COPY_MIB = 256  # more than the caches of a core


def machine(threads: Sequence[int] = ()) -> dict[str, Any]:
    """Processor, load, vector width, vector operations and copied bytes per second of one core.

    `speed_up`: how many times the operations of one thread each number of them does, what a kernel can gain at most.
    """
    lanes, operations = _vector_operations()
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "load": [round(n, 1) for n in os.getloadavg()],
        "kernels": kernels().level,
        "lanes": lanes,
        "vector_operations_per_s": operations,
        "copy_bytes_per_s": _copy(),
        "speed_up": {str(n): _speed_up(n) for n in threads} if operations else {},
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


def _speed_up(threads: int) -> float:
    """Wall seconds of one thread over those of several for the same vector operations, run in turn: the median."""
    library = kernels().library
    assert library is not None
    values = [np.array([0.5, 0.25], dtype=np.float32) for _ in range(threads)]  # of each thread its own

    def run(own: np.ndarray, rounds: int) -> None:
        library.taskct_vector_operations(ctypes.c_int64(rounds), ctypes.c_void_p(own.ctypes.data))

    gains = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(15):
            start = time.perf_counter()
            run(values[0], _TURN_ROUNDS)
            between = time.perf_counter()
            list(pool.map(run, values, [_TURN_ROUNDS // threads] * threads))
            gains.append((between - start) / max(time.perf_counter() - between, 1e-9))
    return median(gains)


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
