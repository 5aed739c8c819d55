"""The page about dose strategies compared at one quality."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from taskct.core.errors import InputError
from taskct.core.files import refuse_existing, write_text
from taskct.evaluation.statistics import Interval
from taskct.report.dose_answer import everybody_reaches, small_interval
from taskct.report.number_text import MINUS, number, plural
from taskct.report.page import page, section
from taskct.systems.alara.pages.figures import forecast_figure, scatter_figure
from taskct.systems.alara.rivals.outcomes import Comparison

_MOST_MISSED = 15


@dataclass(frozen=True)
class DoseSection:
    """One part of a page: comparisons of the same strategies under one or several criteria; `learned` is the one in question.

    `notes` are lines such as the advice for each patient; `not_held` says by how much its training misses what it was
    asked to hold, "" where it holds it.
    """

    title: str
    comparisons: Sequence[Comparison]
    learned: str
    notes: tuple[str, ...] = ()
    not_held: str = ""


def write_dose_page(
    sections: Sequence[DoseSection],
    path: str | os.PathLike[str],
    *,
    title: str = "Dose at equal quality",
    overwrite: bool = False,
) -> None:
    """Write one self-contained HTML page about strategies that were compared; OutputExistsError unless `overwrite`."""
    if not sections:
        raise InputError("a dose page expects at least one comparison, got none")
    refuse_existing(path, overwrite=overwrite)
    lines = [line for s in sections for line in statements(s)]
    lead = "".join(f"<p{' class=caution' if caution else ''}>{escape(text)}</p>" for text, caution in lines[:12])
    body = f"<header><h1>{escape(title)}</h1><div class='verdict'>{lead}</div></header>\n"
    for k, one in enumerate(sections):
        parts = "".join(_comparison(c, one.learned) for c in one.comparisons)
        notes = "".join(f"<li>{escape(n)}</li>" for n in one.notes)
        folded = f"<details><summary>Every patient's dose</summary><ul class='key'>{notes}</ul></details>" if notes else ""
        body += section(f"part-{k}", one.title, parts + folded)
    write_text(path, page(title, body + "<footer>Made with taskct. Research use only.</footer>"), overwrite=overwrite)


def statements(one: DoseSection) -> list[tuple[str, bool]]:
    """What the comparisons say of the learned strategy, a sentence each; True marks one that speaks against it."""
    found = []
    if one.not_held:
        found.append((f"{one.title}: {one.not_held}.", True))
    for c in one.comparisons:
        names = [o.strategy for o in c.outcomes]
        by = "mean quality" if c.held_by == "mean" else f"share of patients ({100 * float(c.held_by):g} %)"
        if one.learned not in names:
            found.append((f"{one.title}: {one.learned} does not reach {c.target} for this {by}.", True))
            continue
        words, against = [], False
        for name in names:
            if name == one.learned or name.startswith(one.learned):
                continue
            gap = c.saved(one.learned, name)
            words.append(f"{_percent(gap)} against {name}")
            against |= not name.startswith("oracle") and not gap.high < 0
        unreached = f"; not reached by {', '.join(c.unreached)}" if c.unreached else ""
        found.append(
            (f"{one.title}: at equal {by} ({c.target}) {one.learned} needs photons: {'; '.join(words)}{unreached}.", against)
        )
    return found


def _comparison(c: Comparison, learned: str) -> str:
    by = "the mean over patients" if c.held_by == "mean" else f"{100 * float(c.held_by):g} % of patients"
    figure = scatter_figure(c)
    parts = [f"<h3>{escape(str(c.target))}, held for {escape(by)}</h3>", _missed(c, learned), _strategies(c, learned)]
    parts.append(
        f"<figure class='plot'><img alt='dose and quality' src=\"{figure}\"><figcaption>Measured with exact Poisson counts "
        "and noise that the search for the levels did not see. Dotted: the bound.</figcaption></figure>"
    )
    for one in c.outcomes:
        if one.strategy == f"{learned}, as deployed":
            uri, words = forecast_figure(c, one)
            if uri:
                parts.append(
                    f"<figure class='plot small'><img alt='calibration' style='max-width:420px' src=\"{uri}\">"
                    f"<figcaption>{escape(one.strategy)}: {escape(words)}.</figcaption></figure>"
                )
    return "".join(parts)


def _strategies(c: Comparison, learned: str) -> str:
    names = [o.strategy for o in c.outcomes]
    body = []
    for row, one in zip(c.rows(), c.outcomes, strict=True):
        cells = [f"<th scope='row'>{escape(one.strategy)}</th>", f"<td>{number(one.photons.mean() / 1000)}k</td>"]
        cells += [
            f"<td>{number(float(row['quality']), c.target.unit)}</td>",
            f"<td>{number(float(row['spread']), c.target.unit)}</td>",
        ]
        cells.append(f"<td>{100 * float(row['share']):.0f} %</td>")
        cells.append(f"<td>{100 * float(row['dose_spread']):.0f} %</td>")
        if learned in names and one.strategy != learned:
            cells.append(f"<td>{_percent(c.saved(learned, one.strategy), small=True)}</td>")
            cells.append(f"<td>{_interval(c.spread_difference(learned, one.strategy), c.target.unit)}</td>")
        else:
            cells += ["<td></td>"] * 2
        body.append(f"<tr>{''.join(cells)}</tr>")
    body += [f"<tr><th scope='row'>{escape(n)}</th><td colspan='7'>does not reach it</td></tr>" for n in c.unreached]
    unit = f" / {escape(c.target.unit)}" if c.target.unit else ""
    heads = [
        "",
        "photons",
        f"mean{unit}",
        "spread (SD)",
        "reach it",
        "spread of dose (SD)",
        f"{learned}: dose against it",
        f"{learned}: spread minus its",
    ]
    top = "".join(f"<th>{escape(h)}</th>" for h in heads)
    scout = float(c.notes.get("scout_photons_per_view", 0.0))
    counted = f"; every dose holds that of the scout, {number(scout)} photons a view" if scout else ""
    caption = f"<b>Strategies at one quality</b>; small: paired 95 % intervals over patients{counted}"
    return (
        f"<div class='wide'><table class='numbers'><caption>{caption}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _missed(c: Comparison, learned: str) -> str:
    """Who misses the bound under the learned dose, the worst first."""
    one = next((o for o in c.outcomes if o.strategy == f"{learned}, as deployed"), None)
    one = one or next((o for o in c.outcomes if o.strategy == learned), None)
    if one is None:
        return ""
    missed = c.missed(one)
    count = int(np.isfinite(c.gaps(one)).sum())
    if not missed:
        return f"<p>{everybody_reaches(count)} the bound ({escape(one.strategy)}).</p>"
    unit = c.target.unit
    listed = ", ".join(f"{escape(p)} ({number(abs(g), unit)}{' ' + unit if unit else ''})" for p, g in missed[:_MOST_MISSED])
    more = f" and {len(missed) - _MOST_MISSED} more" if len(missed) > _MOST_MISSED else ""
    return (
        f"<p><b>{len(missed)} of {plural(count, 'patient')} miss the bound</b> ({escape(one.strategy)}), the worst first, by "
        f"how much: {listed}{more}.</p>"
    )


def _percent(interval: Interval, *, small: bool = False) -> str:
    text = f"{interval.mean:+.1f} %".replace("-", MINUS)
    if math.isnan(interval.low) and math.isnan(interval.high):
        return text
    low, high = ("open" if math.isnan(end) else f"{end:+.1f}".replace("-", MINUS) for end in (interval.low, interval.high))
    ends = f"{low} to {high}"
    return f"{text}<small>{ends}</small>" if small else f"{text} ({ends})"


def _interval(interval: Interval, unit: str) -> str:
    return number(interval.mean, unit) + small_interval(interval, unit)
