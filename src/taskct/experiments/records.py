"""What an experiment's folder remembers of each step: what it was begun with, whether it is done, and who works at it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskct.core.errors import ConfigError
from taskct.core.files import make_folder, write_text
from taskct.experiments.record import RECORDS, read_record, record_path
from taskct.experiments.steps import Step


class Records:
    """Files beside the folders of the steps, in FOLDER/.steps: NAME.json once begun and done, NAME.lock while at work."""

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
        """Whether the step's folder is whole."""
        return bool(self.read(name).get("done"))

    def begin(self, step: Step, key: str) -> None:
        """Note what a step is begun with; ConfigError when its folder was begun with something else."""
        before = self.read(step.name)
        if before and before.get("key") != key and not step.always:
            raise ConfigError(self._changed(step, before))
        self._write(step.name, {"key": key, "config": dict(step.config), "needs": list(step.needs), "done": False})

    def check(self, step: Step, key: str) -> None:
        """ConfigError when the step was done, or begun, with another config."""
        before = self.read(step.name)
        if before and before.get("key") != key and not step.always:
            raise ConfigError(self._changed(step, before))

    def finish(self, step: Step, key: str, **facts: Any) -> None:
        """The step is done."""
        about = {"key": key, "config": dict(step.config), "needs": list(step.needs), "done": True, **facts}
        self._write(step.name, about)

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Whether this process may work at a step: others see it as taken until the block ends or the process dies."""
        path = self.path(name, "lock")
        with open(path, "w", encoding="utf-8") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    def _changed(self, step: Step, before: dict[str, Any]) -> str:
        then, now = before.get("config", {}), json.loads(json.dumps(dict(step.config), default=str))
        names = [k for k in {**then, **now} if then.get(k) != now.get(k)]
        what = f"{names[0]} = {then.get(names[0])!r}, now {now.get(names[0])!r}" if names else "other steps before it"
        return (
            f"{self.folder / step.name}: was made with {what}; give another folder, or delete this one and "
            f"{self.path(step.name)} to make it anew"
        )

    def _write(self, name: str, values: dict[str, Any]) -> None:
        write_text(self.path(name), json.dumps(values, indent=1, default=str) + "\n", overwrite=True)
