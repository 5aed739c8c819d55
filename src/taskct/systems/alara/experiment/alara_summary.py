"""The step that gathers: all comparisons that are done as summary.csv and report.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taskct.core.csv_cells import csv_text
from taskct.core.files import make_folder, write_text
from taskct.evaluation.statistics import Interval
from taskct.experiments.made import Made
from taskct.systems.alara.experiment.comparing import LEARNED, Compared
from taskct.systems.alara.rivals.outcomes import Comparison


def gather(folder: Path, *, compared: Sequence[Made[Compared]]) -> None:
    """Write summary.csv and report.html from the comparisons that are there."""
    from taskct.systems.alara.pages.strategies_page import DoseSection, write_dose_page

    sections = []
    named: list[tuple[str, Comparison]] = []
    for one in compared:
        if not one.done:
            continue
        loaded = one.load()
        values, found = loaded.values, loaded.comparisons
        about = values["about"]
        for comparison in found:
            named.append((one.name, comparison))
        title = f"{about['about']}; seed {about['seed']}" + (f"; read by {about['reader']}" if about["reader"] else "")
        advice = tuple(f"{p}: {text}" for p, text in values["advice"].items())
        words = "" if values.get("is_held", True) else values["held"]
        sections.append(DoseSection(title, found, LEARNED, advice, not_held=words))
    make_folder(folder)
    write_text(folder / "summary.csv", summary_text(named), overwrite=True)
    write_dose_page(
        sections,
        folder / "report.html",
        title="How little dose is enough, patient by patient",
        missing=[one.name for one in compared if not one.done],
        overwrite=True,
    )


def _rows(name: str, comparison: Comparison) -> list[dict[str, object]]:
    names = [o.strategy for o in comparison.outcomes]
    rows: list[dict[str, object]] = []
    for row in comparison.rows():
        strategy = str(row["strategy"])
        extra: dict[str, object] = {}
        if LEARNED in names and strategy != LEARNED:
            extra |= _cells("learned_minus_it_percent", comparison.saved(LEARNED, strategy))
            extra |= _cells("learned_minus_it_spread", comparison.spread_difference(LEARNED, strategy))
        rows.append({
            "comparison": name, "target": str(comparison.target), "held_by": comparison.held_by, **row, **extra,
        })  # fmt: skip
    for missing in comparison.unreached:
        rows.append({"comparison": name, "target": str(comparison.target), "held_by": comparison.held_by, "strategy": missing})
    return rows


def _cells(name: str, interval: Interval) -> dict[str, object]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def summary_text(named: Sequence[tuple[str, Comparison]]) -> str:
    """summary.csv: a line for each strategy of each comparison, by the comparison's name."""
    rows = [row for name, comparison in named for row in _rows(name, comparison)]
    columns = list(dict.fromkeys(k for row in rows for k in row))
    plain = lambda value: f"{value:.6g}" if isinstance(value, float) else value
    return csv_text(columns, ({name: plain(value) for name, value in row.items()} for row in rows))
