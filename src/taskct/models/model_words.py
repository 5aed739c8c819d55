"""Trained networks in words: the list of `taskct models`, and what `taskct models show` says of one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from taskct.core.runs import is_run, load_run
from taskct.models.figure_table import figure_table
from taskct.models.model_card import Card, Figure, images_of
from taskct.models.model_folder import PROVENANCE, SavedModel, open_model
from taskct.models.package_models import shipped_models

_WIDTH = 110
_INDENT = 15


def list_models() -> str:
    """The networks that come with the package, a line each."""
    found = [open_model(name) for name in shipped_models()]
    if not found:
        return "no network comes with this installation; train one: taskct train CONFIG -o RUN"
    lines = [
        (one.name, one.card.kind if one.card else "", one.card.title if one.card else "", _megabytes(one)) for one in found
    ]
    wide = [max(len(line[k]) for line in lines) for k in range(3)]
    return "\n".join(f"{n:<{wide[0]}}  {k:<{wide[1]}}  {t:<{wide[2]}}  {m}" for n, k, t, m in lines)


def describe_model(model: SavedModel) -> str:
    """All that is known of a network: its card, or, of a run folder, what its training recorded."""
    card = model.card
    head = f"{model.name}: {card.title if card else _kind_words(model)}"
    parts = [head, "", *(_of_card(card) if card else _of_training(model)), *_of_config(model)]
    return "\n".join(parts).rstrip()


def _of_card(card: Card) -> Iterable[str]:
    yield from _paragraph("for", card.purpose)
    yield from _paragraph("geometry", card.geometry)
    yield from _paragraph("dose", _photons(card.photons))
    for source in card.training_data:
        counted = images_of(source.images, source.patients)
        yield from _paragraph(
            "learnt from", f"{source.name}: {counted}; licence: {source.licence}; {source.where}".rstrip("; ")
        )
    took = "" if card.cpu_minutes is None else f", {card.cpu_minutes:.0f} minutes of one core"
    yield from _paragraph("training", f"{card.steps:,} steps{took}" if card.steps else "")
    yield from _figures(card.figures)
    for limit in card.limits:
        yield from _paragraph("limit", limit)
    yield from _paragraph("licence", card.licence)
    yield from _paragraph("made by", card.command)
    yield from _paragraph("commit", " ".join(filter(None, [card.commit, card.created_utc and f"({card.created_utc})"])))
    yield from _paragraph(
        "SHA-256", f"config {card.config_sha256}, weights {card.weights_sha256}" if card.weights_sha256 else ""
    )


def _of_training(model: SavedModel) -> Iterable[str]:
    yield from _paragraph("card", "none: what it is for and how good it is under unseen readers was not written down")
    folder = model.where if model.where.is_dir() else model.where.parent
    run = load_run(folder) if is_run(folder) else None
    if run is None or run.config != model.config:  # one file of weights, whose header holds its config
        return
    if run.path(PROVENANCE).exists():
        made = run.provenance
        yield from _paragraph("made by", str(made.get("command") or ""))
        yield from _paragraph("commit", f"{made.get('git_commit') or 'not known'} ({made.get('created_utc', '')})")
    data = model.table("data")
    images, patients = data.get("images"), data.get("patients", 0)
    if isinstance(images, int) and isinstance(patients, int):
        yield from _paragraph("learnt from", images_of(images, patients))
    dose = model.table("dose")
    if all(isinstance(dose.get(k), int | float) for k in ("photons", "lowest", "highest")):
        yield from _paragraph("dose", _photons((dose["photons"] * dose["lowest"], dose["photons"] * dose["highest"])))
    yield from _paragraph("validation", _validation(run.metrics()))


def _of_config(model: SavedModel) -> Iterable[str]:
    for name in ("model", "reader", "dose_module", "beam", "grid"):
        if name in model.config:
            yield from _paragraph(f"[{name}]", _table_words(model.config[name]))
    yield from _paragraph("weights", f"{model.weights}, {_megabytes(model)}")


def _figures(figures: tuple[Figure, ...]) -> Iterable[str]:
    if any(f.low is not None for f in figures):
        yield from _paragraph("measured", "means with 95 % intervals over patients")
    elif figures:
        yield from _paragraph("measured", "means")
    yield from (f"{' ' * _INDENT}{line}" for line in figure_table(figures))


def _validation(lines: list[dict[str, Any]]) -> str:
    found = [line for line in lines if line.get("kind") == "validation" and line.get("total") is not None]
    if not found:
        return "none was made"
    best = min(found, key=lambda line: float(line["total"]))
    shown = ", ".join(f"{k} {v:.4g}" for k, v in best.items() if k not in ("kind", "step") and isinstance(v, int | float))
    return f"step {best['step']}: {shown}"


def _kind_words(model: SavedModel) -> str:
    return {"": "a training"}.get(model.kind, f"a {model.kind}") + " of a run folder"


def _photons(photons: tuple[float, ...]) -> str:
    if not photons:
        return ""
    low, high = min(photons), max(photons)
    return (
        f"{low:,.0f} photons per detector pixel in air"
        if low == high
        else f"{low:,.0f} to {high:,.0f} photons per detector pixel in air"
    )


def _table_words(table: Any) -> str:
    if not isinstance(table, Mapping):
        return str(table)
    return ", ".join(f"{k} {v}" for k, v in table.items() if not isinstance(v, Mapping))


def _megabytes(model: SavedModel) -> str:
    return f"{model.weights.stat().st_size / 1e6:.2f} MB" if model.weights.exists() else "none yet: its training has not ended"


def _paragraph(name: str, text: str) -> Iterable[str]:
    if text:
        yield from textwrap.wrap(
            text,
            _WIDTH,
            initial_indent=f"  {name:<12} ",
            subsequent_indent=" " * _INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
