"""A step of an experiment: named work that fills a folder, once, from the folders of the steps it needs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from taskct.core.errors import ConfigError
from taskct.experiments.made import Call

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, eq=False)
class Step:
    """`work` fills the folder `name`; with the same `config` and needs it is done once and for all.

    The needs are the steps whose handles are among the arguments of `work`.

    config   plain values that the result depends on, beside those of the needs: another value is another experiment
    about    what the progress line says
    cost     about how many seconds of one core it takes: for the time that is left, and nothing else
    always   done anew every time: tables and pages that gather what there is

    A step that was killed is started again on the folder that it left: `work` resumes from what it finds there (as
    trainings do), or writes it anew.
    """

    name: str
    work: Call
    config: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    cost: float = 1.0
    always: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > 100:
            raise ConfigError(f"a step is named by letters, digits, dots, dashes and underscores, got {self.name!r}")

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the steps that must be done before."""
        return self.work.needs


def checked_steps(steps: Sequence[Step]) -> dict[str, Step]:
    """Steps by name, each after those it needs; ConfigError for a name given twice or a need that does not come before.

    >>> from taskct.experiments.made import Made, call
    >>> def write(folder, *handles): ...
    >>> list(checked_steps([Step("a", call(write)), Step("b", call(write, Made("a", str)))]))
    ['a', 'b']
    """
    found: dict[str, Step] = {}
    for step in steps:
        if step.name in found:
            raise ConfigError(f"two steps are called {step.name!r}; a step is a folder, so each needs a name of its own")
        for need in step.needs:
            if need not in found:
                raise ConfigError(f"step {step.name!r} needs {need!r}, which is not among the steps before it")
        found[step.name] = step
    return found


def step_keys(steps: Mapping[str, Step]) -> dict[str, str]:
    """A key for each step that changes with its config and with any step that it stands on."""
    keys: dict[str, str] = {}
    for step in steps.values():
        facts = {"name": step.name, "config": step.config, "needs": {n: keys[n] for n in step.needs}}
        text = json.dumps(facts, sort_keys=True, default=str)
        keys[step.name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return keys


def only_for(steps: Mapping[str, Step], wanted: Sequence[str]) -> dict[str, Step]:
    """The wanted steps and whatever they stand on, in their order.

    >>> from taskct.experiments.made import Made, call
    >>> def write(folder, *handles): ...
    >>> steps = checked_steps([Step("a", call(write)), Step("b", call(write)), Step("c", call(write, Made("a", str)))])
    >>> list(only_for(steps, ["c"]))
    ['a', 'c']
    """
    kept: set[str] = set()
    for name in reversed(list(steps)):
        if name in wanted or any(name in steps[later].needs for later in kept):
            kept.add(name)
    return {name: step for name, step in steps.items() if name in kept}
