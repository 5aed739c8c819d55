"""Running a fuzz target: damaged files until the time or the number is up; anything but our errors is a failure."""

from __future__ import annotations

import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_targets import TARGETS
from mutations import mutate

from taskct.core.errors import TaskctError

MOST_CPU_S = 20.0  # for one input of a few kB
MOST_S = 300.0  # the same of the clock: a hang without work, not a busy machine
MOST_GROWTH = 2**30  # bytes of memory that such an input may take


@dataclass
class Outcome:
    """What came of a target; `failures` are (number of the input, what happened)."""

    name: str
    inputs: int = 0
    refused: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)


def fuzz(
    name: str, *, seed: int, inputs: int | None = None, seconds: float | None = None, keep: Path | None = None
) -> Outcome:
    """Damage and read until so many inputs or seconds; failing files go to `keep`. Input n depends on seed and n alone."""
    target, outcome = TARGETS[name], Outcome(name)
    until = time.monotonic() + seconds if seconds is not None else None
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as place, _alarm():
        right = Path(place) / "right"
        right.mkdir()
        files = [f.relative_to(right) for f in target.make(right)]
        contents = {f: (right / f).read_bytes() for f in files}
        target.read(right)  # what is not damaged is read
        work = Path(place) / "work"
        shutil.copytree(right, work)
        while outcome.inputs != inputs and (until is None or time.monotonic() < until):
            dice = random.Random(f"{seed} {outcome.inputs}")
            changed = dice.choice(files)
            content = mutate(contents[changed], dice)
            (work / changed).write_bytes(content)
            what = _read(target.read, work, outcome)
            if what and what not in seen:
                seen.add(what)
                outcome.failures.append((outcome.inputs, what))
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{seed}-{outcome.inputs}-{changed.name}").write_bytes(content)
            (work / changed).write_bytes(contents[changed])
            outcome.inputs += 1
    return outcome


def _read(read, work: Path, outcome: Outcome) -> str:
    """What went wrong; '' when the input was read or refused as it should be."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    signal.setitimer(signal.ITIMER_REAL, MOST_S)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(work)
    except TaskctError as error:
        outcome.refused += 1
        text = str(error)
        if "\n" in text or len(text) > 4000:
            return f"an error of {len(text)} characters on {text.count(chr(10)) + 1} lines: {type(error).__name__}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)
        ours = [f for f in last if "taskct" in f.filename and "tests" not in f.filename]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        return f"{type(error).__name__} at {where}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return f"took {grown / 2**20:.0f} MiB" if grown > MOST_GROWTH else ""


class Hang(BaseException):
    """An input took too long; not an Exception, and raised again by the guard of our readers."""


class _alarm:  # noqa: N801  (a context)
    def __enter__(self) -> None:
        def ring(number: int, _: object) -> None:
            raise Hang(
                f"took more than {MOST_CPU_S:g} s of work" if number == signal.SIGPROF else f"took more than {MOST_S:g} s"
            )

        self.old = {number: signal.signal(number, ring) for number in (signal.SIGALRM, signal.SIGPROF)}

    def __exit__(self, *_: object) -> None:
        for number, before in self.old.items():
            signal.signal(number, before)
