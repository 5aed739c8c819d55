"""A run folder in a few lines for people: what made it, what it holds, what was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskct.core.names import plural
from taskct.core.runs import Run, load_run


def run_facts(folder: Path) -> dict[str, str]:
    """The facts of a run by their names, in the order to show them; tables of its config by a line for each."""
    run = load_run(folder)
    made = run.provenance if (folder / "provenance.json").exists() else {}
    when, command = made.get("created_utc"), made.get("command")
    holds = [f"{one.name}/" if one.is_dir() else one.name for one in folder.iterdir() if not one.name.startswith(".")]
    return {
        "made": f"{str(when).partition('+')[0].replace('T', ' ')} UTC" if when else "not recorded (no provenance.json)",
        "command": str(command or ""),
        "commit": str(made.get("git_commit") or ""),
        "steps": _steps(run),
        "scores": _scores(folder),
        "files": ", ".join(sorted(holds)),
        **{name: text for key, value in run.config.items() if key != "schema" for name, text in _said(key, value)},
    }


def _said(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value of a config in lines, tables within tables by their path; nothing for what is empty.

    >>> list(_said("beam", {"kind": "fan", "views": 90, "curved": True, "rows": {}}))
    [('beam', 'kind fan, views 90, curved yes')]
    >>> list(_said("methods", {"fbp": {"method": "fbp"}, "smooth": {"method": "fbp", "window": "hann"}}))
    [('methods.fbp', 'method fbp'), ('methods.smooth', 'method fbp, window hann')]
    """
    if not isinstance(value, Mapping):
        if text := _words(value):
            yield name, text
        return
    plain = [f"{key} {text}" for key, one in value.items() if not isinstance(one, Mapping) and (text := _words(one))]
    if plain:
        yield name, ", ".join(plain)
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield from _said(f"{name}.{key}", one)


def _words(value: Any) -> str:
    """
    >>> _words(True), _words(100000.0), _words([1.0, 0.1]), _words([[128, 128], 2.8]), _words("")
    ('yes', '100000', '1 and 0.1', '128 and 128; 2.8', '')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(one)}" for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        nested = any(isinstance(one, Mapping | list | tuple) for one in value)
        words = [_words(one) for one in value]
        return "; ".join(words) if nested else " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    return "" if value is None else str(value)


def _steps(run: Run) -> str:
    """Of a training: how many steps its log has, and the last values in it."""
    lines = run.metrics()
    if not lines:
        return ""
    last = [f"{key} {_words(value)}" for key, value in lines[-1].items() if isinstance(value, int | float)]
    return f"{plural(len(lines), 'line')} in metrics.jsonl; the last one: {', '.join(last)}"


def _scores(folder: Path) -> str:
    """Of an evaluation: what its table compares, and how to see it."""
    if not (folder / "table.json").is_file():
        return ""
    from taskct.evaluation.table import Table

    table = Table.read(folder)
    doses = ", ".join(f"{dose.fraction:.4g}" for dose in table.doses)
    return (
        f"{len(table.rows)} values of {', '.join(table.methods)} on {plural(len(table.patients), 'patient')} at "
        f"{'dose' if len(table.doses) == 1 else 'doses'} {doses}; taskct report or taskct view shows them"
    )
