"""Settings: TOML in, checked values out; wrong ones are refused by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.config import (
    MAX_CONFIG_BYTES,
    MOST_WHOLE,
    check_settings,
    from_dict,
    list_settings,
    parse_assignments,
    read_config,
    read_toml,
    settings_of,
    to_dict,
    write_config,
)
from taskct.core.errors import ConfigError, InputError, OutputExistsError
from taskct.core.toml import to_toml


@dataclass(frozen=True)
class Tube:
    photons: float
    filter: Literal["flat", "bowtie"] = "flat"


@dataclass(frozen=True)
class Plan:
    name: str
    tube: Tube
    views: int = 360
    doses: tuple[float, ...] = (1.0,)
    spacing_mm: float | Sequence[float] = 1.0
    note: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def a_method(p: object, A: object, *, strength: float = 0.1, iterations: int = 10, stop: Callable | None = None) -> None:
    """A reconstructor's signature."""


PLAN = Plan(name="first", tube=Tube(photons=1e5), doses=(1.0, 0.25), spacing_mm=(1.0, 2.0), extra={"tv": {"strength": 0.1}})


def test_a_config_written_and_read_again_is_equal(tmp_path: Path) -> None:
    write_config(tmp_path / "plan.toml", PLAN)
    assert read_config(tmp_path / "plan.toml", Plan) == PLAN
    assert (tmp_path / "plan.toml").read_text().startswith("schema = 1\n")


plain = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
)
tables = st.recursive(plain | st.lists(plain), lambda inner: st.dictionaries(st.text(), inner), max_leaves=12)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(), tables))
def test_whatever_is_written_as_toml_reads_back_equal(values: dict[str, Any]) -> None:
    import tomllib

    assert tomllib.loads(to_toml(values)) == values


def test_a_whole_number_serves_where_a_float_is_wanted_but_not_the_reverse() -> None:
    assert from_dict(Tube, {"photons": 100}) == Tube(photons=100.0)
    with pytest.raises(ConfigError, match=r"views: expected a whole number, got 1\.5"):
        from_dict(Plan, {"name": "a", "tube": {"photons": 1.0}, "views": 1.5})
    with pytest.raises(ConfigError, match="photons: expected a number, got True"):
        from_dict(Tube, {"photons": True})


def test_an_unknown_key_says_what_was_probably_meant_and_where() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting in \[tube\] 'photon'; did you mean 'photons'\?"):
        from_dict(Plan, {"name": "a", "tube": {"photon": 1.0}})
    with pytest.raises(ConfigError, match=r"unknown value of tube\.filter 'bowti'; did you mean 'bowtie'\?"):
        from_dict(Plan, {"name": "a", "tube": {"photons": 1.0, "filter": "bowti"}})


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"settings in \[tube\] lack photons"):
        from_dict(Plan, {"name": "a", "tube": {}})


def test_the_settings_of_a_function_are_its_keywords() -> None:
    assert list(settings_of(a_method, skip=("p", "A"))) == ["strength", "iterations", "stop"]
    assert check_settings(a_method, {"strength": 1}, skip=("p", "A")) == {"strength": 1.0}
    with pytest.raises(ConfigError, match=r"'strenght'; did you mean 'strength'\? one of strength, iterations, stop"):
        check_settings(a_method, {"strenght": 1}, skip=("p", "A"))
    with pytest.raises(ConfigError, match="unknown setting 'p'"):
        check_settings(a_method, {"p": 1}, skip=("p", "A"))


def test_a_partial_is_checked_like_its_function() -> None:
    with pytest.raises(ConfigError, match="iterations: expected a whole number, got 'many'"):
        check_settings(functools.partial(a_method, strength=1.0), {"iterations": "many"}, skip=("p", "A"))


def test_what_is_no_plain_value_cannot_come_from_a_config() -> None:
    with pytest.raises(ConfigError, match="stop: expected"):
        check_settings(a_method, {"stop": "os.system"}, skip=("p", "A"))


def test_words_of_the_command_line_become_nested_values() -> None:
    assert parse_assignments(["a=1", "b.c=[1, 2]", "b.d=true", "e=hann", "f=1e5"]) == {
        "a": 1,
        "b": {"c": [1, 2], "d": True},
        "e": "hann",
        "f": 1e5,
    }
    for words, reason in (
        (["a"], "name=value"),
        (["=1"], "name=value"),
        (["a=1", "a=2"], "twice"),
        (["a=1", "a.b=2"], "has a value"),
    ):
        with pytest.raises(ConfigError, match=reason):
            parse_assignments(words)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = ", "cannot be read as TOML"),
        ("a = 1", "begins without its schema"),
        ("schema = 2", "has schema 2, this version reads 1"),
        ("schema = true", "has schema True"),
        ("schema = 1\nx = " + "9" * 5000, "cannot be read as TOML"),
        ("schema = 1\na = " + "[" * 5000, "cannot be read as TOML"),
        ("#" * (MAX_CONFIG_BYTES + 1), "larger than the limit of 1 MiB"),
        ("schema = 1\nname = 'a'\n[tube]\nphotons = 'many'\n", r"tube\.photons: expected a number, got 'many'"),
    ],
)
def test_a_bad_file_is_refused_with_its_path_and_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_config(path, Plan)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8 text"):
        read_toml(tmp_path / "binary.toml")


def test_an_existing_config_is_not_overwritten_unasked(tmp_path: Path) -> None:
    write_config(tmp_path / "plan.toml", {"a": 1})
    with pytest.raises(OutputExistsError):
        write_config(tmp_path / "plan.toml", {"a": 2})
    write_config(tmp_path / "plan.toml", {"a": 2}, overwrite=True)
    assert read_toml(tmp_path / "plan.toml") == {"a": 2}


def test_only_plain_values_are_written() -> None:
    with pytest.raises(ConfigError, match="plain values"):
        to_toml({"a": object()})
    with pytest.raises(ConfigError, match="plain values"):
        to_dict(Plan(name="a", tube=Tube(photons=1.0), extra={"call": print}))


@dataclass(frozen=True)
class Numbers:
    length_mm: float = 1.0
    steps: int = 1


@pytest.mark.parametrize("name", ["length_mm", "steps"])
@pytest.mark.parametrize("sign", [1, -1])
def test_whole_numbers_beyond_those_of_machines_are_refused_by_name(name, sign):
    with pytest.raises(ConfigError, match=rf"{name}: expected a .*number .*larger"):
        from_dict(Numbers, {name: sign * 10**400})


def test_the_largest_whole_number_is_taken_and_the_next_one_refused():
    @dataclass(frozen=True)
    class Count:
        n: int

    for value in (MOST_WHOLE, -MOST_WHOLE):
        assert from_dict(Count, {"n": value}).n == value
    for value in (MOST_WHOLE + 1, -MOST_WHOLE - 1):
        with pytest.raises(ConfigError, match="at most 18 digits, got a larger one"):
            from_dict(Count, {"n": value})


def test_settings_that_are_lists_of_any_length_are_told_from_pairs():
    def target(
        *, widths: Sequence[int], any_length: tuple[int, ...], names: list[str], pair: tuple[int, int], one: int, word: str
    ) -> None: ...

    assert list_settings(target) == {"widths", "any_length", "names"}
