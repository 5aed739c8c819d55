"""What plans of experiments share: steps in order, each there once, with the settings that its result depends on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from taskct.experiments.steps import Step


class Plan:
    """Steps in the order in which they were added, from frozen settings with a `size` in pixels."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.steps: dict[str, Step] = {}

    def step(
        self,
        name: str,
        work: Callable[..., object],
        *,
        needs: tuple[str, ...] = (),
        what: str = "",
        about: str,
        cost: float,
        always: bool = False,
        **more: Any,
    ) -> str:
        """One step, unless it is there already -> its name.

        `work` gets the folders, the settings and `more`; `what` names the settings that the result depends on; `cost` is in
        seconds of a core at 128 x 128 pixels.
        """
        if name not in self.steps:
            self.steps[name] = Step(
                name,
                partial(_with_settings, work=work, settings=self.settings, more=more),
                needs=tuple(dict.fromkeys(needs)),
                config={k: getattr(self.settings, k) for k in what.split()},
                about=about,
                cost=cost * (self.settings.size / 128) ** 2,
                always=always,
            )
        return name


def _with_settings(folder: Any, needed: Any, *, work: Callable[..., object], settings: Any, more: Any) -> None:
    work(folder, needed, settings=settings, **more)
