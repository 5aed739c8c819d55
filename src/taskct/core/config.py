"""Settings from TOML: plain values, checked against the signature of what they are for. No code is ever named or run.

A frozen dataclass (or any annotated callable) is its own schema: the table of a config nests the names of its
parameters. A file starts with `schema = 1`. An unknown key, a wrong type or a missing value is a ConfigError that says
where it stands, what was expected and what was probably meant.

    schema = 1
    [dose]
    photons = 1e5
    fraction = 0.1
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import tomllib
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from taskct.core.errors import ConfigError, unknown_name
from taskct.core.files import write_text
from taskct.core.open_files import read_toml_tables
from taskct.core.toml import to_toml

MOST_WHOLE = 10**18  # machine numbers hold a little more
SCHEMA = 1
MAX_CONFIG_BYTES = 1 << 20  # a config is written by a person; a megabyte is not a config

Made = TypeVar("Made")


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML file without its `schema` line, after checking size, syntax and schema.

    Raises ConfigError, the message beginning with the path.
    """
    found = Path(path)
    values = read_toml_tables(found, limit_bytes=MAX_CONFIG_BYTES, what="config", error=ConfigError)
    schema = values.pop("schema", None)
    if schema is None:
        raise ConfigError(f"{found}: begins without its schema; put 'schema = {SCHEMA}' in its first line")
    if schema != SCHEMA or isinstance(schema, bool):
        raise ConfigError(f"{found}: has schema {schema!r}, this version reads {SCHEMA}; use the taskct that wrote it")
    return values


def read_config(path: str | os.PathLike[str], kind: Callable[..., Made]) -> Made:
    """Make a `kind` (a dataclass) from a TOML file; ConfigError names the file and the key."""
    try:
        return from_dict(kind, read_toml(path))
    except ConfigError as error:
        text = str(error)
        raise type(error)(text if text.startswith(str(path)) else f"{path}: {text}") from error


def write_config(path: str | os.PathLike[str], config: Any, *, overwrite: bool = False) -> None:
    """Write a dataclass or a dict as TOML, with its schema; `read_config` gives an equal one back."""
    values = config if isinstance(config, Mapping) else to_dict(config)
    write_text(path, to_toml({"schema": SCHEMA, **values}), overwrite=overwrite)


def from_dict(kind: Callable[..., Made], values: Mapping[str, Any], *, where: str = "") -> Made:
    """Call `kind` with `values`, checked as by `check_settings`; nested dataclasses come from nested tables.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Scan:
    ...     views: int
    ...     pixel_mm: float = 1.0
    >>> from_dict(Scan, {"views": 8, "pixel_mm": 2})
    Scan(views=8, pixel_mm=2.0)
    >>> from_dict(Scan, {"view": 8})
    Traceback (most recent call last):
    ...
    taskct.core.errors.ConfigError: unknown setting 'view'; did you mean 'views'? one of views, pixel_mm
    """
    return kind(**check_settings(kind, values, where=where))


def check_settings(
    target: Callable[..., Any],
    values: Mapping[str, Any],
    *,
    where: str = "",
    skip: Collection[str] = (),
    complete: bool = True,
) -> dict[str, Any]:
    """`values` as keyword arguments of `target`: names known, types as annotated, nested dataclasses made.

    `where` is the path of keys that leads here ("methods.tv_min"), for messages. `skip` names parameters that the caller
    gives himself (p, A). With `complete` a required parameter that is missing is an error.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'the config'}: expected a table of settings, got {values!r}")
    parameters = _parameters(target, skip)
    hints = _hints(target)
    checked = {}
    for name, value in values.items():
        if name not in parameters:
            raise unknown_name(_in(where, "setting"), name, [n for n in parameters if n not in skip])
        checked[name] = _coerce(value, hints.get(name, Any), _join(where, name))
    if complete:
        missing = [n for n, p in parameters.items() if p.default is p.empty and n not in checked]
        if missing:
            raise ConfigError(f"{_in(where, 'settings')} lack {', '.join(missing)}; add them, there is no default")
    return checked


def settings_of(target: Callable[..., Any], *, skip: Collection[str] = ()) -> dict[str, Any]:
    """The keyword settings of `target` with their defaults (`inspect.Parameter.empty` when required)."""
    return {name: parameter.default for name, parameter in _parameters(target, skip).items()}


def list_settings(target: Callable[..., Any]) -> frozenset[str]:
    """Names of the settings of `target` that are lists of any length."""
    ends = lambda hint: get_args(hint)[-1:]
    return frozenset(
        name
        for name, hint in _hints(target).items()
        if _is_sequence(hint, get_origin(hint)) and (get_origin(hint) is not tuple or ends(hint) in ((), (Ellipsis,)))
    )


def parse_assignments(words: Sequence[str]) -> dict[str, Any]:
    """'name=value' words as settings; a dot nests, a value is read as TOML and otherwise taken as text.

    >>> parse_assignments(["strength=0.1", "tv_min.iterations=50", "window=hann"])
    {'strength': 0.1, 'tv_min': {'iterations': 50}, 'window': 'hann'}
    """
    settings: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        keys = [k.strip() for k in name.split(".")]
        if not equals or not all(keys):
            raise ConfigError(f"expected name=value, got {word!r}; for example strength=0.1")
        table = settings
        for key in keys[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{word!r}: {key!r} has a value already, so it cannot hold {keys[-1]!r}")
        if keys[-1] in table:
            raise ConfigError(f"{word!r}: {name.strip()!r} is given twice")
        table[keys[-1]] = _parse_value(text.strip())
    return settings


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as nested plain values; None is left out (TOML has none), tuples become lists."""
    return {
        f.name: _plain(getattr(config, f.name), f.name)
        for f in dataclasses.fields(config)
        if getattr(config, f.name) is not None
    }


def _parameters(target: Callable[..., Any], skip: Collection[str]) -> dict[str, inspect.Parameter]:
    """What can be set by name; a functools.partial counts as the function it holds, with its values as defaults."""
    given = inspect.signature(target).parameters
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {n: p for n, p in given.items() if p.kind in named and n not in skip and not n.startswith("_")}


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    while hasattr(target, "func"):
        target = target.func
    place = target.__init__ if inspect.isclass(target) else target
    if not (inspect.isfunction(place) or inspect.ismethod(place)):
        place = type(target).__call__
    try:
        return get_type_hints(place)
    except (NameError, TypeError):  # names that only a type checker sees
        return {}


def _coerce(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotation `hint` asks for; ConfigError otherwise. A whole number serves as float, a list as tuple."""
    if hint is Any or hint is inspect.Parameter.empty:
        return value
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _coerce_union(value, inner, where)
    if origin is Literal:
        if value not in inner:
            raise unknown_name(f"value of {where}", value, [str(i) for i in inner])
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
        raise ConfigError(f"{where}: expected a number below 1e308, got a larger whole one")
    if hint in (bool, str) and isinstance(value, hint):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > MOST_WHOLE:
            raise ConfigError(f"{where}: expected a whole number of at most 18 digits, got a larger one")
        return value
    if _is_sequence(hint, origin) and isinstance(value, list | tuple):
        if origin is tuple and inner and inner[-1] is not Ellipsis:
            if len(value) != len(inner):
                raise ConfigError(f"{where}: expected {len(inner)} values, got {len(value)}")
            return tuple(_coerce(v, h, f"{where}[{i}]") for i, (v, h) in enumerate(zip(value, inner, strict=True)))
        item = inner[0] if inner else Any
        items = [_coerce(v, item, f"{where}[{i}]") for i, v in enumerate(value)]
        return items if (origin or hint) is list else tuple(items)
    if (origin or hint) in (dict, Mapping) and isinstance(value, Mapping):
        return {k: _coerce(v, inner[1] if inner else Any, _join(where, k)) for k, v in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_dict(hint, value, where=where)
    raise ConfigError(f"{where}: expected {_say(hint)}, got {value!r}")


def _coerce_union(value: Any, members: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in members:
        return None
    errors = []
    exact = [m for m in members if m is type(value)]  # an int stays an int where both int and float would do
    for member in [*exact, *members]:
        if member is type(None):
            continue
        try:
            return _coerce(value, member, where)
        except ConfigError as error:
            errors.append((member, error))
    tables = [e for m, e in errors if dataclasses.is_dataclass(m)]
    if tables and isinstance(value, Mapping):
        raise tables[0]
    raise ConfigError(f"{where}: expected {' or '.join(_say(m) for m in members)}, got {value!r}")


def _is_sequence(hint: Any, origin: Any) -> bool:
    return (origin or hint) in (list, tuple, Sequence, Collection)


def _say(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "nothing"}
    if hint in names:
        return names[hint]
    if _is_sequence(hint, get_origin(hint)):
        return "a list"
    if (get_origin(hint) or hint) in (dict, Mapping) or dataclasses.is_dataclass(hint):
        return "a table"
    return f"{getattr(hint, '__name__', str(hint))} (which cannot come from a config)"


def _plain(value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{name}.{k}") for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_plain(v, name) for v in value]
    if isinstance(value, str | bool | int | float):
        return value
    raise ConfigError(f"{name}: expected plain values to write, got {type(value).__name__}")


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except (ValueError, RecursionError):  # not TOML, or a number of thousands of digits
        return text


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _in(where: str, what: str) -> str:
    return f"{what} in [{where}]" if where else what
