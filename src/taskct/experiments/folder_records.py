"""What an experiment's folder remembers of each step: what it was started with, whether it is done; and who may write."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from taskct.core.errors import ConfigError
from taskct.core.files import make_folder, write_text
from taskct.experiments.step_record import RECORDS, read_record, record_path
from taskct.experiments.steps import Step


class Records:
    """Files beside the folders of the steps, in FOLDER/.steps.

    NAME.json is written when a step begins and when it is done, NAME.error when it fails. Whoever works at a step holds
    NAME.lock, which ends with its process; a file system without locks is taken as one where no other process works.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        make_folder(self.folder / RECORDS)

    def path(self, name: str, kind: str = "json") -> Path:
        """A record's file."""
        return record_path(self.folder, name, kind)

    def read(self, name: str) -> dict[str, Any]:
        """The record of a step; empty when it was never begun."""
        return read_record(self.folder, name)

    def done(self, name: str) -> bool:
        """Whether the step was finished and its folder still exists; a deleted one is made again."""
        return bool(self.read(name).get("done")) and (self.folder / name).is_dir()

    def begin(self, step: Step, key: str, **facts: Any) -> None:
        """Note what a step is begun with; ConfigError when its folder was started with something else."""
        before = self.read(step.name)
        if before and before.get("key") != key and not step.always:
            raise ConfigError(self._changed(step, before))
        self._write(step.name, {"key": key, "config": dict(step.config), "needs": list(step.needs), "done": False, **facts})

    def check(self, step: Step, key: str, *, words: str = "") -> None:
        """ConfigError when the step was done, or begun, with another config; `words` say what to do."""
        before = self.read(step.name)
        if before and before.get("key") != key and not step.always:
            raise ConfigError(self._changed(step, before, words=words))

    def finish(self, step: Step, key: str, **facts: Any) -> None:
        """The step is done."""
        about = {"key": key, "config": dict(step.config), "needs": list(step.needs), "done": True, **facts}
        self._write(step.name, about)

    def fail(self, name: str, reason: str) -> None:
        """Note that a step failed, so that no further one begins."""
        write_text(self.path(name, "error"), reason + "\n", overwrite=True)

    def failed(self, names: Iterable[str]) -> bool:
        """Whether one of the steps has failed."""
        return any(self.path(name, "error").exists() for name in names)

    def forget_failures(self, names: Iterable[str]) -> None:
        """Steps that failed may be tried again."""
        for name in names:
            self.path(name, "error").unlink(missing_ok=True)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """This thread alone writes the step's folder inside the block, after whoever does so has ended."""
        with open(self.path(name, "lock"), "w", encoding="utf-8") as f:
            _wait_for_lock(f)
            yield

    def _changed(self, step: Step, before: dict[str, Any], *, words: str = "") -> str:
        then, now = before.get("config", {}), json.loads(json.dumps(dict(step.config), default=str))
        names = [k for k in {**then, **now} if then.get(k) != now.get(k)]
        what = f"{names[0]} = {then.get(names[0])!r}, now {now.get(names[0])!r}" if names else "other steps before it"
        anew = f"give another folder, or delete this one and {self.path(step.name)} to make it anew"
        return f"{self.folder / step.name}: was made with {what}; {words or anew}"

    def _write(self, name: str, values: dict[str, Any]) -> None:
        write_text(self.path(name), json.dumps(values, indent=1, default=str) + "\n", overwrite=True)


def _wait_for_lock(file: TextIO) -> None:
    """Lock the file until it is closed; nothing where the file system has no locks."""
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
