"""What part of each error is noise: the sentences of the verdict and the table of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from taskct.evaluation.noise_share import has_noise_share, noise_free_mean, noise_share
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.table import Table
from taskct.report.number_text import dose_label, dose_phrase, number, with_unit

NOT_NOISE = "blur, discretisation, streaks and bias"
MOSTLY = 0.5  # below this share of noise a full-dose error says little about dose


def noise_sentence(table: Table, metric: str, doses: Sequence[DoseLevel]) -> str:
    """What each method's error would be without noise, and the share of noise at each dose; '' where it was not measured."""
    unit = table.label(metric)["unit"]
    free = {m: i for m in table.methods if (i := noise_free_mean(table, metric, m)) is not None}
    shares = []
    for dose in doses:
        known = {m: s for m in free if (s := noise_share(table, metric, m, dose)) is not None and math.isfinite(s.mean)}
        if known:
            parts = ", ".join(f"{m} {percent(s.mean)}" for m, s in known.items())
            shares.append(f"at {dose_phrase(dose, table.doses)} {parts}")
    if not shares:
        return ""
    without = ", ".join(f"{m} {with_unit(i.mean, unit)}" for m, i in free.items())
    label = table.label(metric)["label"]
    return f"{label} without any noise ({NOT_NOISE}): {without}. Share of noise in the squared error: {'; '.join(shares)}."


def baseline_is_not_noise(table: Table, metric: str) -> str:
    """Why the baseline at the highest dose is not a measure of dose, '' where most of its error there is noise or unknown."""
    baseline, top = table.methods[0], table.doses[0]
    share, free = noise_share(table, metric, baseline, top), noise_free_mean(table, metric, baseline)
    if share is None or free is None or not share.mean < MOSTLY:
        return ""
    about = table.label(metric)
    return (
        f"{about['label']} does not show here how much dose can be saved: only {percent(share.mean)} of the squared error of "
        f"{baseline} at "
        f"{dose_phrase(top, table.doses)} is noise. It would be {with_unit(free.mean, about['unit'])} without any noise "
        f"({NOT_NOISE}), so a method can have less error there without needing less dose."
    )


def noise_table(table: Table, metric: str) -> str:
    """Methods x doses as HTML: the error without noise, and the share of noise in the squared error at each dose."""
    if not has_noise_share(table, metric):
        return ""
    about = table.label(metric)
    body = []
    for method in table.methods:
        free = noise_free_mean(table, metric, method)
        cells = [number(free.mean, about["unit"]) if free else "–"]
        for dose in table.doses:
            share = noise_share(table, metric, method, dose)
            cells.append("–" if share is None or math.isnan(share.mean) else percent(share.mean))
        row = "".join(f"<td>{c}</td>" for c in cells)
        body.append(f"<tr><th scope='row'>{escape(method)}</th>{row}</tr>")
    unit = f" / {escape(about['unit'])}" if about["unit"] else ""
    heads = ["", "without noise", *(escape(dose_label(d, table.doses)) for d in table.doses)]
    head = "".join(f"<th scope='col'>{h}</th>" for h in heads)
    caption = f"<b>{escape(about['label'])}{unit} without noise, and the share of noise in the squared error at each dose</b>"
    return (
        f"<div class='scroll'><table class='numbers'><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def percent(share: float) -> str:
    """A share of noise: whole per cent, 'none' for what rounds to 0 or lies below it."""
    rounded = round(100 * share)
    return "none" if rounded <= 0 else f"{rounded}\u202f%"
