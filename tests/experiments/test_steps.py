"""Steps: their names, their order, and the keys that change with whatever they stand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskct.core.errors import ConfigError
from taskct.experiments import Made, Step, call
from taskct.experiments.steps import checked_steps, only_for, step_keys


def work(folder: Path, *handles: Made[Any]) -> None:
    folder.mkdir()


def step(name: str, *needs: str, **config: Any) -> Step:
    return Step(name, call(work, *(Made(need, str) for need in needs)), config=config)


def test_a_key_changes_with_whatever_the_step_stands_on() -> None:
    def keys(value: int) -> dict[str, str]:
        return step_keys(checked_steps([step("a", value=value), step("b", "a"), step("c")]))

    one, other = keys(1), keys(2)
    assert one["a"] != other["a"] and one["b"] != other["b"] and one["c"] == other["c"]


def test_only_for_keeps_what_the_wanted_stand_on() -> None:
    steps = checked_steps([step("a"), step("b", "a"), step("c"), step("d", "b")])
    assert list(only_for(steps, ["d"])) == ["a", "b", "d"]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([step("a"), step("a")], "two steps are called 'a'"),
        ([step("b", "a")], "step 'b' needs 'a', which is not among the steps before it"),
    ],
)
def test_impossible_graphs_are_refused(steps: list[Step], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        checked_steps(steps)


def test_a_step_is_named_like_a_folder() -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        step("../outside")
