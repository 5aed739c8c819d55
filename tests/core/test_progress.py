"""Progress without a terminal: nothing for short work, a plain line now and then for long work."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator

import pytest

from taskct.core import progress
from taskct.core.notebook_html import in_notebook


def test_short_work_says_nothing_and_long_work_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(progress.track(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress, "LINE_EVERY_S", 10.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    assert list(progress.track(iter(range(8)), "counting", total=8)) == list(range(8))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["counting: 2 of 8, about 36 s left", "counting: 5 of 8, about 14 s left"]


def test_lines_say_what_is_being_done_however_long_one_item_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "NOW_EVERY_S", 0.01)
    said = threading.Event()
    doing = ""

    def work() -> Iterator[int]:
        nonlocal doing
        for patient in (1, 2):
            doing = f"patient {patient}"
            said.wait(0.2)
            yield 1

    assert list(progress.track(work(), "scanning", total=2, now=lambda: doing)) == [1, 1]
    lines = capsys.readouterr().err.splitlines()
    assert "scanning: 0 of 2; now patient 1" in lines
    assert any(line.startswith("scanning: 1 of 2, about ") and line.endswith("now patient 2") for line in lines)
    before = threading.active_count()
    list(progress.track([1], "scanning", now=lambda: doing))
    said.wait(0.05)
    assert threading.active_count() <= before  # no line comes after the end


def test_the_time_left_is_foretold_by_kind_and_size_and_does_not_grow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [("fbp", 1.0), ("tv", 1.0), ("fbp", 3.0), ("tv", 3.0)]
    clock = 0.0

    def work() -> Iterator[int]:
        nonlocal clock
        for kind, size in sizes:
            clock += (1.0 if kind == "fbp" else 100.0) * size
            yield 1

    monkeypatch.setattr(progress.time, "monotonic", lambda: clock)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    assert list(progress.track(work(), "evaluating", total=4, sizes=sizes)) == [1, 1, 1, 1]
    said = [line.partition(", about ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == ["", "303 s left", "300 s left", "0 s left"]  # after one image by FBP nothing is known of TV
    for number in progress.track(range(4), "inputs", sizes=[("ct", 0.0), ("ct", 1.0), ("ct", 1.0), ("ct", 1.0)]):
        clock += 5.0 * (number > 0)
    said = [line.partition(", about ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said[2:] == ["10 s left", "5 s left"]  # what is there already takes no time and foretells none


def test_progress_that_is_not_wanted_is_not_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    assert list(progress.track([1, 2], "counting", progress=False)) == [1, 2]
    assert capsys.readouterr().err == ""


class _Cell:
    """The display of a notebook: what was shown first, and what it was replaced by."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, html: str) -> None:
        self.shown.append(html)

    def display(self, html: str, *, display_id: bool) -> _Cell:
        assert display_id
        self.shown.append(html)
        return self


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> _Cell:
    """A notebook as taskct sees it: IPython with a kernel, and time that passes by four seconds at each look."""
    cell, shell = _Cell(), types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(HTML=str, display=cell.display))
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    return cell


def test_a_notebook_gets_one_bar_that_moves_and_ends_as_a_line(cell: _Cell, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(range(3), "<evaluating>")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    first, second, third, last = cell.shown
    assert 'value="0" max="3"' in first and "&lt;evaluating&gt;" in first
    assert 'value="1" max="3"' in second and "about 16 s left" in second and 'value="2"' in third
    assert last == "&lt;evaluating&gt;: 3 in 16 s"


def test_short_work_and_unwanted_progress_show_nothing_in_a_notebook(cell: _Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(progress.track(range(3), "counting", progress=False)) == [0, 1, 2]
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.0)
    assert list(progress.track(range(3), "counting")) == [0, 1, 2]
    assert cell.shown == []


def test_ipython_in_a_terminal_is_not_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=object))
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook()
