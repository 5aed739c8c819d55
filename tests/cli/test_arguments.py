"""Words of the command line become arguments, or a line that says what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from taskct.cli.arguments import method_from_words, parse_beam, parse_methods, parse_numbers, parse_slices
from taskct.core.errors import ConfigError, InputError
from taskct.geometry.presets import clinical_fan, lodopab


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, None),
        ("5", 5),
        ("-1", -1),
        ("3:9", slice(3, 9)),
        (":", slice(None)),
        ("3:", slice(3, None)),
        ("0:9:2", slice(0, 9, 2)),
    ],
)
def test_slices_read_like_python(text: str | None, wanted: object) -> None:
    assert parse_slices(text) == wanted


@pytest.mark.parametrize("text", ["", "a", "1:b", "1:2:3:4", "1:9:0", "1.5"])
def test_other_slices_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="for example 3:9"):
        parse_slices(text)


@pytest.mark.parametrize("text", ["", "a", "1,b", "0", "-1", "nan", "inf"])
def test_doses_are_numbers_above_zero(text: str) -> None:
    with pytest.raises(InputError, match="--doses expects numbers above 0"):
        parse_numbers(text, option="--doses")


def test_a_beam_is_a_preset_or_a_file(tmp_path: Path) -> None:
    assert parse_beam("clinical_fan") == clinical_fan()
    assert parse_beam("clinical_fan", views=90) == clinical_fan(views=90)
    assert parse_beam("lodopab") == lodopab()[1]
    file = tmp_path / "b.toml"
    file.write_text("schema = 1\n[beam]\npreset = 'clinical_fan'\ncols = 368\n")
    assert parse_beam(str(file), views=90) == clinical_fan(views=90, cols=368)
    file.write_text("schema = 1\nkind = 'parallel'\nviews = 9\ncols = 5\npixel_mm = 1\n")
    assert parse_beam(str(file)).views == 9


def test_a_wrong_beam_is_refused_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown beam 'clinical_fann'; did you mean 'clinical_fan'"):
        parse_beam("clinical_fann")
    file = tmp_path / "b.toml"
    file.write_text("schema = 1\n[beam]\npreset = 'clinical_fan'\ncol = 368\n")
    with pytest.raises(ConfigError, match=r"b\.toml: unknown setting in \[beam\] 'col'; did you mean 'cols'"):
        parse_beam(str(file))
    file.write_text("schema = 1\nbeam = 3\n")
    with pytest.raises(ConfigError, match=r"b\.toml: beam: expected a table"):
        parse_beam(str(file))


def test_methods_carry_their_settings_and_a_name() -> None:
    assert parse_methods("fbp,smooth=fbp:window=hann:frequency_scale=0.8") == {
        "fbp": {"method": "fbp"},
        "smooth": {"method": "fbp", "window": "hann", "frequency_scale": 0.8},
    }
    with pytest.raises(ConfigError, match="two methods are called 'fbp'"):
        parse_methods("fbp,fbp")
    with pytest.raises(ConfigError, match="expected names of methods"):
        parse_methods(" , ")


def test_a_method_is_checked_against_its_signature() -> None:
    assert method_from_words("fbp", ["window=hann"]).keywords == {"window": "hann"}
    with pytest.raises(ConfigError, match="unknown method 'fpb'; did you mean 'fbp'"):
        method_from_words("fpb", [])
    with pytest.raises(ConfigError, match=r"\[methods\.fbp\] 'windwo'; did you mean 'window'"):
        method_from_words("fbp", ["windwo=hann"])
    with pytest.raises(ConfigError, match=r"methods\.fbp\.frequency_scale: expected a number, got 'half'"):
        method_from_words("fbp", ["frequency_scale=half"])


@pytest.mark.parametrize("verb", ["evaluate", "reconstruct", "dose"])
def test_the_short_name_of_tv_stands_where_methods_are_listed(
    verb: str, taskct_says: Callable[..., tuple[int, str, str]]
) -> None:
    _, out, _ = taskct_says(verb, "--help")
    assert re.search(r"tv is short for\s+tv_min|tv_min \(or tv\)", re.sub(r"[\s│|]+", " ", out))
