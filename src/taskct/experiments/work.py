"""Doing one step: its record before and after, its lines, its number of threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from taskct.core.workers import threads_set
from taskct.experiments.folder_records import Records
from taskct.experiments.steps import Step, step_keys

Say = Callable[[str], None]
_KNOWN_SHARE = 0.05  # of the costs, done in this call: less foretells nothing


@dataclass(frozen=True)
class Work:
    """The steps of one call of `run_steps`, which `token` names; `threads` is how many a step has."""

    steps: Mapping[str, Step]
    records: Records
    token: str
    threads: int

    @cached_property
    def keys(self) -> dict[str, str]:
        """The key of each step."""
        return step_keys(self.steps)

    def is_done(self, step: Step) -> bool:
        """Whether a step needs no work; one that is always done anew, whether this call has done it."""
        record = self.records.read(step.name)
        return self.records.done(step.name) and (not step.always or record.get("call") == self.token)

    def do(self, step: Step, say: Say) -> bool:
        """Do a step unless it is done -> whether it was done here.

        Its folder has one writer: a second process that is sent the same step, since the first was taken for lost, waits for
        that one's end. A step that was started with another number of threads keeps that number.
        """
        with self.records.alone(step.name):
            if self.is_done(step):
                return False
            before = self.records.read(step.name)
            threads = int(before.get("threads", self.threads)) if not step.always else self.threads
            say(f"{step.name}: {'resumed: ' if before and not step.always else ''}{step.about or 'begins'}")
            key = self.keys[step.name]
            self.records.begin(step, key, threads=threads)
            try:
                with threads_set(threads):
                    wall, cpu = time.perf_counter(), time.process_time()
                    step.work.run(self.records.folder, step.name)
                    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            except Exception as error:
                self.records.fail(step.name, f"{type(error).__name__}: {error}")
                raise
            self.records.finish(
                step, key, threads=threads, wall_s=round(wall, 2), cpu_s=round(cpu, 2), finished=time.time(), call=self.token
            )
        return True

    def counted(self) -> Iterator[int]:
        """How many steps are done with each further one; they run side by side, so their places in the plan say nothing."""
        return count(1 + sum(self.is_done(step) for step in self.steps.values()))

    def said_done(self, step: Step, begun: float, done: int) -> str:
        """The line about a step that is done, with how many are, and how long the rest may take; the call began at `begun`."""
        found = {name: self.records.read(name) for name in self.steps}
        wall = float(found[step.name].get("wall_s", 0.0))
        rest = sum(s.cost for n, s in self.steps.items() if not found[n].get("done"))
        spent = sum(self.steps[n].cost for n, r in found.items() if r.get("done") and r.get("call") == self.token)
        known = spent > _KNOWN_SHARE * (rest + spent)  # what the first seconds foretell is hours off
        left = f", about {span((time.time() - begun) * rest / spent)} left" if rest and known else ""
        return f"{step.name}: done in {span(wall)}; {done} of {len(self.steps)} steps done{left}"


def span(seconds: float) -> str:
    """A time as people say it.

    >>> span(7.4), span(400), span(9000)
    ('7 s', '7 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
