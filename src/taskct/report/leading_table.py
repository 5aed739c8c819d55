"""The small table that the page of an evaluation begins with: the leading metric of each method at each dose."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from taskct.core.names import plural
from taskct.data.evenly_spaced import evenly_spaced
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.statistics import FEW_PATIENTS
from taskct.evaluation.table import Table
from taskct.report.first_screen import small_table
from taskct.report.number_tables import leader
from taskct.report.number_text import MINUS, dose_label, number, span
from taskct.report.verdict import kept_and_leading, ranking

_MOST_ROWS = 8
_MOST_DOSES = 4
_DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "zero": "nearer to 0 is better"}


def leading_table(table: Table, metric: str | None) -> str:
    """Mean and interval of each method at each dose, and below them the difference to the best one and what it is worth."""
    if metric is None:
        return ""
    about = table.label(metric)
    unit = f" / {about['unit']}" if about["unit"] else ""
    doses = [table.doses[k] for k in evenly_spaced(len(table.doses), _MOST_DOSES)]
    methods = kept_and_leading(table, metric, table.doses[-1], table.methods, _MOST_ROWS)
    ranked = {dose: [name for name, _ in ranking(table, metric, dose)] for dose in doses}
    leaders = {dose: leader(table, metric, dose) for dose in doses}
    heads = [f"<th scope='col'>{escape(about['label'] + unit)}</th>"]
    heads += [
        f"<th scope='col'>{escape(dose_label(d, table.doses))}{' dose' if not i else ''}</th>" for i, d in enumerate(doses)
    ]
    rows = ""
    for method in methods:
        cells = "".join(f"<td>{_cell(table, metric, method, d, ranked=ranked[d], leading=leaders[d])}</td>" for d in doses)
        rows += f"<tr><th scope='row'>{escape(method)}</th>{cells}</tr>"
    return small_table(heads, [rows], _key(table, metric, len(methods), len(doses)))


def _cell(table: Table, metric: str, method: str, dose: DoseLevel, *, ranked: Sequence[str], leading: str | None) -> str:
    """One method at one dose; `ranked` are all methods there, the best first, `leading` is the best if it is separated."""
    if not table.select(metric, method, dose):
        return "–"
    about = table.label(metric)
    mean = table.mean(metric, method, dose=dose)
    few = mean.n_patients < FEW_PATIENTS
    value, ends = number(mean.mean, about["unit"]), "" if few else span(mean, about["unit"])
    under = ""
    if about["better"] != "zero" and len(ranked) > 1 and method in ranked:
        if method == ranked[0]:
            under = "the best" if leading == method else "ahead"
        else:
            difference = table.paired(metric, method, ranked[0], dose=dose)
            worth = "" if few else ", separated" if difference.separated else ", not separated"
            under = f"{_signed(difference.mean, about['unit'])}{worth}"
    value = f"<b>{value}</b>" if under == "the best" else value
    place = "" if few else " class='under'"
    return value + (f"<small>{ends}</small>" if ends else "") + (f"<small{place}>{under}</small>" if under else "")


def _signed(value: float, unit: str) -> str:
    text = number(value, unit)
    return text if text.startswith((MINUS, "–")) else f"+{text}"


def _key(table: Table, metric: str, methods: int, doses: int) -> str:
    about, patients = table.label(metric), len(table.patients)
    many = patients >= FEW_PATIENTS
    over = f"95 % intervals over {patients} patients" if many else f"{plural(patients, 'patient')}, so no intervals"
    words = f"Mean {about['label']}, {_DIRECTIONS[about['better']]}; {over}. "
    if about["better"] != "zero" and len(table.methods) > 1:
        words += f"{'Below' if many else 'Small'}: paired difference to the leading method of that dose"
        if many:
            words += "; separated where its interval excludes zero, not corrected for the number of comparisons. "
            words += "Bold: separated from the second. "
        else:
            words += f"; no methods are called separated below {FEW_PATIENTS} patients. "
    if methods < len(table.methods):
        words += f"{methods} of {len(table.methods)} methods; all stand below. "
    if doses < len(table.doses):
        words += f"{doses} of {len(table.doses)} doses; all stand below."
    return words.strip()
