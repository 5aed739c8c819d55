"""Progress without a terminal: nothing for short work, a plain line now and then for long work."""

from __future__ import annotations

import pytest

from taskct.core import progress


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


def test_progress_that_is_not_wanted_is_not_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    assert list(progress.track([1, 2], "counting", progress=False)) == [1, 2]
    assert capsys.readouterr().err == ""
