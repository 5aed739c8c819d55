"""Names of labels: one for each number, none empty, and no two numbers of one name, since tables find labels by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from taskct.core.errors import InputError


def check_label_names(names: Mapping[int, Any], *, who: str) -> None:
    """InputError for a number below 0, an empty name, or one name for two numbers (capitals aside).

    >>> check_label_names({1: "liver", 2: "Liver"}, who="case s1")
    Traceback (most recent call last):
    ...
    taskct.core.errors.InputError: case s1: labels 1 and 2 are both called 'Liver'; give each number a name of its own
    """
    taken: dict[str, int] = {}
    for number, name in names.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
            raise InputError(f"{who}: expected label numbers as whole numbers of 0 or more, got {number!r} ({name})")
        if not isinstance(name, str) or not name.strip():
            raise InputError(
                f"{who}: label {number} has an empty name, or none that is a text: {name!r}; name it, or leave it out"
            )
        other = taken.setdefault(_plain(name), number)
        if other != number:
            raise InputError(
                f"{who}: labels {other} and {number} are both called {name!r}; give each number a name of its own"
            )


def distinct_names(names: Mapping[int, str], given: Mapping[int, str]) -> tuple[dict[int, str], list[str]]:
    """Names that a file gives, beside those that the caller gave and that hold -> all of them, and what was changed.

    A number without a name is called by it, and a name that occurs twice gets its number.

    >>> distinct_names({1: "lesion", 2: "lesion", 3: ""}, {})
    ({1: 'lesion', 2: 'lesion (2)', 3: 'label 3'}, ["label 2 is called 'lesion' like another one, here 'lesion (2)'"])
    """
    found, notes = {}, []
    taken = {_plain(name) for name in given.values()}
    for number, own in names.items():
        if number in given:
            continue
        name = own.strip() or f"label {number}"
        while _plain(name) in taken:
            name = f"{name} ({number})"
        if own.strip() and name != own.strip():
            notes.append(f"label {number} is called {own.strip()!r} like another one, here {name!r}")
        taken.add(_plain(name))
        found[number] = name
    return {**found, **given}, notes


def _plain(name: str) -> str:
    return name.strip().casefold()
