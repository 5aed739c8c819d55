"""Plans: each step once, with the settings that it names, all of which exist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from taskct.core.errors import ConfigError
from taskct.experiments import Plan, call


@dataclass(frozen=True)
class Settings:
    """Of an experiment."""

    size: int = 64
    steps: int = 3

    @property
    def twice(self) -> int:
        """A value that follows from others."""
        return 2 * self.steps


def work(folder: Path, *, number: int) -> None:
    raise AssertionError("a plan only plans")


def other(folder: Path, *, number: int) -> None:
    raise AssertionError("a plan only plans")


def test_a_step_takes_the_settings_that_it_uses_and_costs_less_with_fewer_pixels() -> None:
    plan = Plan(Settings())
    made = plan.step("a", call(work, number=1), str, uses=("steps", "twice"), about="working", cost=8)
    assert made.name == "a" and plan.steps["a"].config == {"steps": 3, "twice": 6} and plan.steps["a"].cost == 2


def test_a_setting_that_does_not_exist_is_refused_when_the_plan_is_made() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'stesp'; did you mean 'steps'"):
        Plan(Settings()).step("a", call(work, number=1), str, uses=("stesp",), about="", cost=1)


def test_the_same_step_asked_for_twice_is_there_once_and_another_of_its_name_is_refused() -> None:
    plan = Plan(Settings())
    for _ in range(2):
        plan.step("a", call(work, number=1), str, about="", cost=1)
    assert list(plan.steps) == ["a"]
    for again, uses in ((call(other, number=1), ()), (call(work, number=1), ("steps",))):
        with pytest.raises(ConfigError, match="two different steps are called 'a'"):
            plan.step("a", again, str, uses=uses, about="", cost=1)
