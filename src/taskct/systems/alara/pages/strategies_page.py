"""The page about dose strategies compared at one quality."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from taskct.core.errors import InputError
from taskct.core.files import refuse_existing, write_text
from taskct.core.names import capital, photon_count
from taskct.evaluation.dose.answer import served
from taskct.evaluation.dose.quality_curves import held
from taskct.evaluation.statistics import Interval
from taskct.report.dose_answer import everybody_reaches, small_interval
from taskct.report.first_screen import opening, page_body, small_table
from taskct.report.number_text import MINUS, number, plural
from taskct.report.page import page
from taskct.systems.alara.pages.figures import forecast_figure, scatter_figure
from taskct.systems.alara.rivals.outcomes import Comparison, Outcome

_MOST_MISSED = 15
_MOST_LINES = 12
_WORDS = {
    "fixed": "the same photons in every view of every patient",
    "modulation a=[\\d.]+": "photons of each view by its strongest attenuation to the power a: 0 is constant, 1 lets as many "
    "through in all views",
    "as deployed": "as it is chosen before the scan, before anything is known of the images",
    "equal mean quality": "each way to choose a dose is raised or lowered by one factor for all patients, until the mean over "
    "patients is just at the bound",
    "the bound": "the quality that has to be kept",
    "oracle[^,;]*": "a dose chosen with the finished images in hand, which nobody has before a scan",
    "scout": "the short scan of low dose before the scan itself",
}
"""What the words of this page mean; `word_key` shows those that its first screen uses."""


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
    missing: Sequence[str] = (),
    others: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write one self-contained HTML page about strategies that were compared; OutputExistsError unless `overwrite`.

    It begins with the first comparison: a sentence, its figure, a small table. `missing` names comparisons not made yet,
    `others` are further pages of the run, {address: what they show}.
    """
    if not sections:
        raise InputError("a dose page expects at least one comparison, got none")
    refuse_existing(path, overwrite=overwrite)
    lines = [line for s in sections for line in statements(s)]
    words = "".join(f"<p{' class=caution' if caution else ''}>{escape(text)}</p>" for text, caution in lines[:_MOST_LINES])
    parts = [("words", "Each comparison in words", "", words)]
    for k, one in enumerate(sections):
        shown = "".join(
            _comparison(c, one.learned) + ("" if k == at == 0 else _figure(c)) + _forecasts(c, one.learned)
            for at, c in enumerate(one.comparisons)
        )
        notes = "".join(f"<li>{escape(n)}</li>" for n in one.notes)
        every = f"<details><summary>Every patient's dose</summary><ul class='key'>{notes}</ul></details>" if notes else ""
        parts.append((f"part-{k}", one.title, "", shown + every))
    body = page_body(
        title, _first(sections[0], missing), parts, lead=_lead(sections[0]), words=_words(sections[0]), others=others
    )
    write_text(path, page(title, body), overwrite=overwrite)


def _lead(one: DoseSection) -> str:
    if not one.comparisons:
        return one.title
    c = one.comparisons[0]
    return f"{one.title}. Images of {plural(len(c.patients), 'patient')} are to keep {c.target.words} {served(c.held_by)}."


def _words(one: DoseSection) -> dict[str, str]:
    learned = {
        f"the {one.learned} dose": "photons of each view that a network chooses for the patient from a scout before the scan"
    }
    return learned | _WORDS


def _first(one: DoseSection, missing: Sequence[str]) -> str:
    """The first comparison: what the learned strategy saves against the first one, against the best one, and each row."""
    answer, against = first_sentences(one)
    html = opening(answer, against, missing=missing)
    if not one.comparisons:
        return html
    c = one.comparisons[0]
    names = [o.strategy for o in c.outcomes]
    rows = ""
    for row, outcome in zip(c.rows(), c.outcomes, strict=True):
        gap = ""
        if one.learned in names and outcome.strategy != one.learned:
            gap = _percent(c.saved(one.learned, outcome.strategy), small=True)
        rows += (
            f"<tr><th scope='row'>{escape(outcome.strategy)}</th><td>{photon_count(outcome.photons.mean())}</td>"
            f"<td>{number(float(row['quality']), c.target.unit)}{'' if _holds(c, outcome) else '<small>misses</small>'}</td>"
            f"<td>{_reach(c, row)}</td><td>{gap}</td></tr>"
        )
    unit = f" / {c.target.unit}" if c.target.unit else ""
    columns = ("", "photons", f"{c.target.quality}{unit}", "patients that reach it", f"{one.learned} needs")
    heads = [f"<th>{escape(h)}</th>" for h in columns]
    who = plural(len(c.patients), "patient")
    key = (
        f"Photons per pixel and {c.target.quality}: means over {who}. Asked for: {c.target.words}, {served(c.held_by)}. Last "
        f"column: photons that {one.learned} needs more or fewer than the row, with their paired 95 % interval."
    )
    return html + _figure(c) + small_table(heads, [rows], key)


def first_sentences(one: DoseSection) -> tuple[str, str]:
    """What the learned strategy needs beside the first one; and what speaks against it, '' for nothing."""
    missed = f"But {one.not_held}." if one.not_held else ""
    if not one.comparisons:
        return "Nothing was compared.", missed
    c = one.comparisons[0]
    names = [o.strategy for o in c.outcomes]
    if one.learned not in names:
        return f"The {one.learned} dose does not reach {c.target.words} {served(c.held_by)}.", missed
    others = [o for o in c.outcomes if not o.strategy.startswith((one.learned, "oracle"))]
    if not others:
        return f"The {one.learned} dose reaches {c.target.words}; nothing was compared with it.", missed
    first, best = others[0], min(others, key=lambda o: float(o.photons.mean()))
    gap, beside = (c.saved(one.learned, o.strategy) for o in (first, best))
    answer = f"At {_held(c)} the {one.learned} dose {_needs(gap, first.strategy)}."
    deployed = deployed_misses(c, one.learned)
    if deployed:
        answer = f"{deployed}. Raised until it holds that, it {_needs(gap, first.strategy)}."
    if missed or best is first:
        return answer, missed
    than = f"{best.strategy}, the best of the others"
    return answer, f"{'But it' if gap.high < 0 and not beside.high < 0 else 'It'} {_needs(beside, than)}."


def deployed_misses(c: Comparison, learned: str) -> str:
    """That the learned dose as it is deployed misses the bound, and by how much; '' where it holds it or was not measured."""
    one = next((o for o in c.outcomes if o.strategy == f"{learned}, as deployed"), None)
    if one is None or _holds(c, one):
        return ""
    if c.held_by == "mean":
        far = f"{number(abs(float(np.nanmean(c.gaps(one)))), c.target.unit)} {c.target.unit}".rstrip()
        by = f"by {far} on average"
    else:
        by = f"in {100 * (1 - c.share(one)):.0f} % of patients, {100 * (1 - float(c.held_by)):g} % were allowed"
    return f"As deployed, the {learned} dose fails to keep {c.target.words}, {by}"


def _holds(c: Comparison, one: Outcome) -> bool:
    """Whether a strategy holds the criterion in what was measured, but for what rounding and fresh noise explain."""
    if one.curves is not None:
        return True  # its level was searched so that it does
    return bool(held(c.gaps(one)[:, None], c.held_by)[0] >= 0)


def _needs(gap: Interval, than: str) -> str:
    """ "needs 20.1 % fewer photons (15.0 to 24.2) than the fixed dose", where the interval says so."""
    than = "the fixed dose" if than == "fixed" else than
    if gap.high < 0 or gap.low > 0:
        low, high = sorted((abs(gap.low), abs(gap.high)))
        ends = f" ({low:.1f} to {high:.1f})" if math.isfinite(low + high) else " (one end open)"
        return f"needs {abs(gap.mean):.1f} % {'fewer' if gap.high < 0 else 'more'} photons{ends} than {than}"
    unsure = " (no interval)" if math.isnan(gap.low) and math.isnan(gap.high) else ""
    return f"is not shown to need fewer photons than {than}: {_percent(gap)}{unsure}"


def _held(c: Comparison) -> str:
    by = "mean quality" if c.held_by == "mean" else f"quality in {100 * float(c.held_by):g} % of patients"
    return f"equal {by} ({c.target.words})"


def _reach(c: Comparison, row: Mapping[str, Any]) -> str:
    """The share of patients that reach the bound; of a single patient whether it does."""
    if len(c.patients) == 1:
        return "yes" if float(row["share"]) == 1 else "no"
    return f"{100 * float(row['share']):.0f} %"


def _figure(c: Comparison) -> str:
    """One point per patient and strategy."""
    return (
        f"<figure class='plot small'><img alt='photons and quality of every patient under every strategy' "
        f'src="{scatter_figure(c)}"><figcaption>Measured with exact Poisson counts and noise that the search for the levels '
        "did not see. Dotted: the bound.</figcaption></figure>"
    )


def statements(one: DoseSection) -> list[tuple[str, bool]]:
    """What the comparisons say of the learned strategy, a sentence each; True marks one that speaks against it."""
    found = []
    if one.not_held:
        found.append((f"{one.title}: {one.not_held}.", True))
    for c in one.comparisons:
        names = [o.strategy for o in c.outcomes]
        deployed = deployed_misses(c, one.learned)
        if deployed:
            found.append((f"{one.title}: {deployed[0].lower()}{deployed[1:]}.", True))
        if one.learned not in names:
            found.append((f"{one.title}: the {one.learned} dose does not reach {c.target.words} {served(c.held_by)}.", True))
            continue
        words, against = [], False
        for name in names:
            if name == one.learned or name.startswith(one.learned):
                continue
            gap = c.saved(one.learned, name)
            words.append(_needs(gap, name))
            against |= not name.startswith("oracle") and not gap.high < 0
        unreached = f" The bound is not reached by {', '.join(c.unreached)}." if c.unreached else ""
        needs = "; it ".join(words) or "reaches the bound"
        found.append((f"{one.title}: at {_held(c)} the {one.learned} dose {needs}.{unreached}", against))
    return found


def _comparison(c: Comparison, learned: str) -> str:
    heading = f"<h3>{escape(capital(c.target.words))}, held {escape(served(c.held_by))}</h3>"
    return heading + _missed(c, learned) + _strategies(c, learned)


def _forecasts(c: Comparison, learned: str) -> str:
    """What the learned dose foretold of each patient beside what was measured, as deployed."""
    parts = []
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
        cells = [f"<th scope='row'>{escape(one.strategy)}</th>", f"<td>{photon_count(one.photons.mean())}</td>"]
        cells += [
            f"<td>{number(float(row['quality']), c.target.unit)}</td>",
            f"<td>{number(float(row['spread']), c.target.unit)}</td>",
        ]
        cells.append(f"<td>{_reach(c, row)}</td>")
        cells.append(f"<td>{'–' if math.isnan(spread := float(row['dose_spread'])) else f'{100 * spread:.0f} %'}</td>")
        if learned in names and one.strategy != learned:
            cells.append(f"<td>{_percent(c.saved(learned, one.strategy), small=True)}</td>")
            alone = len(c.patients) == 1
            cells.append(f"<td>{'–' if alone else _interval(c.spread_difference(learned, one.strategy), c.target.unit)}</td>")
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
    counted = f"; every dose holds that of the scout, {photon_count(scout)} photons a view" if scout else ""
    caption = f"<b>Strategies at one quality</b>; small: paired 95 % intervals over patients{counted}"
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption><thead><tr>{top}</tr></thead>"
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
