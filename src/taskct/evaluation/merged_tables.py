"""Several tables of scores as one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from taskct.core.errors import InputError
from taskct.evaluation.rows import ROLES
from taskct.evaluation.table import Table

_MOST_SHOWN = 120  # characters of a value in a message


def merge_tables(tables: Iterable[Table], *, settings: Mapping[str, Any] | None = None) -> Table:
    """One table of several that share a protocol: other methods, cases, readers or seeds.

    Settings are the first one's unless given, with the methods, metrics, doses and geometries of all. Notes that are lists or
    mappings are joined, of others the first is kept. Raises InputError when a score is there twice, and for tables that were
    not measured under one protocol: a metric is defined in two ways, a case has two geometries or is two images, the read-out
    noise of a dose or the way truths were projected differs.
    """
    parts = list(tables)
    if not parts:
        raise InputError("merge_tables expects at least one table")
    first = parts[0]
    definitions: dict[str, dict[str, str]] = {}
    for table in parts:
        for metric in table.metrics:
            if definitions.setdefault(metric, table.label(metric)) != table.label(metric):
                raise InputError(
                    f"these tables were measured under different protocols (they define {metric} in two ways); "
                    "evaluate them under one"
                )
    _check_one_protocol(parts)
    merged = dict(settings or first.settings)
    for name in ("methods", "metrics"):
        if any(name in t.settings for t in parts):
            merged[name] = {k: v for t in parts for k, v in t.settings.get(name, {}).items()}
    if settings is None:
        merged |= _joined_scans(parts)
    rows = [r for t in parts for r in t.rows]
    if len({r.key for r in rows}) != len(rows):
        raise InputError("these tables hold the same case, method and dose twice; rename a method or drop a table")
    return Table(
        rows,
        merged,
        list({c["case_id"]: c for t in parts for c in t.cases}.values()),
        _joined_notes(t.notes for t in parts),
        first.provenance,
        [e for t in parts for e in t.images],
        _by_role({name: role for t in reversed(parts) for name, role in t.readers.items()}),
    )


def _check_one_protocol(tables: Iterable[Table]) -> None:
    """InputError where tables say differently how one thing was measured; what a table does not say is not compared."""
    said: dict[tuple[str, str], Any] = {}
    for table in tables:
        for about, value in _facts(table):
            here = json.loads(json.dumps(value, default=str))  # what was read from a file has lists for tuples
            there = said.setdefault(about, here)
            if there != here:
                what, which = about
                one, other = _difference(there, here)
                raise InputError(
                    f"these tables were measured under different protocols: {what}{which and ' of ' + which} has {one} in one "
                    f"and {other} in another; evaluate them under one"
                )


def _difference(one: Any, other: Any) -> tuple[str, str]:
    """Two values in words; of two mappings what differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        differ = [k for k in {**one, **other} if one.get(k) != other.get(k)]
        one, other = (", ".join(f"{k} {side.get(k, 'not stated')}" for k in differ) for side in (one, other))
    return _cut(str(one)), _cut(str(other))


def _facts(table: Table) -> Iterator[tuple[tuple[str, str], Any]]:
    """What tables must agree on: (what, of what) and its value."""
    for name in ("protocol", "simulation"):
        if name in table.settings:
            yield (name, ""), table.settings[name]
    for dose in table.settings.get("doses", []):
        which = f"{dose['fraction']:g} of {dose['photons']:g} photons"
        for name in ("electronic_std", "floor_photons"):
            if name in dose:
                yield (name, which), float(dose[name])
    for one in table.settings.get("geometry", []):
        for case in one["cases"]:
            for name in ("beam", "grid", "views_used"):
                yield (name, f"case {case}"), one[name]
    for case in table.cases:
        if "fingerprint" in case:
            yield ("image", f"case {case['case_id']}"), case["fingerprint"]


def _joined_scans(tables: Iterable[Table]) -> dict[str, Any]:
    """Doses and geometries of all tables, each once, with all cases of a geometry."""
    joined: dict[str, Any] = {}
    for table in tables:
        for name in ("doses", "geometry"):
            for one in table.settings.get(name, []):
                known = joined.setdefault(name, [])
                own = {k: v for k, v in one.items() if k != "cases"}
                same = next((k for k in known if {**k, "cases": 0} == {**own, "cases": 0}), None)
                if same is None:
                    known.append({**one, "cases": list(one["cases"])} if "cases" in one else dict(one))
                elif "cases" in one:
                    same["cases"] += [case for case in one["cases"] if case not in same["cases"]]
    return joined


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def _joined_notes(notes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for one in notes:
        for name, value in one.items():
            there = joined.get(name)
            if isinstance(there, list) and isinstance(value, list):
                joined[name] = [*there, *(v for v in value if v not in there)]
            elif isinstance(there, dict) and isinstance(value, dict):
                joined[name] = value | there
            else:
                joined.setdefault(name, value)
    return joined


def _by_role(readers: Mapping[str, str]) -> dict[str, str]:
    order = {role: k for k, role in enumerate(ROLES)}
    return dict(sorted(readers.items(), key=lambda item: order.get(item[1], len(order))))
