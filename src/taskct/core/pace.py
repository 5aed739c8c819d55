"""How long work still takes where its items differ: by the kind and the size of those that are done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Pace:
    """The time left of items whose (kind, size) is known: the time that those done took, per size, for each kind.

    Time counts as an item's while it is fetched (from a generator that does the work) and while it is in use afterwards (where
    the caller's loop does it).
    """

    def __init__(self, sizes: Sequence[tuple[str, float]]) -> None:
        self.sizes = sizes
        self.fetched = 0
        self._spent: dict[str, float] = {}
        self._fetching = self._using = 0.0

    def timed(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items; how long each takes is noted."""
        source = iter(items)
        while True:
            begun = time.monotonic()
            try:
                item = next(source)
            except StopIteration:
                return
            got = time.monotonic()
            self.note(got - begun, 0.0, new=True)
            yield item
            self.note(0.0, time.monotonic() - got)

    def note(self, fetching: float, using: float, *, new: bool = False) -> None:
        """Seconds of the item that was fetched last, or of a `new` one."""
        self.fetched += new
        if self.fetched <= len(self.sizes):
            kind = self.sizes[self.fetched - 1][0]
            self._spent[kind] = self._spent.get(kind, 0.0) + fetching + using
            self._fetching, self._using = self._fetching + fetching, self._using + using

    def left(self) -> float | None:
        """Seconds, just after an item was fetched; None as long as no item of a kind that is still to come is done.

        >>> pace, said = Pace([("fast", 1.0), ("slow", 1.0), ("fast", 2.0), ("slow", 2.0)]), []
        >>> for seconds in (1.0, 10.0, 2.0):
        ...     pace.note(seconds, 0.0, new=True)
        ...     said.append(pace.left())
        >>> said
        [None, 22.0, 20.0]
        """
        done = self.fetched - (self._using > self._fetching)  # where the caller does the work, the last one is still to do
        sizes: dict[str, float] = {}
        for kind, size in self.sizes[:done]:
            sizes[kind] = sizes.get(kind, 0.0) + size
        rest = [(kind, size) for kind, size in self.sizes[done:] if size > 0]
        if any(not sizes.get(kind) for kind, _ in rest):
            return None
        return sum(size * self._spent[kind] / sizes[kind] for kind, size in rest)
