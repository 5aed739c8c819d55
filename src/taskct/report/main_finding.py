"""The sentence that the page of an evaluation begins with, what limits it, and what the evaluation still lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from taskct.core.names import plural
from taskct.evaluation.rows import NOT_EVALUATED, DoseLevel
from taskct.evaluation.statistics import FEW_PATIENTS, Interval
from taskct.evaluation.table import Table
from taskct.report.number_text import dose_label, dose_phrase, span, with_unit
from taskct.report.verdict import limits, ranking, wins


def main_finding(table: Table, metric: str | None) -> tuple[str, list[str]]:
    """The best method at the lowest dose and its lead over the next one; then what limits this, the gravest first."""
    if metric is None:
        return "No metric with a better and a worse side was measured.", []
    return _best(table, metric, table.doses[-1]), limits(table, metric)


def missing_parts(table: Table) -> list[str]:
    """What the settings of a table ask for and its rows lack: cases, and methods at doses, in words."""
    there = {(r.method, r.dose) for r in table.rows}
    cases = {r.case for r in table.rows}
    lacking = [str(name) for name in _names(table.notes.get(NOT_EVALUATED))]
    named = [str(c["case_id"]) for c in table.cases if "case_id" in c]
    lacking += [name for name in named if name not in cases and name not in lacking]
    methods = _names(table.settings.get("methods"))
    asked = table.settings.get("doses")
    doses = [d for d in asked if isinstance(d, Mapping)] if isinstance(asked, list) else []
    levels = [DoseLevel(float(d.get("fraction", 1.0)), float(d.get("photons", 0.0))) for d in doses]
    for method in methods:
        for level in levels:
            if (method, level) not in there:
                lacking.append(f"{method} at {dose_label(level, levels)} dose")
    return lacking


def _best(table: Table, metric: str, dose: DoseLevel) -> str:
    about = table.label(metric)
    label, unit = about["label"], about["unit"]
    where = f"At {dose_phrase(dose, table.doses)}"
    ranked = ranking(table, metric, dose)
    if not ranked:
        return f"{where} no value of {label} is defined."
    best, mean = ranked[0]
    value = with_unit(mean.mean, unit)
    ends = f" (95 % interval {span(mean, unit)})" if span(mean) and mean.n_patients >= FEW_PATIENTS else ""
    if len(ranked) == 1 or about["better"] == "zero":
        nearest = ", the nearest to 0" if len(ranked) > 1 else ""
        return f"{where} the mean {label} of {best} is {value}{ends}{nearest}."
    extreme, side = ("highest", "above") if about["better"] == "higher" else ("lowest", "below")
    second = ranked[1][0]
    lead = _lead(table.paired(metric, best, second, dose=dose))
    size = f"{with_unit(lead.mean, unit)} {side}"
    if lead.n_patients < FEW_PATIENTS:
        better, total = wins(table, metric, best, second, dose)
        few = (
            "one patient gives no interval"
            if lead.n_patients == 1
            else f"{lead.n_patients} patients are too few for an interval"
        )
        return (
            f"{where} {best} has the {extreme} mean {label} in {_who(len(table.patients))}, {value}: {size} {second}, the "
            f"next one (better in {better} of {plural(total, 'image')}; {few})."
        )
    interval = f"95 % interval {span(lead, unit)}"
    if lead.separated:
        return f"{where} {best} has the {extreme} mean {label}, {value}: {size} {second}, the next one ({interval})."
    return (
        f"{where} no method is shown to be the best: {best} has the {extreme} mean {label}, {value}, but is not separated "
        f"from {second} ({size}; {interval})."
    )


def _lead(difference: Interval) -> Interval:
    """The difference of the better method as a positive number, its interval turned with it."""
    if difference.mean >= 0:
        return difference
    return replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low)


def _who(patients: int) -> str:
    return "this patient" if patients == 1 else f"these {patients} patients"


def _names(values: object) -> list[str]:
    return list(values) if isinstance(values, Mapping | list) else []
