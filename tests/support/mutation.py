"""Mutation testing: are wrong changes of the code noticed by the tests that run the changed line?

`Project` records once, test file by test file, which test runs which lines (a folder outside the project keeps it), draws a
random sample of mutants that is spread over the layers as the code is, and tries each in a copy of the project. The project
itself is not touched.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import itertools
import json
import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from covered_lines import Recorder, loaded, watch_caches
from forked_pytest import FAILED, NO_TESTS, PASSED, TIMEOUT, copy_project, forked
from mutants import Mutant, mutants

FIRST_SECONDS = 4.0  # CPU time of the nearest tests, which are tried in a first run of their own
KILLED, TIMED_OUT, SURVIVED, UNCOVERED = "killed", "timeout", "survived", "not covered"


@dataclass(frozen=True)
class Test:
    """A recorded test: its CPU seconds and the lines that it runs in each file of the package."""

    name: str
    seconds: float
    lines: dict[str, frozenset[int]]

    @property
    def file(self) -> str:
        return self.name.split("::", 1)[0]


@dataclass
class Project:
    """A project under test: its folder, the package under src, which of its folders are layers, and where recordings lie."""

    root: Path
    package: str
    layers: Sequence[str]
    store: Path
    excluded: Sequence[str] = ()
    marks: str = "not slow"
    support: Sequence[str] = ("tests/support",)
    grace_seconds: float = 30.0  # CPU time that a trial may take beside five times what its tests took when recorded
    _recorded: dict[str, list[Test]] = field(default_factory=dict, repr=False)
    _copy: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    @property
    def copy(self) -> Path:
        """The project as it was when this was first asked for: all that follows reads, changes and restores files there."""
        if self._copy is None:
            self._copy = tempfile.TemporaryDirectory(prefix="mutants-")
            copy_project(self.root, Path(self._copy.name).resolve())
        return Path(self._copy.name).resolve()

    def files(self) -> list[str]:
        """The files that are mutated, relative to the root."""
        found = []
        for layer in self.layers:
            for path in sorted((self.copy / "src" / self.package / layer).rglob("*.py")):
                name = path.relative_to(self.copy).as_posix()
                if not any(name.startswith(f"src/{self.package}/{part}") for part in self.excluded):
                    found.append(name)
        return found

    def layer(self, file: str) -> str:
        return file.split("/")[2]

    # ---- recording

    def record(self, units: Iterable[str]) -> Iterator[tuple[str, int, float]]:
        """Record the test files that have no recording yet; yields the name, the number of tests that passed, CPU seconds."""
        (self.store / "tests").mkdir(parents=True, exist_ok=True)
        (self.store / "sources").mkdir(exist_ok=True)
        for file in self.files():
            source = (self.copy / file).read_bytes()
            (self.store / "sources" / _digest(source)).write_bytes(source)
        for unit in units:
            target = self._recording(unit)
            if target.exists():
                continue
            log = self.store / f"record.{os.getpid()}.log"
            part = target.with_suffix(f".{os.getpid()}")
            code = forked(
                lambda unit=unit, part=part: self._record_here(unit, part),  # type: ignore[misc]
                root=self.copy,
                log=log,
                cpu_seconds=600,
                wall_seconds=3000,
                extra_path=self._support(self.copy),
            )
            if code != 0 or not part.exists():
                part.write_text(json.dumps({"unit": unit, "files": {}, "tests": {}, "error": code}))
            os.replace(part, target)
            tests = json.loads(target.read_text())["tests"]
            yield unit, len(tests), sum(t["seconds"] for t in tests.values())

    def _support(self, root: Path) -> tuple[Path, ...]:
        return tuple(root / s for s in self.support)

    def _recording(self, unit: str) -> Path:
        path = self.copy / unit
        source = path.read_bytes() if path.is_file() else b""
        return self.store / "tests" / f"{unit.replace('/', '.')}-{_digest(source + self.marks.encode())}.json"

    def _record_here(self, unit: str, target: Path) -> int:
        import pytest

        if loaded(self.package):
            raise RuntimeError(f"{self.package} is in memory before its recording")
        watch_caches()
        recorder = Recorder(self.copy, self.copy / "src" / self.package)
        recorder.coverage.start()
        pytest.main(["-q", *_QUIET, "-m", self.marks, unit], plugins=[recorder])
        recorder.coverage.stop()
        wanted = set(self.files())
        tests = recorder.lines()
        for told in tests.values():
            told["lines"] = {name: lines for name, lines in told["lines"].items() if name in wanted}
        files = {name: _digest((self.copy / name).read_bytes()) for told in tests.values() for name in told["lines"]}
        target.write_text(json.dumps({"unit": unit, "files": files, "tests": tests}))
        return 0

    def recorded(self, units: Iterable[str]) -> bool:
        """Whether all of them are recorded as they are now."""
        return all(self._recording(unit).exists() for unit in units)

    def tests(self, units: Iterable[str]) -> list[Test]:
        """What is recorded of these units, with lines where they are now in files that were edited since."""
        found = []
        for unit in units:
            if unit not in self._recorded and self._recording(unit).exists():
                self._recorded[unit] = self._read(self._recording(unit))
            found += self._recorded.get(unit, [])
        return found

    def _read(self, path: Path) -> list[Test]:
        told = json.loads(path.read_text())
        moved = {file: self._moves(file, digest) for file, digest in told["files"].items() if (self.copy / file).exists()}
        return [
            Test(
                name,
                entry["seconds"],
                {
                    f: frozenset(moved[f][n] for n in lines if n in moved[f])
                    for f, lines in entry["lines"].items()
                    if f in moved
                },
            )
            for name, entry in told["tests"].items()
        ]

    def _moves(self, file: str, digest: str) -> dict[int, int]:
        if digest == _digest((self.copy / file).read_bytes()):
            return _Same()
        now = (self.copy / file).read_text().splitlines()
        then = (self.store / "sources" / digest).read_text().splitlines()
        moves = {}
        for block in difflib.SequenceMatcher(None, then, now, autojunk=False).get_matching_blocks():
            moves |= {block.a + n + 1: block.b + n + 1 for n in range(block.size)}
        return moves

    # ---- the sample

    def sample(self, count: int, seed: int) -> list[Mutant]:
        """`count` mutants in random order, each layer with its share of all mutants."""
        found: dict[str, list[Mutant]] = defaultdict(list)
        for file in self.files():
            found[self.layer(file)] += mutants((self.copy / file).read_bytes(), file)
        total = sum(map(len, found.values()))
        count = min(count, total)
        exact = {layer: count * len(m) / total for layer, m in found.items()}
        shares = {layer: int(e) for layer, e in exact.items()}
        for layer in sorted(exact, key=lambda n: shares[n] - exact[n])[: count - sum(shares.values())]:
            shares[layer] += 1
        drawn = []
        for layer, all_of_it in found.items():
            ranked = sorted(all_of_it, key=lambda m: _digest(f"{seed}|{m.rank}".encode()))
            sound = (m for m in ranked if m.compiles((self.copy / m.file).read_bytes()))
            drawn += itertools.islice(sound, shares[layer])
        drawn.sort(key=lambda m: (m.file, m.span, m.kind, m.after))
        random.Random(seed).shuffle(drawn)
        return drawn

    # ---- one mutant

    def covering(self, mutant: Mutant, tests: Sequence[Test]) -> list[Test]:
        """The tests that run the changed line, nearest first; for a line that runs on import, those that run any function
        of the file or of a file that imports it."""
        if mutant.at_import:
            files = {mutant.file: _lines_in_functions((self.copy / mutant.file).read_text())}
            for file in self._importers(mutant.file):
                files[file] = _lines_in_functions((self.copy / file).read_text())
        else:
            files = {mutant.file: frozenset(range(mutant.lines[0], mutant.lines[1] + 1))}
        none: frozenset[int] = frozenset()
        found = [t for t in tests if any(t.lines.get(file, none) & lines for file, lines in files.items())]
        return sorted(found, key=lambda t: (self._distance(mutant.file, t.file), t.seconds, t.name))

    def _distance(self, source: str, test: str) -> int:
        folder, name = source.removeprefix(f"src/{self.package}/").rsplit("/", 1)
        if test in (source, f"tests/{folder}/test_{name}"):
            return 0
        return 1 if test.startswith(f"tests/{folder}/") else 2

    def near(self, mutant: Mutant) -> list[str]:
        """The test file that mirrors the mutated one (else those of its layer that import it, else of its folder), and its
        own examples."""
        folder, name = mutant.file.removeprefix(f"src/{self.package}/").rsplit("/", 1)
        mirror = self.copy / "tests" / folder / f"test_{name}"
        module = mutant.file.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        files = [mirror] if mirror.exists() else []
        if not files:
            layer = sorted((self.copy / "tests" / self.layer(mutant.file)).rglob("test_*.py"))
            files = [f for f in layer if module in _imported(f.read_text())]
        files = files or sorted((self.copy / "tests" / folder).glob("test_*.py"))
        return [f.relative_to(self.copy).as_posix() for f in files] + self.examples([mutant.file])

    def examples(self, files: Iterable[str]) -> list[str]:
        """Those of the files that have doctests."""
        return [f for f in files if ">>>" in (self.copy / f).read_text()]

    def _importers(self, file: str) -> list[str]:
        name = file.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found = []
        for other in self.files():
            text = (self.copy / other).read_text()
            if name.rsplit(".", 1)[-1] in text and name in _imported(text):
                found.append(other)
        return found

    def attempt(self, mutant: Mutant, tests: Sequence[Test], budget: float) -> dict[str, Any]:
        """Try one mutant: the nearest tests first, then all that cover it, up to `budget` seconds of recorded CPU time."""
        covering = self.covering(mutant, tests)
        told = {"covering": len(covering), "left_out": 0, "by": ""}
        if not covering:
            return told | {"outcome": UNCOVERED}
        batches: list[list[Test]] = [[], []]
        spent = 0.0
        for test in covering:
            if spent + test.seconds > budget and spent > 0:
                told["left_out"] += 1  # type: ignore[operator]
                continue
            batches[0 if spent < FIRST_SECONDS or not batches[0] else 1].append(test)
            spent += test.seconds
        place = self.copy / mutant.file
        source = (self.copy / mutant.file).read_bytes()
        place.write_bytes(mutant.applied(source))
        for compiled in (place.parent / "__pycache__").glob(f"{place.stem}.*.pyc"):
            compiled.unlink()
        try:
            for batch in filter(None, batches):
                outcome, by = self._run(batch)
                if outcome != SURVIVED:
                    return told | {"outcome": outcome, "by": by}
        finally:
            place.write_bytes(source)
        return told | {"outcome": SURVIVED}

    def _run(self, batch: Sequence[Test]) -> tuple[str, str]:
        seconds = sum(t.seconds for t in batch)
        log = self.copy / ".trial.log"
        code = forked(
            lambda: _tests_here(batch, self.copy),
            root=self.copy,
            log=log,
            cpu_seconds=self.grace_seconds + 5 * seconds,
            wall_seconds=240 + 30 * seconds,
            extra_path=self._support(self.copy),
        )
        if code == TIMEOUT:
            return TIMED_OUT, ""
        if code in (PASSED, NO_TESTS):
            return SURVIVED, ""
        text = log.read_text(errors="replace") if log.exists() else ""
        named = [line.split(" - ")[0] for line in text.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        if code == FAILED or named or code in (2, 3, 4):
            return KILLED, (named[0].split(" ", 1)[1] if named else f"exit code {code}")
        return KILLED, f"exit code {code}"


_QUIET = ("-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--hypothesis-seed=0")


class _Same(dict[int, int]):
    """Every line is where it was."""

    def __contains__(self, line: object) -> bool:
        return True

    def __missing__(self, line: int) -> int:
        return line


class _Chosen:
    def __init__(self, batch: Sequence[Test]) -> None:
        self.order = {test.name: n for n, test in enumerate(batch)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])

    pytest_collection_modifyitems.trylast = True  # type: ignore[attr-defined]


def _tests_here(batch: Sequence[Test], root: Path) -> int:
    import pytest

    files = list(dict.fromkeys(str(root / test.file) for test in batch))
    return int(pytest.main(["-x", "-q", "--tb=line", *_QUIET, *files], plugins=[_Chosen(batch)]))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _lines_in_functions(text: str) -> frozenset[int]:
    lines: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines |= set(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(lines)


def _imported(text: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names
