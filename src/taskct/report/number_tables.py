"""Tables of numbers as HTML: methods x doses, differences to the baseline, regions, cases."""

from __future__ import annotations

from html import escape

import numpy as np

from taskct.evaluation.rows import ALL, SECONDS, DoseLevel
from taskct.evaluation.statistics import FEW_PATIENTS, Interval
from taskct.evaluation.table import Table
from taskct.report.number_text import dose_label, number, power_of_ten, span
from taskct.report.verdict import ranking

MOST_REGIONS = 14
MOST_CASES = 60


def metric_table(table: Table, metric: str, *, photons: bool = True) -> str:
    """Methods x doses of one metric: mean and interval; the best of each dose in bold where it is separated from the next."""
    about = table.label(metric)
    unit = about["unit"]
    cells = {(s.method, s.dose): s.interval for s in table.summary(metric)}
    leaders = {dose: leader(table, metric, dose) for dose in table.doses}
    body = []
    for method in table.methods:
        row = [f"<th scope='row'>{escape(method)}</th>"]
        for dose in table.doses:
            interval = cells.get((method, dose))
            row.append("<td>–</td>" if interval is None else _cell(interval, unit, lead=leaders[dose] == method))
        body.append("<tr>" + "".join(row) + "</tr>")
    caption = f"<b>{escape(about['label'])}{f' / {escape(unit)}' if unit else ''}</b>, {_direction(about['better'])}"
    return _table(caption, ["", *_dose_heads(table, photons=photons)], body, "numbers")


def difference_table(table: Table, metric: str) -> str:
    """Every method minus the baseline (the first method), paired image by image."""
    about, baseline = table.label(metric), table.methods[0]
    body = []
    for method in table.methods[1:]:
        row = [f"<th scope='row'>{escape(method)}</th>"]
        for dose in table.doses:
            interval = table.paired(metric, method, baseline, dose=dose)
            apart = "" if interval.separated or interval.n_patients < FEW_PATIENTS else "<small>not separated</small>"
            row.append(_cell(interval, about["unit"], lead=interval.separated, more=apart))
        body.append("<tr>" + "".join(row) + "</tr>")
    unit = f" / {escape(about['unit'])}" if about["unit"] else ""
    caption = f"<b>{escape(about['label'])}{unit} minus that of {escape(baseline)}</b>, paired; bold: separated from zero"
    return _table(caption, ["", *_dose_heads(table, photons=False)], body, "numbers")


def time_table(table: Table) -> str:
    """Seconds per image of each method, mean over all that was run."""
    body = []
    for method in table.methods:
        seconds = [r.value for dose in table.doses for r in table.select(SECONDS, method, dose)]
        if seconds:
            mean = number(float(np.mean(seconds)), "s")
            body.append(f"<tr><th scope='row'>{escape(method)}</th><td>{mean}</td></tr>")
    return _table("<b>Time / s</b> per slice or volume, wall clock", ["", "mean"], body, "numbers narrow") if body else ""


def region_table(table: Table, dose: DoseLevel) -> str:
    """Bias, error SD and RMSE of each labelled region at one dose, a line per region and a column per method."""
    regions = sorted((r for r in table.regions if r != ALL), key=lambda name: name.startswith("label "))  # named ones first
    wanted = [m for m in ("bias_hu", "noise_sd_hu", "rmse_hu") if m in table.metrics]
    if not regions or not wanted:
        return ""
    lines = {(s.region, s.method, s.metric): s.interval for m in wanted for s in table.summary(m, dose=dose, region=None)}
    body = []
    for region in [ALL, *regions[:MOST_REGIONS]]:
        row = [f"<th scope='row'>{escape('whole mask' if region == ALL else region)}</th>"]
        for method in table.methods:
            for metric in wanted:
                interval = lines.get((region, method, metric))
                first = " class='first'" if metric == wanted[0] else ""
                row.append(f"<td{first}>{'–' if interval is None else number(interval.mean, 'HU')}</td>")
        body.append("<tr>" + "".join(row) + "</tr>")
    names = [escape(table.label(m)["label"]) for m in wanted]
    top = "".join(f"<th colspan='{len(wanted)}' class='first'>{escape(m)}</th>" for m in table.methods)
    second = "".join(f"<th{' class=first' if i == 0 else ''}>{n}</th>" for _ in table.methods for i, n in enumerate(names))
    left_out = len(regions) - MOST_REGIONS
    rest = f"; {left_out} more regions are in the CSV" if left_out > 0 else ""
    caption = f"<b>By region at {escape(dose_label(dose, table.doses))} dose / HU</b>, mean over patients{rest}"
    head = f"<tr><th></th>{top}</tr><tr><th></th>{second}</tr>"
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption>"
        f"<thead>{head}</thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def case_table(table: Table, metric: str) -> str:
    """One line per case: mean over its slices at the lowest and the highest dose."""
    about = table.label(metric)
    doses = [table.doses[-1]] if len(table.doses) == 1 else [table.doses[-1], table.doses[0]]
    values: dict[tuple[str, str, DoseLevel], list[float]] = {}
    patient: dict[str, str] = {}
    for row in table.rows:
        if row.metric == metric and row.region == ALL:
            values.setdefault((row.case, row.method, row.dose), []).append(row.value)
            patient[row.case] = row.patient
    body = []
    for case in list(patient)[:MOST_CASES]:
        cells = [f"<th scope='row'>{escape(case)}</th><td class='text'>{escape(patient[case])}</td>"]
        images = max(len(v) for (c, _, _), v in values.items() if c == case)
        cells.append(f"<td>{images}</td>")
        for dose in doses:
            for i, method in enumerate(table.methods):
                found = values.get((case, method, dose))
                text = number(float(np.nanmean(found)), about["unit"]) if found and not np.isnan(found).all() else "–"
                cells.append(f"<td{' class=first' if i == 0 else ''}>{text}</td>")
        body.append("<tr>" + "".join(cells) + "</tr>")
    n = len(table.methods)
    top = "".join(f"<th colspan='{n}' class='first'>{escape(dose_label(d, table.doses))} dose</th>" for d in doses)
    second = "".join(
        f"<th{' class=first' if i == 0 else ''}>{escape(m)}</th>" for _ in doses for i, m in enumerate(table.methods)
    )
    more = len(patient) - MOST_CASES
    rest = f"; {more} more cases are in the CSV" if more > 0 else ""
    unit = f" / {escape(about['unit'])}" if about["unit"] else ""
    caption = f"<b>{escape(about['label'])}{unit} per case</b>, mean over its images{rest}"
    head = f"<tr><th colspan='3'></th>{top}</tr><tr><th>case</th><th class='text'>patient</th><th>images</th>{second}</tr>"
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption>"
        f"<thead>{head}</thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def leader(table: Table, metric: str, dose: DoseLevel) -> str | None:
    """The best method at a dose when it is separated from the second, else None."""
    if table.label(metric)["better"] == "zero":
        return None
    ranked = ranking(table, metric, dose)
    if len(ranked) < 2 or not table.paired(metric, ranked[0][0], ranked[1][0], dose=dose).separated:
        return None
    return ranked[0][0]


def _cell(interval: Interval, unit: str, *, lead: bool = False, more: str = "") -> str:
    mean = number(interval.mean, unit)
    mean = f"<b>{mean}</b>" if lead else mean
    ends = span(interval, unit)
    return f"<td>{mean}{f'<small>{ends}</small>' if ends else ''}{more}</td>"


def _dose_heads(table: Table, *, photons: bool) -> list[str]:
    more = lambda d: f"<small>{escape(power_of_ten(d.used_photons))}</small>" if photons else ""
    return [escape(dose_label(d, table.doses)) + more(d) for d in table.doses]


def _direction(better: str) -> str:
    return {"higher": "higher is better", "lower": "lower is better", "zero": "nearer to 0 is better"}[better]


def _table(caption: str, heads: list[str], body: list[str], kind: str) -> str:
    head = "".join(f"<th scope='col'>{h}</th>" for h in heads)
    return (
        f"<div class='scroll'><table class='{kind}'><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
