"""Many inputs, one after the other, into one folder: resumed where it was stopped, and a summary of what failed and why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from taskct.core.csv_cells import csv_lines
from taskct.core.errors import InputError, OutputExistsError, TaskctError
from taskct.core.files import make_folder, write_text
from taskct.core.names import plural
from taskct.core.open_files import read_json
from taskct.core.progress import track
from taskct.core.write_locks import one_writer

SETTINGS, SUMMARY = "each.json", "summary.csv"
MADE, THERE, FAILED = "made", "there already", "failed"
_MOST_LISTED = 20


class InputJob(NamedTuple):
    """One input: a name of its own, where it lies, what is written for it (whole or not at all), and the work.

    `work` returns what to say of it.
    """

    name: str
    source: str
    out: Path
    work: Callable[[], str]


@dataclass
class EachSummary:
    """What became of every input: (name, source, state, words, seconds); `errors` are those of the failed ones."""

    rows: list[tuple[str, str, str, str, float]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def count(self, state: str) -> int:
        """Inputs in a state: MADE, THERE or FAILED."""
        return sum(row[2] == state for row in self.rows)

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(state)} {state}" for state in (MADE, THERE, FAILED) if self.count(state))
        failed = [f"  {name}: {words}" for name, _, state, words, _ in self.rows if words and state != MADE]
        more = [f"  and {len(failed) - _MOST_LISTED} more"] if len(failed) > _MOST_LISTED else []
        return "\n".join([f"{plural(len(self.rows), 'input')}: {counts}", *failed[:_MOST_LISTED], *more])

    def csv(self) -> str:
        """The rows as CSV text."""
        heads = ("name", "source", "state", "words", "seconds")
        return csv_lines([heads, *((*row[:4], f"{row[4]:.1f}") for row in self.rows)])


def do_each(
    jobs: Sequence[InputJob],
    folder: str | Path,
    *,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    progress: bool | None = None,
) -> EachSummary:
    """Do the work of every input whose output is not there yet, and write summary.csv into `folder`.

    An input that fails does not stop the others. `settings` are kept in the folder: the same call resumes it, another one is
    refused unless `overwrite`, which does everything again. Raises InputError without inputs or for two of one name,
    OutputExistsError for a folder of something else or of other settings, BusyError for one that another process fills.
    """
    names = [job.name for job in jobs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not jobs or twice:
        raise InputError(f"expected inputs of different names, got {f'{twice[0]!r} twice' if twice else 'none'}")
    target = Path(folder)
    with one_writer(target):
        _open(target, settings, overwrite=overwrite)
        found = EachSummary()
        sizes = [("input", 0.0 if job.out.exists() and not overwrite else _bytes_of(job)) for job in jobs]
        for job in track(jobs, "inputs", progress=progress, sizes=sizes):
            found.rows.append(_do(job, found, overwrite=overwrite))
        write_text(target / SUMMARY, found.csv(), overwrite=True)
    return found


def _do(job: InputJob, found: EachSummary, *, overwrite: bool) -> tuple[str, str, str, str, float]:
    if job.out.exists() and not overwrite:
        return job.name, job.source, THERE, _if_stale(job), 0.0
    begun = time.monotonic()
    try:
        state, words = MADE, job.work()
    except TaskctError as error:
        found.errors.append(error)
        state, words = FAILED, " ".join(str(error).split())
    except (Exception, MemoryError) as error:
        found.errors.append(error)
        state, words = FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}"
    return job.name, job.source, state, words, time.monotonic() - begun


def _bytes_of(job: InputJob) -> float:
    """The size of an input, by which its time is foretold: of a file, or of the files of a folder."""
    source = Path(job.source)
    files = [source, *(source.iterdir() if source.is_dir() else ())]
    return float(max(1, sum(file.stat().st_size for file in files if file.is_file())))


def _if_stale(job: InputJob) -> str:
    """What to say of an output whose input, a file or the files of a folder, was changed after it was made; else ""."""
    source = Path(job.source)
    files = [source, *(source.iterdir() if source.is_dir() else ())]
    changed = max((file.stat().st_mtime_ns for file in files if file.is_file()), default=0)
    old = 0 < job.out.stat().st_mtime_ns < changed
    return f"made before {job.source} was changed; remove it, or --overwrite all, to make it anew" if old else ""


def _open(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    """Make the folder with its settings, or check that it was begun with the same ones."""
    wanted = json.loads(json.dumps(settings))
    record = folder / SETTINGS
    if record.is_file():
        begun = read_json(record)
        other = [name for name in {**begun, **wanted} if begun.get(name) != wanted.get(name)]
        if other and not overwrite:
            shown = "; ".join(f"{name}: {begun.get(name)!r} then, {wanted.get(name)!r} now" for name in other[:3])
            raise OutputExistsError(
                f"{folder}: was begun with other settings ({shown}); choose another folder, or --overwrite it"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExistsError(f"{folder}: exists and was not made by --each; choose another folder")
    make_folder(folder)
    write_text(record, json.dumps(wanted, indent=2, ensure_ascii=False) + "\n", overwrite=True)
