"""Which tests run which lines: a pytest plugin that records it, with what fixtures of a wider scope than one test have run.

A line that a fixture of a module has run counts for every test that uses the fixture, and caches of functions are emptied
before each test, so that no test hides behind what an earlier one has computed.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

_CACHES: list[Any] = []


def watch_caches() -> None:
    """Note every `lru_cache` made from here on; call it before the package is imported."""

    def watched(maker: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(maker)
        def make(*args: Any, **words: Any) -> Any:
            made = maker(*args, **words)
            if hasattr(made, "cache_clear"):
                _CACHES.append(made)
                return made

            def decorate(function: Callable[..., Any]) -> Any:
                _CACHES.append(made(function))
                return _CACHES[-1]

            return decorate

        return make

    functools.lru_cache = watched(functools.lru_cache)  # type: ignore[assignment]
    functools.cache = watched(functools.cache)  # type: ignore[assignment]


class Recorder:
    """Plugin of one pytest run: `lines()` gives the CPU seconds of each test that passed and the lines that it ran."""

    def __init__(self, root: Path, package: Path) -> None:
        self.root = root
        self.coverage = coverage.Coverage(data_file=None, source=[str(package)], branch=False, messages=False)
        self.seconds: dict[str, float] = {}
        self.passed: dict[str, bool] = {}
        self._fixtures: dict[str, set[str]] = {}
        self._stack: list[str] = [""]

    def _enter(self, context: str) -> None:
        self._stack.append(context)
        self.coverage.switch_context(context)

    def _leave(self) -> None:
        self._stack.pop()
        self.coverage.switch_context(self._stack[-1])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for made in _CACHES:
            if str(getattr(made, "__module__", "")).startswith("taskct"):
                made.cache_clear()
        self._enter(item.nodeid)
        start = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - start
            self._leave()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        wide = fixturedef.scope != "function"
        if wide:
            self._enter(_context(fixturedef))
        try:
            return (yield)
        finally:
            if wide:
                self._leave()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed[report.nodeid] = self.passed.get(report.nodeid, True) and report.passed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: Any) -> None:
        used = getattr(getattr(item, "_request", None), "_fixture_defs", {}).values()
        self._fixtures[item.nodeid] = {_context(f) for f in used if f.scope != "function"}

    def lines(self) -> dict[str, dict[str, Any]]:
        """{test: {seconds, lines: {file: [line, ...]}}}, files relative to the root."""
        data = self.coverage.get_data()
        by_context: dict[str, dict[str, list[int]]] = {}
        for path in data.measured_files():
            name = Path(path).relative_to(self.root).as_posix()
            for line, contexts in data.contexts_by_lineno(path).items():
                for context in contexts:
                    by_context.setdefault(context, {}).setdefault(name, []).append(line)
        told = {}
        for test, seconds in self.seconds.items():
            if not self.passed.get(test):
                continue
            merged: dict[str, set[int]] = {}
            for context in (test, *self._fixtures.get(test, ())):
                for name, lines in by_context.get(context, {}).items():
                    merged.setdefault(name, set()).update(lines)
            told[test] = {"seconds": round(seconds, 3), "lines": {name: sorted(lines) for name, lines in merged.items()}}
        return told


def _context(fixturedef: Any) -> str:
    return f"fixture:{fixturedef.baseid}:{fixturedef.argname}"


def loaded(package: str) -> bool:
    """Whether a module of the package is in memory; a recording must begin without."""
    return any(name == package or name.startswith(package + ".") for name in sys.modules)
