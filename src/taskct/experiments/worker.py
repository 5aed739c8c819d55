"""What one process does for an experiment: it takes steps that are ready and nobody works at, until none is left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from taskct.experiments.records import Records
from taskct.experiments.steps import Step, step_keys

Say = Callable[[str], None]
_PAUSE_S = 0.3


@dataclass(frozen=True)
class Worker:
    """Works through `steps` for the experiment that began at `begun` (seconds since 1970); `say` gets its progress lines."""

    steps: Mapping[str, Step]
    records: Records
    begun: float
    say: Say

    @cached_property
    def keys(self) -> dict[str, str]:
        """The key of each step."""
        return step_keys(self.steps)

    def work(self, *, parent: int = 0) -> None:
        """Take steps until none is left; returns early when a step has failed anywhere, or process `parent` is gone."""
        while not parent or os.getppid() == parent:
            open_ones = [s for s in self.steps.values() if not self.is_done(s)]
            if not open_ones or any(self.records.path(name, "error").exists() for name in self.steps):
                return
            if not any(self._try(step) for step in open_ones):
                time.sleep(_PAUSE_S)  # the rest waits for what others are doing

    def is_done(self, step: Step) -> bool:
        """Whether a step needs no work; those that are always done anew, since this experiment began."""
        record = self.records.read(step.name)
        return bool(record.get("done")) and (not step.always or float(record.get("finished", 0)) >= self.begun)

    def _try(self, step: Step) -> bool:
        """Do a step if that is possible now."""
        if not all(self.is_done(self.steps[n]) for n in step.needs):
            return False
        with self.records.claim(step.name) as mine:
            if not mine or self.is_done(step):
                return False
            self._do(step)
        return True

    def _do(self, step: Step) -> None:
        number = f"[{1 + list(self.steps).index(step.name)}/{len(self.steps)}]"
        again = "goes on: " if self.records.read(step.name) and not step.always else ""
        self.say(f"{number} {step.name}: {again}{step.about or 'begins'}")
        key = self.keys[step.name]
        self.records.begin(step, key)
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            step.work.run(self.records.folder, step.name)
        except Exception as error:
            self.records.path(step.name, "error").write_text(f"{type(error).__name__}: {error}\n", encoding="utf-8")
            raise
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.records.finish(step, key, wall_s=round(wall, 2), cpu_s=round(cpu, 2), finished=time.time())
        self.say(f"{number} {step.name}: done in {span(wall)}{self._left()}")

    def _left(self) -> str:
        """About how long it will still take, from what was done since the beginning."""
        found = {name: self.records.read(name) for name in self.steps}
        fresh = [n for n, r in found.items() if r.get("done") and float(r.get("finished", 0)) >= self.begun]
        rest = sum(s.cost for n, s in self.steps.items() if not found[n].get("done"))
        spent = sum(self.steps[n].cost for n in fresh)
        if not rest or not spent:
            return ""
        return f"; about {span((time.time() - self.begun) * rest / spent)} left"


def span(seconds: float) -> str:
    """A time as people say it.

    >>> span(7.4), span(400), span(9000)
    ('7 s', '7 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
