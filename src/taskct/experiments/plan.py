"""What plans of experiments share: steps in order, each there once, with the settings that its result depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from taskct.core.errors import ConfigError, unknown_name
from taskct.experiments.made import Call, Made
from taskct.experiments.steps import Step


class Sized(Protocol):
    """Settings of an experiment on images of `size` x `size` pixels."""

    @property
    def size(self) -> int:
        """Pixels."""


S = TypeVar("S", bound=Sized)
T = TypeVar("T")


class Plan(Generic[S]):
    """Steps in the order in which they were added, from frozen settings."""

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.steps: dict[str, Step] = {}

    def step(
        self,
        name: str,
        work: Call,
        read: Callable[[Path], T],
        *,
        uses: Sequence[str] = (),
        about: str,
        cost: float,
        always: bool = False,
    ) -> Made[T]:
        """One step, unless it is there already -> the handle of what it makes, which `read` loads from its folder.

        `uses` names the settings that the result depends on beside those of the steps it needs; `cost` is in seconds of a
        core at 128 x 128 pixels. Raises ConfigError for a setting that does not exist, and for two steps of one name.
        """
        step = Step(
            name,
            work,
            config={k: self._setting(k) for k in uses},
            about=about,
            cost=cost * (self.settings.size / 128) ** 2,
            always=always,
        )
        there = self.steps.setdefault(name, step)
        if (there.work.work, there.needs, there.config) != (work.work, step.needs, step.config):
            raise ConfigError(f"two different steps are called {name!r}; a step is a folder, so each needs its own name")
        return Made(name, read)

    def _setting(self, name: str) -> Any:
        known = [k for k in dir(type(self.settings)) if not k.startswith("_")] + list(vars(self.settings))
        if name not in known:
            raise unknown_name("setting", name, known)
        return getattr(self.settings, name)
