"""Progress of long work: a bar on a terminal or in a notebook, and a plain line every few seconds where there is neither."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from html import escape
from typing import Any, TypeVar

from taskct.core.notebook_html import in_notebook
from taskct.core.pace import Pace

Item = TypeVar("Item")
LINE_EVERY_S = 10.0
NOW_EVERY_S = 4.0  # where a line says what is being done
_BAR_AFTER_S = 0.5  # in a notebook: shorter work shows nothing
_BAR_EVERY_S = 0.2


def track(
    items: Iterable[Item],
    what: str,
    *,
    total: int | None = None,
    at_most: bool = False,
    progress: bool | None = None,
    now: Callable[[], str] | None = None,
    sizes: Sequence[tuple[str, float]] | None = None,
) -> Iterator[Item]:
    """Yield `items`, and show how far they are under the name `what`.

    On a terminal this is a bar on stderr, in a notebook a bar below the cell that ends as a line with the time; elsewhere (a
    log, a queue's output) a line on stderr after every ten seconds, so that short work says nothing. `progress` False keeps
    silent, True shows the bar wherever stderr goes. `at_most`: the work may end before `total`, so no time is foretold.
    `now` says what is being worked on: bar and lines show it, and the lines then come every four seconds, however long an
    item takes. `sizes` gives the kind and the size of every item where they differ: the time left is then foretold from the
    items of the same kind that are done, and none is as long as there are none.

    >>> list(track([1, 2], "counting", progress=False))
    [1, 2]
    """
    if progress is False:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    pace = None if sizes is None else Pace(sizes)
    if pace is not None:
        items = pace.timed(items)
    if in_notebook():
        yield from _cell(items, what, total, at_most, pace)
        return
    if progress is None and not sys.stderr.isatty():
        yield from _lines(items, what, total, at_most, pace) if now is None else _ticks(items, what, total, at_most, now)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    if not at_most:
        columns.append(TimeRemainingColumn() if pace is None else TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, left="")
        for item in bar.track(items, task_id=task, total=total):
            if now is not None:
                bar.update(task, description=f"{what}: {now()}")
            if pace is not None:
                bar.update(task, left=_left_words(pace.left()))
            yield item


def _lines(items: Iterable[Item], what: str, total: int | None, at_most: bool, pace: Pace | None) -> Iterator[Item]:
    begun = last = time.monotonic()
    for number, item in enumerate(items):
        now = time.monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            print(f"{what}: {_how_far(number, total, now - begun, at_most, pace)}", file=sys.stderr, flush=True)
        yield item


def _ticks(items: Iterable[Item], what: str, total: int | None, at_most: bool, now: Callable[[], str]) -> Iterator[Item]:
    begun = came = time.monotonic()
    done, ended = 0, threading.Event()

    def say() -> None:
        while not ended.wait(NOW_EVERY_S):
            far = _how_far(done, total, came - begun, at_most, since=time.monotonic() - came)
            print(f"{what}: {far}; now {now()}", file=sys.stderr, flush=True)

    threading.Thread(target=say, daemon=True).start()
    try:
        for item in items:
            done, came = done + 1, time.monotonic()
            yield item
    finally:
        ended.set()


def _cell(items: Iterable[Item], what: str, total: int | None, at_most: bool, pace: Pace | None) -> Iterator[Item]:
    """One output of the cell, replaced while the work runs; it stays as a line that says how long the work took."""
    from IPython.display import HTML, display

    shown: Any = None
    begun = last = time.monotonic()
    number = -1
    for number, item in enumerate(items):
        now = time.monotonic()
        if now - last >= (_BAR_EVERY_S if shown else _BAR_AFTER_S):
            last = now
            ends = "" if total is None else f' value="{number}" max="{total}"'
            far = _how_far(number, total, now - begun, at_most, pace)
            bar = HTML(f"<label>{escape(what)} <progress{ends}></progress> {far}</label>")
            if shown is None:
                shown = display(bar, display_id=True)
            else:
                shown.update(bar)
        yield item
    if shown is not None:
        shown.update(HTML(f"{escape(what)}: {number + 1} in {time.monotonic() - begun:.0f} s"))


def _how_far(
    number: int, total: int | None, seconds: float, at_most: bool, pace: Pace | None = None, *, since: float = 0.0
) -> str:
    """How many are done, and the time left: by `pace`, else by the `seconds` that `number` items took.

    `since` the last of them some time has passed, which the next one takes at least.

    >>> _how_far(10, 500, 60.0, False), _how_far(10, 500, 60.0, True)
    ('10 of 500, about 2940 s left', '10 of at most 500')
    >>> _how_far(2, 4, 20.0, False), _how_far(2, 4, 20.0, False, since=4.0), _how_far(2, 4, 20.0, False, since=50.0)
    ('2 of 4, about 20 s left', '2 of 4, about 16 s left', '2 of 4, about 10 s left')
    """
    of = "" if total is None else f" of {'at most ' if at_most else ''}{total}"
    each = seconds / number if number else 0.0
    left = pace.left() if pace is not None else each * (total - number) - min(each, since) if total and number else None
    said = "" if at_most else _left_words(left)
    return f"{number}{of}{said and ', '}{said}"


def _left_words(seconds: float | None) -> str:
    return "" if seconds is None else f"about {seconds:.0f} s left"
