"""Progress of long work: a bar on a terminal, and a plain line every ten seconds where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")
LINE_EVERY_S = 10.0


def track(items: Iterable[Item], what: str, *, total: int | None = None, progress: bool | None = None) -> Iterator[Item]:
    """Yield `items`, and show on stderr how far they are under the name `what`.

    On a terminal this is a bar; elsewhere (a log, a queue's output) a line after every ten seconds, so that short work
    says nothing. `progress` False keeps silent, True shows the bar wherever stderr goes.

    >>> list(track([1, 2], "counting", progress=False))
    [1, 2]
    """
    if progress is False:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    if progress is None and not sys.stderr.isatty():
        yield from _lines(items, what, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(items, total=total, description=what)


def _lines(items: Iterable[Item], what: str, total: int | None) -> Iterator[Item]:
    begun = last = time.monotonic()
    for number, item in enumerate(items):
        now = time.monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            of = "" if total is None else f" of {total}"
            left = "" if not total or not number else f", about {(now - begun) * (total - number) / number:.0f} s left"
            print(f"{what}: {number}{of}{left}", file=sys.stderr, flush=True)
        yield item
