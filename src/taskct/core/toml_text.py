"""Plain nested values -> TOML text that `tomllib` reads back equal. Strict: what TOML cannot hold is refused by its key."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from taskct.core.errors import ConfigError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def dump_toml(values: Mapping[str, Any]) -> str:
    """TOML text of a mapping of text, whole numbers, floats, booleans, lists and mappings; tuples become lists.

    A key whose value is None is left out, since TOML has no null. Raises ConfigError, naming the key, for anything else.

    >>> print(dump_toml({"schema": 1, "dose": {"photons": 1e5, "fractions": [1.0, 0.1]}}))
    schema = 1
    <BLANKLINE>
    [dose]
    photons = 100000.0
    fractions = [1.0, 0.1]
    <BLANKLINE>
    """
    lines: list[str] = []
    _table(values, (), lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(values: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    plain = {k: v for k, v in values.items() if not isinstance(v, Mapping) and v is not None}
    tables = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    if path and (plain or not tables):
        lines.extend(["", "[" + ".".join(_key(k) for k in path) + "]"])
    for key, value in plain.items():
        lines.append(f"{_key(key)} = {_value(value, (*path, key))}")
    for key, value in tables.items():
        _table(value, (*path, key), lines)


def _value(value: Any, path: tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ConfigError(f"{'.'.join(path)}: {value} does not fit into 64 bits")
        return str(int(value))
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        return repr(float(value)) if math.isfinite(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):  # inside a list
        inner = ", ".join(f"{_key(k)} = {_value(v, (*path, k))}" for k, v in value.items() if v is not None)
        return "{ " + inner + " }" if inner else "{}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ", ".join(_value(v, path) for v in value) + "]"
    raise ConfigError(
        f"{'.'.join(path)}: a configuration holds text, numbers, booleans, lists and tables, got {type(value).__name__}"
    )


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"a configuration expects text as keys, got {key!r}")
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    try:
        quoted.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"text with a lone surrogate cannot be written as UTF-8: {text!r}") from error
    return quoted
