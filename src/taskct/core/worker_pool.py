"""A function called on many items, here or on the workers of a Dask cluster."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from taskct.core.errors import InputError
from taskct.core.workers import Workers, as_workers, lost_named, open_client, sendable, threads_set

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Shared = TypeVar("Shared")
Result = TypeVar("Result")


class Pool:
    """Calls a function on many items, here or on the workers of a Dask client."""

    def __init__(self, workers: Workers, client: Client | None = None) -> None:
        self.workers, self.client = workers, client

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """`function(item)` of each item, in the order of the items.

        On workers `function` and items are sent to other processes. An item whose worker is lost is computed again. Raises
        what the function raises, InputError for what cannot be sent, ResourceError when the scheduler or the workers are gone.
        """
        if self.client is None:
            yield from map(function, items)
            return
        client = self.client
        yield from self._sent(client, lambda item: _submit(client, self.workers, function, item), items)

    def map_shared(self, function: Callable[[Shared, Item], Result], pairs: Iterable[tuple[Shared, Item]]) -> Iterator[Result]:
        """`function(shared, item)` of each pair, as `map` does it.

        What pairs in a row share is sent once, and each worker gets it once: for large data with many pieces of work.
        """
        if self.client is None:
            yield from (function(shared, item) for shared, item in pairs)
            return
        client, last = self.client, _Held()

        def submit(pair: tuple[Shared, Item]) -> Any:
            shared, item = pair
            if last.future is None or shared is not last.shared:
                last.shared, last.future = shared, _send(client, shared)
            return _submit(client, self.workers, function, last.future, item)

        yield from self._sent(client, submit, pairs)

    def _sent(self, client: Client, submit: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        waiting: deque[Any] = deque()  # a few for each worker: the items of a long list are not all sent at once
        rest = iter(items)
        more = True
        try:
            while more or waiting:
                while more and len(waiting) < 2 * max(self.workers.processes, len(client.nthreads()), 1):
                    try:
                        item = next(rest)
                    except StopIteration:
                        more = False
                        break
                    waiting.append(submit(item))
                if waiting:
                    with lost_named(self.workers, "a piece of work"):
                        found = waiting[0].result()
                    waiting.popleft()
                    yield found
        finally:
            if waiting:
                client.cancel(list(waiting), force=True)


@dataclass(eq=False)
class _Held:
    """What was sent last, and its place on the cluster."""

    shared: Any = None
    future: Any = None


@contextmanager
def open_pool(workers: int | Workers = 1) -> Iterator[Pool]:
    """A pool of workers, which ends with the block.

    >>> with open_pool(1) as pool:
    ...     list(pool.map(abs, [-1, 2]))
    [1, 2]
    """
    chosen = as_workers(workers)
    if chosen.here:
        yield Pool(chosen)
        return
    with open_client(chosen) as client:
        yield Pool(chosen, client)


def _call(function: Callable[..., Result], threads: int, *items: Any) -> Result:
    """What a worker does."""
    with threads_set(threads):
        try:
            return function(*items)
        except Exception as error:
            raise sendable(error) from None


def _itself(shared: Shared) -> Shared:
    return shared


def _submit(client: Client, workers: Workers, function: Callable[..., Any], *items: Any) -> Any:
    with _sendable_only():
        return client.submit(_call, function, workers.threads or 1, *items, pure=False)


def _send(client: Client, shared: Any) -> Any:
    """Large data as a piece of work whose result they are: unlike scattered data they outlive the worker that holds them."""
    with _sendable_only(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(_itself, shared, pure=False)


@contextmanager
def _sendable_only() -> Iterator[None]:
    """InputError for what cannot be sent to other processes."""
    try:
        yield
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(f"this cannot be sent to other processes ({error}); use one worker") from error
