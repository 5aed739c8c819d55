"""Several tables of scores as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from taskct.core.errors import InputError
from taskct.evaluation.rows import ROLES
from taskct.evaluation.table import Table


def merge_tables(tables: Iterable[Table], *, settings: Mapping[str, Any] | None = None) -> Table:
    """One table of several that share a protocol: other methods, cases, readers or seeds.

    Settings are the first one's unless given, with the methods and metrics of all. Notes that are lists or mappings are
    joined, of others the first is kept. Raises InputError when a metric is defined in two ways or a score is there twice.
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
    merged = dict(settings or first.settings)
    for name in ("methods", "metrics"):
        if any(name in t.settings for t in parts):
            merged[name] = {k: v for t in parts for k, v in t.settings.get(name, {}).items()}
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
