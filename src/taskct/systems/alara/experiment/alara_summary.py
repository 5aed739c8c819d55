"""The step that gathers: all comparisons that are done as summary.csv and report.html."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskct.core.csv_cells import csv_text
from taskct.core.files import make_folder, write_text
from taskct.evaluation.statistics import Interval
from taskct.experiments.made import Made
from taskct.systems.alara.experiment.comparing import LEARNED, Compared
from taskct.systems.alara.pages.savings_family import SavingsFamily
from taskct.systems.alara.pages.strategies_page import DoseSection, family_of, write_dose_page
from taskct.systems.alara.rivals.outcomes import Comparison, over_seeds


def gather(folder: Path, *, compared: Sequence[Made[Compared]]) -> None:
    """Write summary.csv and report.html from the comparisons that are there.

    Trainings of an arm from several seeds stand together before each alone: none of them is the one that the page leads with.
    """
    done = [Arm.of(one) for one in compared if one.done]
    groups: dict[tuple[str, str], list[Arm]] = {}
    for one in done:
        groups.setdefault((one.about["arm"], one.about["reader"]), []).append(one)
    sections, named = [], []
    for several in groups.values():
        if len(several) > 1:
            together = _together(several)
            sections.append(together)
            named += [(_name_of(several), c) for c in together.comparisons]
        for one in several:
            sections.append(one.section(part=len(several) > 1))
            named += [(one.name, c) for c in one.comparisons]
    make_folder(folder)
    write_text(folder / "summary.csv", summary_text(named, family_of(sections)), overwrite=True)
    write_dose_page(
        sections,
        folder / "report.html",
        title="How little dose is enough, patient by patient",
        missing=[one.name for one in compared if not one.done],
        overwrite=True,
    )


@dataclass(frozen=True, eq=False)
class Arm:
    """The comparisons of one training."""

    name: str
    about: Mapping[str, Any]
    comparisons: Sequence[Comparison]
    advice: tuple[str, ...]
    not_held: str

    @classmethod
    def of(cls, made: Made[Compared]) -> Arm:
        """What the step of a comparison wrote."""
        loaded = made.load()
        values = loaded.values
        advice = tuple(f"{patient}: {text}" for patient, text in values["advice"].items())
        words = "" if values.get("is_held", True) else values["held"]
        return cls(made.name, values["about"], loaded.comparisons, advice, words)

    @property
    def title(self) -> str:
        """Without its seed."""
        return f"{self.about['about']}" + (f"; read by {self.about['reader']}" if self.about["reader"] else "")

    def section(self, *, part: bool) -> DoseSection:
        """Its part of the page."""
        title = f"{self.title}; seed {self.about['seed']}"
        return DoseSection(title, self.comparisons, LEARNED, self.advice, not_held=self.not_held, part=part)


def _together(several: Sequence[Arm]) -> DoseSection:
    """The trainings of one arm from several seeds as one section."""
    by_criterion = zip(*(one.comparisons for one in several), strict=True)
    missed = "; ".join(f"seed {one.about['seed']}: {one.not_held}" for one in several if one.not_held)
    title = f"{several[0].title}; {len(several)} trainings"
    return DoseSection(title, [over_seeds(each) for each in by_criterion], LEARNED, not_held=missed)


def _name_of(several: Sequence[Arm]) -> str:
    """ "compared-fbp-noise-views" for the seeds of that arm together."""
    seed, name = several[0].about["seed"], several[0].name
    return name.replace(f"{several[0].about['arm']}-{seed}", f"{several[0].about['arm']}", 1) + f", {len(several)} seeds"


def _rows(name: str, comparison: Comparison, family: SavingsFamily) -> list[dict[str, object]]:
    names = [o.strategy for o in comparison.outcomes]
    rows: list[dict[str, object]] = []
    for row in comparison.rows():
        strategy = str(row["strategy"])
        extra: dict[str, object] = {}
        if LEARNED in names and strategy != LEARNED:
            saved = comparison.saved(LEARNED, strategy)
            extra |= _cells("learned_minus_it_percent", saved) | {"p": saved.p}
            if math.isfinite(family.p(comparison, strategy)):
                extra |= {"p_corrected": family.p(comparison, strategy), "comparisons": family.count}
            extra |= _cells("learned_minus_it_spread", comparison.spread_difference(LEARNED, strategy))
        rows.append({
            "comparison": name, "target": str(comparison.target), "held_by": comparison.held_by, **row, **extra,
        })  # fmt: skip
    for missing in comparison.unreached:
        rows.append({"comparison": name, "target": str(comparison.target), "held_by": comparison.held_by, "strategy": missing})
    return rows


def _cells(name: str, interval: Interval) -> dict[str, object]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def summary_text(named: Sequence[tuple[str, Comparison]], family: SavingsFamily) -> str:
    """summary.csv: a line for each strategy of each comparison, by its name; p-values as the page corrects them."""
    rows = [row for name, comparison in named for row in _rows(name, comparison, family)]
    columns = list(dict.fromkeys(k for row in rows for k in row))
    plain = lambda value: f"{value:.6g}" if isinstance(value, float) else value
    return csv_text(columns, ({name: plain(value) for name, value in row.items()} for row in rows))
