"""Words of the command line -> what functions take. Every refusal names the word and an example that works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from taskct.core.config import parse_assignments, read_toml
from taskct.core.errors import ConfigError, InputError, unknown_name

if TYPE_CHECKING:
    from torch import nn

    from taskct.geometry import Beam
    from taskct.recon.reconstructor import Reconstructor


def parse_slices(text: str | None) -> slice | int | None:
    """'3:9', '3:9:2', ':' or '5' -> a slice or one number; None stays None (all).

    >>> parse_slices("3:9"), parse_slices("5")
    (slice(3, 9, None), 5)
    """
    from taskct.evaluation.slices import slices_from_text

    return None if text is None else slices_from_text(text, name="--slices")


def parse_numbers(text: str, *, option: str) -> tuple[float, ...]:
    """'1,0.25,0.1' -> numbers above 0.

    >>> parse_numbers("1, 0.25", option="--doses")
    (1.0, 0.25)
    """
    try:
        numbers = tuple(float(w) for w in text.split(",") if w.strip())
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < n < float("inf") for n in numbers):
        raise InputError(f"{option} expects numbers above 0 with commas between them, got {text!r}; for example 1,0.25,0.1")
    return numbers


def parse_months(text: str) -> tuple[float, float]:
    """'0:24' -> a range of ages in months.

    >>> parse_months("6:24")
    (6.0, 24.0)
    """
    low, colon, high = text.partition(":")
    try:
        return float(low), float(high if colon else low)
    except ValueError:
        raise InputError(f"--months expects LOW:HIGH, got {text!r}; for example 0:24") from None


def check_fraction(*fractions: float, option: str) -> None:
    """Refuse more than full dose: it would be another scanner setting, and `--photons` is the word for that."""
    for fraction in fractions:
        if fraction > 1:
            raise InputError(f"{option} {fraction:g}: expected a fraction of full dose up to 1; raise --photons for more")


def parse_beam(text: str, *, views: int | None = None) -> Beam:
    """The name of a preset or a TOML file with a [beam] -> Beam; `views` replaces its number of views.

    GeometryError for views that are many times what the columns can make use of.
    """
    from taskct.geometry.beam_config import beam_from_config, preset_beam
    from taskct.geometry.presets import PRESETS
    from taskct.geometry.view_number import sensible_views

    if not text.endswith(".toml"):
        if text not in PRESETS:
            raise unknown_name("beam", text, [*PRESETS, "a file that ends in .toml"])
        preset_beam(text)
        return sensible_views(beam_from_config({"preset": text, **({} if views is None else {"views": views})}))
    values = read_toml(text)
    try:
        table = values.get("beam", values)
        return sensible_views(
            beam_from_config({**table, **({} if views is None else {"views": views})} if isinstance(table, Mapping) else table)
        )
    except InputError as error:
        raise type(error)(f"{text}: {error}") from error


def parse_label_names(words: list[str]) -> dict[int, str]:
    """'5=liver' words -> names by number.

    >>> parse_label_names(["5=liver", "1=spleen"])
    {5: 'liver', 1: 'spleen'}
    """
    from taskct.data.label_names import check_label_names

    names: dict[int, str] = {}
    for word in words:
        number, equals, name = word.partition("=")
        if not equals or not number.strip().isdecimal() or not name.strip():
            raise InputError(f"--label-name expects NUMBER=NAME, got {word!r}; for example 5=liver")
        if names.setdefault(int(number), name.strip()) != name.strip():
            raise InputError(f"--label-name names label {int(number)} twice: {names[int(number)]!r} and {name.strip()!r}")
    check_label_names(names, who="--label-name")
    return names


def parse_methods(text: str) -> dict[str, dict[str, Any]]:
    """'fbp,smooth=fbp:window=hann,tv_min:strength=0.1' -> the table that `methods_from_config` takes.

    >>> parse_methods("fbp, smooth=fbp:window=hann")
    {'fbp': {'method': 'fbp'}, 'smooth': {'method': 'fbp', 'window': 'hann'}}
    >>> list(parse_methods("tv_min:strength=0.1:iterations=50"))
    ['tv_min strength=0.1 iterations=50']
    """
    methods: dict[str, dict[str, Any]] = {}
    for word in (w.strip() for w in text.split(",")):
        if not word:
            continue
        head, *assignments = word.split(":")
        name, named, method = head.rpartition("=")
        label = name.strip() if named else " ".join([method, *assignments])
        if label in methods:
            raise ConfigError(f"two methods are called {label!r}; name one of them: other={word}")
        methods[label] = {"method": method.strip(), **parse_assignments(assignments)}
    if not methods:
        raise ConfigError(f"expected names of methods, got {text!r}; for example fbp,tv_min")
    return methods


def method_from_words(name: str, assignments: list[str], *, model: nn.Module | None = None) -> Reconstructor:
    """One reconstructor, a function or a trained network, with the settings of `--set name=value`."""
    from taskct.recon.reconstructor_config import methods_from_config

    return methods_from_config({name: {"method": name, **parse_assignments(assignments)}}, model=model)[name]
