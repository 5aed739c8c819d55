"""Plain values as TOML text; the standard library reads TOML but does not write it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from taskct.core.errors import ConfigError


def to_toml(values: Mapping[str, Any]) -> str:
    """Nested plain values as TOML: values first, then lists of tables, then a table for each mapping.

    >>> print(to_toml({"schema": 1, "dose": {"photons": 1e5, "fraction": 0.1}}))
    schema = 1
    <BLANKLINE>
    [dose]
    photons = 100000.0
    fraction = 0.1
    <BLANKLINE>
    """
    lines: list[str] = []
    _table(values, (), lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(values: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    tables = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    lists = {k: v for k, v in values.items() if _is_list_of_tables(v)}
    simple = {k: v for k, v in values.items() if k not in tables and k not in lists and v is not None}
    if path and (simple or not (tables or lists)):
        lines += ["", f"[{_path(path)}]"]
    lines += [f"{_key(k)} = {_value(v, k)}" for k, v in simple.items()]
    for name, rows in lists.items():
        for row in rows:
            lines += ["", f"[[{_path((*path, name))}]]"]
            lines += [f"{_key(k)} = {_value(v, k)}" for k, v in row.items() if v is not None]
    for name, table in tables.items():
        _table(table, (*path, name), lines)


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _path(keys: tuple[str, ...]) -> str:
    return ".".join(_key(k) for k in keys)


def _key(name: str) -> str:
    plain = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    return name if plain else _text(name)


def _value(value: Any, name: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else str(float(value))  # a numpy float has another repr
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v, name) for v in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v, k)}" for k, v in value.items()) + " }"
    raise ConfigError(f"{name}: expected plain values to write, got {type(value).__name__}")


def _text(value: str) -> str:
    value = value.encode("utf-8", "backslashreplace").decode()  # a byte of a file's name that is not UTF-8
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML refuses a bare DEL, JSON does not
