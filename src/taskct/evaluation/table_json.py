"""What table.json may hold, checked when it is read: a damaged file is refused with the place of the damage."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from taskct.core.errors import FileFormatError
from taskct.core.open_files import parsing

_ANY = "*"  # any other name
_TEXTS = "texts"
_NUMBER, _NUMBERS, _TEXT, _TABLE, _LIST, _WHOLES = "a number", "numbers", "a text", "a table", "a list", "whole numbers"
_BETTER = ("higher", "lower", "zero")
_WEIGHTS = {_ANY: _NUMBER}
_METRIC: dict[str, Any] = {
    "label": _TEXT,
    "unit": _TEXT,
    "better": _BETTER,
    "definition": _TEXT,
    "above": _WEIGHTS,
    "below": _WEIGHTS,
    "bounds": _NUMBERS,
}
_DOSE = dict.fromkeys(("photons", "fraction", "electronic_std", "floor_photons"), _NUMBER)
_CASE = {
    "case_id": _TEXT,
    "patient_id": _TEXT,
    "shape": _NUMBERS,
    "spacing_mm": _NUMBERS,
    "slices": _WHOLES,
    "provenance": _TABLE,
}
_TUNING: dict[str, Any] = {"cases": _TEXTS, "at_edge": _TEXT}
_TUNING[_ANY] = _TUNING  # a caller may nest what `tune` wrote as deep as wanted
_SHAPE: dict[str, Any] = {
    "settings": {
        "metrics": {_ANY: _METRIC},
        "doses": [_DOSE],
        "geometry": [{"beam": _TABLE, "grid": _TABLE, "views_used": _NUMBER, "cases": _LIST}],
    },
    "cases": [_CASE],
    "notes": {
        "tuning": dict(_TUNING),
        "unseen_of_the_same_architecture": _LIST,
        "lesion_class": _TEXT,
    },
    "provenance": {"versions": {_ANY: _TEXT}},
    "readers": {_ANY: _TEXT},
}


def check_about(about: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """FileFormatError, with the place in the file, for a value of another type than tables and reports rely on.

    Names that are missing or unknown pass.
    """
    with parsing(path, "a table"):  # whatever it holds, however deep
        for name, shape in _SHAPE.items():
            if name in about:
                _check(about[name], shape, f"{path}: {name}")


def _check(value: Any, shape: Any, where: str) -> None:
    if isinstance(shape, dict):
        _expect(isinstance(value, dict), where, _TABLE, value)
        for name, inner in value.items():
            known = shape.get(name, shape.get(_ANY))
            if known is not None and not (known is _TUNING and not isinstance(inner, dict)):
                _check(inner, known, f"{where}.{name}")
    elif isinstance(shape, list):
        _expect(isinstance(value, list), where, _LIST, value)
        for number, inner in enumerate(value):
            _check(inner, shape[0], f"{where}[{number}]")
    elif isinstance(shape, tuple):
        _expect(isinstance(value, str) and value in shape, where, f"one of {', '.join(shape)}", value)
    elif shape == _TEXTS:
        _expect(isinstance(value, list) and all(isinstance(inner, str) for inner in value), where, shape, value)
    elif shape in (_NUMBERS, _WHOLES):
        _expect(isinstance(value, list), where, shape, value)
        for inner in value:
            _expect(_is_number(inner) and (shape == _NUMBERS or isinstance(inner, int)), where, shape, value)
    else:
        fits = {_NUMBER: _is_number, _TEXT: lambda v: isinstance(v, str), _TABLE: lambda v: isinstance(v, dict)}
        _expect(fits.get(shape, lambda v: isinstance(v, list))(value), where, shape, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)


def _expect(fits: bool, where: str, what: str, value: Any) -> None:
    if not fits:
        raise FileFormatError(f"{where}: expected {what}, got {str(value)[:80]!r}; the file is damaged or was changed")
