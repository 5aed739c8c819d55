"""What several threads gain: the median of pairs that were run in turn, its interval, and what the machine itself gives.

Two cores of a shared machine are seldom undisturbed, and seldom twice as fast as one. Beside each pair the same number of
threads therefore does vector operations without memory: what they gain, a kernel can be expected to gain (and more where the
caches of two cores hold what that of one does not).
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np

from taskct.physics.native.library import kernels

_ROUNDS = 8_000_000  # of 32 operations: some 40 ms


def machine_speed_up(threads: int) -> float | None:
    """Wall seconds of one thread over those of several for the same vector operations, once; None without compiled kernels."""
    library = kernels().library
    if library is None:
        return None
    values = [np.array([0.5, 0.25], dtype=np.float32) for _ in range(threads)]  # of each thread its own

    def run(own: np.ndarray, rounds: int) -> None:
        library.taskct_vector_operations(ctypes.c_int64(rounds), ctypes.c_void_p(own.ctypes.data))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, values, [1] * threads))  # the threads begin
        start = time.perf_counter()
        run(values[0], _ROUNDS)
        between = time.perf_counter()
        list(pool.map(run, values, [_ROUNDS // threads] * threads))
        return (between - start) / max(time.perf_counter() - between, 1e-9)


def middle(gains: Sequence[float], *, level: float = 0.95) -> tuple[float, float | None, float | None]:
    """The median and the interval between two of the values that covers the true one with this probability or more.

    Order statistics, for independent values of any distribution (Conover, Practical Nonparametric Statistics, 1999, section
    3.2). None for both ends with fewer than 6 values: no two of them are that far apart.

    >>> middle([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    (3.5, 1.0, 6.0)
    """
    ordered = sorted(gains)
    n, below, outside = len(ordered), 0, 0.0
    while True:  # `outside`: how likely the median of the population lies below value number `below`, counted from 0
        outside += math.comb(n, below) / 2**n
        if 2 * outside > 1 - level:
            break
        below += 1
    low, high = (ordered[below - 1], ordered[n - below]) if below else (None, None)
    return median(ordered), low, high
