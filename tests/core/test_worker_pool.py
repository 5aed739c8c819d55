"""A pool: the same results in this process and on others, and errors that keep their class."""

from __future__ import annotations

import os
import threading

import pytest

from taskct.core.errors import DataError, InputError
from taskct.core.worker_pool import open_pool


def where(number: int) -> tuple[int, int]:
    import torch

    return os.getpid(), torch.get_num_threads()


def fragile(number: int) -> int:
    if number == 3:
        raise DataError(f"{number}: is damaged")
    return number


def test_one_worker_is_this_process() -> None:
    with open_pool() as pool:
        assert {process for process, _ in pool.map(where, range(3))} == {os.getpid()}
        assert list(pool.map_shared(lambda shared, n: shared + n, [(10, 1), (20, 2)])) == [11, 22]


def test_workers_are_other_processes_with_one_thread_each_and_keep_the_order_of_the_items() -> None:
    pytest.importorskip("distributed")
    offset = 10
    with open_pool(2) as pool:
        found = list(pool.map(where, range(4)))
        assert os.getpid() not in {process for process, _ in found} and {threads for _, threads in found} == {1}
        assert list(pool.map(lambda n: n + offset, range(20))) == list(range(10, 30))  # a function of this moment
        with pytest.raises(DataError, match=r"^3: is damaged$"):
            list(pool.map(fragile, range(8)))
        assert list(pool.map(fragile, [1])) == [1]  # the pool is as good as before
        sent = []

        class Large:
            def __init__(self, name: str) -> None:
                self.name = name

            def __reduce__(self):  # type: ignore[no-untyped-def]
                sent.append(self.name)
                return type(self.name), (self.name,)

        first, second = Large("a"), Large("b")
        pairs = [(first, 1), (first, 2), (first, 3), (first, 4), (second, 5)]
        assert list(pool.map_shared(lambda shared, n: f"{shared}{n}", pairs)) == ["a1", "a2", "a3", "a4", "b5"]
        assert sent == ["a", "b"]  # once for all pieces of work
        lock = threading.Lock()
        with pytest.raises(InputError, match="cannot be sent to other processes"):
            list(pool.map(lambda n: lock, [1]))
