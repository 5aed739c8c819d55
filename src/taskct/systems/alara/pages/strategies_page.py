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
from taskct.core.names import capital, photon_count, plural
from taskct.evaluation.dose.answer import served
from taskct.evaluation.dose.intervals import share_interval
from taskct.evaluation.statistics import FEW_PATIENTS, Interval, bootstrap_mean
from taskct.report.dose_answer import everybody_reaches, small_interval
from taskct.report.first_screen import opening, page_body, small_table
from taskct.report.number_text import MINUS, number
from taskct.report.page import page
from taskct.systems.alara.pages.figures import forecast_figure, scatter_figure, spread_figure
from taskct.systems.alara.pages.savings_family import SavingsFamily, rivals_of
from taskct.systems.alara.pages.scout_counted import scout_counted
from taskct.systems.alara.rivals.outcomes import SCOUT, Comparison, Outcome

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
    "oracle": "a dose chosen with the finished images in hand, which nobody has before a scan",
    "p after Holm's correction": "the chance of so large a difference between equal doses, raised for so many comparisons",
    "scout": "the short scan of low dose before the scan itself",
}
"""What the words of this page mean; `word_key` shows those that its first screen uses."""


@dataclass(frozen=True)
class DoseSection:
    """One part of a page: comparisons of the same strategies under one or several criteria; `learned` is the one in question.

    `notes` are lines such as the advice for each patient; `not_held` says by how much its training misses what it was
    asked to hold, "" where it holds it. A `part` is one training of several that stand together in another section: it has its
    tables, and claims nothing.
    """

    title: str
    comparisons: Sequence[Comparison]
    learned: str
    notes: tuple[str, ...] = ()
    not_held: str = ""
    part: bool = False


def family_of(sections: Sequence[DoseSection]) -> SavingsFamily:
    """The savings that these sections judge, corrected together."""
    return SavingsFamily.of((c, s.learned) for s in sections if not s.part for c in s.comparisons)


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
    `others` are further pages of the run, {address: what they show}. All savings that the page states are corrected together
    for their number (`family_of`).
    """
    if not sections:
        raise InputError("a dose page expects at least one comparison, got none")
    refuse_existing(path, overwrite=overwrite)
    family = family_of(sections)
    lines = [line for s in sections if not s.part for line in statements(s, family)]
    words = "".join(f"<p{' class=caution' if caution else ''}>{escape(text)}</p>" for text, caution in lines[:_MOST_LINES])
    more = len(lines) - _MOST_LINES
    words += (
        f"<p class='note'>{plural(more, 'more sentence')} would follow; the tables below hold all.</p>" if more > 0 else ""
    )
    parts = [("words", "Each comparison in words", "", words)]
    for k, one in enumerate(sections):
        shown = "".join(
            _comparison(c, one, family) + ("" if k == at == 0 else _figure(c)) + _forecasts(c, one.learned)
            for at, c in enumerate(one.comparisons)
        )
        notes = "".join(f"<li>{escape(n)}</li>" for n in one.notes)
        every = f"<details><summary>Every patient's dose</summary><ul class='key'>{notes}</ul></details>" if notes else ""
        parts.append((f"part-{k}", one.title, "", shown + every))
    body = page_body(
        title, _first(sections[0], missing, family), parts, lead=_lead(sections[0]), words=_words(sections[0]), others=others
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


def _first(one: DoseSection, missing: Sequence[str], family: SavingsFamily) -> str:
    """The first comparison: what the learned strategy saves against the first one, against the best one, and each row."""
    answer, against = first_sentences(one, family)
    html = opening(answer, [against, *(scout_counted(c, one.learned) for c in one.comparisons[:1])], missing=missing)
    if not one.comparisons:
        return html
    c = one.comparisons[0]
    names = [o.strategy for o in c.outcomes]
    rows = ""
    for row, outcome in zip(c.rows(), c.outcomes, strict=True):
        gap, name = "", outcome.strategy
        if one.learned in names and name != one.learned:
            gap = _percent(c.saved(one.learned, name), small=True)
        rows += (
            f"<tr><th scope='row'>{escape(name)}</th><td>{photon_count(row['photons'])}</td>"
            f"<td>{number(float(row['quality']), c.target.unit)}{'<small>misses</small>' if _misses(c, outcome) else ''}</td>"
            f"<td>{_reach(c, row)}</td><td>{gap}</td><td>{_p(family, c, name)}</td></tr>"
        )
    unit = f" / {c.target.unit}" if c.target.unit else ""
    columns = ("", "photons", f"{c.target.quality}{unit}", "reach it", f"{one.learned} needs", "p")
    heads = [f"<th>{escape(h)}</th>" for h in columns]
    who = plural(len(c.patients), "patient") + (f" and {len(c.trainings)} trainings" if c.repeats else "")
    key = (
        f"Photons per pixel and {c.target.quality}: means over {who}. Asked for: {c.target.words}, {served(c.held_by)}; then "
        f"how many patients reach it, and the photons that {one.learned} needs more or fewer than the row, with the paired "
        f"95 % interval"
        f"{'' if c.repeats else ', of one training'}.{f' {_corrected(family)}' if family.count else ''}"
    )
    return html + _figure(c) + small_table(heads, [rows], key)


def _corrected(family: SavingsFamily) -> str:
    return f"p after Holm's correction for {plural(family.count, 'comparison')} with strategies that do not learn."


def _p(family: SavingsFamily, c: Comparison, than: str) -> str:
    p = family.p(c, than)
    return "" if math.isnan(p) else "&lt; .001" if p < 0.001 else f"{p:.2g}"


def first_sentences(one: DoseSection, family: SavingsFamily | None = None) -> tuple[str, str]:
    """What the learned strategy needs beside the first one; and what speaks against it, '' for nothing.

    Without the `family` of a whole page, the savings of this section alone are corrected together.
    """
    missed = f"But {one.not_held}." if one.not_held else ""
    if not one.comparisons:
        return "Nothing was compared.", missed
    known = family or family_of([one])
    c = one.comparisons[0]
    names = [o.strategy for o in c.outcomes]
    if one.learned not in names:
        return f"The {one.learned} dose {_fails(c)}.", missed
    others = [o for o in c.outcomes if not o.strategy.startswith((one.learned, "oracle"))]
    if not others:
        return f"The {one.learned} dose reaches {c.target.words}; nothing was compared with it.", missed
    spent = {str(row["strategy"]): float(row["photons"]) for row in c.rows()}
    first, best = others[0].strategy, min((o.strategy for o in others), key=lambda name: spent[name])
    needs = _needs(c, one.learned, first, known)
    answer = f"At {_held(c)} the {one.learned} dose {needs}."
    deployed = deployed_misses(c, one.learned)
    if deployed:
        answer = f"{deployed}. Raised until it holds that, it {needs}."
    if missed or best == first:
        return answer, missed
    turns = _saves(c, one.learned, first, known) and not _saves(c, one.learned, best, known)
    words = _needs(c, one.learned, best, known, than=f"{best}, the best of the others")
    return answer, f"{'But it' if turns else 'It'} {words}."


def _fails(c: Comparison) -> str:
    each = f" in each of its {len(c.trainings)} trainings" if c.repeats else ""
    return f"does not reach {c.target.words} {served(c.held_by)}{each}"


def _saves(c: Comparison, learned: str, rival: str, family: SavingsFamily) -> bool:
    """Whether a saving is shown: its interval lies below 0, of enough patients, and it survives the correction."""
    gap = c.saved(learned, rival)
    return gap.separated and gap.high < 0 and not family.takes(c, rival)


def deployed_misses(c: Comparison, learned: str) -> str:
    """That the learned dose as it is deployed misses the bound, and by how much; '' where it may hold it, or is not known."""
    one = next((o for o in c.outcomes if o.strategy == f"{learned}, as deployed"), None)
    if one is None or not _misses(c, one):
        return ""
    if c.held_by == "mean":
        far = f"{number(abs(_mean_gap(c, one.strategy)), c.target.unit)} {c.target.unit}".rstrip()
        by = f"by {far} on average"
    else:
        share = float(np.mean([x.share(x.outcome(one.strategy)) for x in c.trainings]))
        by = f"in {100 * (1 - share):.0f} % of patients, {100 * (1 - float(c.held_by)):g} % were allowed"
    return f"As deployed, the {learned} dose fails to keep {c.target.words}, {by}"


def _misses(c: Comparison, one: Outcome) -> bool:
    """Whether a strategy surely misses the criterion: the interval of its distance to the bound lies on the bad side.

    Of fewer than five patients, where no interval says anything, those who were measured miss it.
    """
    if one.curves is not None:
        return False  # its level was searched so that it holds
    gaps = np.nanmean([x.gaps(x.outcome(one.strategy)) for x in c.trainings], axis=0)
    asked = bootstrap_mean(gaps, c.patients) if c.held_by == "mean" else share_interval(gaps, c.patients, float(c.held_by))
    return asked.high < 0 if asked.n_patients >= FEW_PATIENTS else asked.mean < 0


def _mean_gap(c: Comparison, name: str) -> float:
    return float(np.mean([np.nanmean(x.gaps(x.outcome(name))) for x in c.trainings]))


def _needs(c: Comparison, learned: str, rival: str, family: SavingsFamily, *, than: str = "") -> str:
    """ "needs 20.1 % fewer photons (15.0 to 24.2) than the fixed dose", where the interval says so."""
    gap, than = c.saved(learned, rival), than or ("the fixed dose" if rival == "fixed" else rival)
    if gap.high < 0 or gap.low > 0:
        low, high = sorted((abs(gap.low), abs(gap.high)))
        ends = f" ({low:.1f} to {high:.1f})" if math.isfinite(low + high) else " (one end open)"
        words = f"needs {abs(gap.mean):.1f} % {'fewer' if gap.high < 0 else 'more'} photons{ends} than {than}"
        if gap.n_patients < FEW_PATIENTS:
            return f"{words}, of {plural(gap.n_patients, 'patient')}, who are too few to show it"
        if family.takes(c, rival):
            return f"{words}, which does not survive the correction for {plural(family.count, 'comparison')}"
        return words
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
    """One point per patient and strategy, and how they spread."""
    points, spread = scatter_figure(c), spread_figure(c)
    return (
        f"<figure class='plot two'><img alt='photons and quality of every patient under every strategy' src=\"{points}\">"
        f"<img alt='spread of the quality over patients under every strategy' src=\"{spread}\"><figcaption>Measured with "
        "exact Poisson counts and noise that the search for the levels did not see. Dotted: the bound.</figcaption></figure>"
    )


def statements(one: DoseSection, family: SavingsFamily | None = None) -> list[tuple[str, bool]]:
    """What the comparisons say of the learned strategy, a sentence each; True marks one that speaks against it.

    Without the `family` of a whole page, the savings of this section alone are corrected together.
    """
    found = []
    known = family or family_of([one])
    if one.not_held:
        found.append((f"{one.title}: {one.not_held}.", True))
    for c in one.comparisons:
        names = [o.strategy for o in c.outcomes]
        deployed = deployed_misses(c, one.learned)
        if deployed:
            found.append((f"{one.title}: {deployed[0].lower()}{deployed[1:]}.", True))
        if one.learned not in names:
            found.append((f"{one.title}: the {one.learned} dose {_fails(c)}.", True))
            continue
        others = [name for name in names if not name.startswith(one.learned)]
        words = "; it ".join(_needs(c, one.learned, name, known) for name in others) or "reaches the bound"
        against = any(not _saves(c, one.learned, name, known) for name in rivals_of(c, one.learned)) or bool(c.kept_at_lowest)
        unreached = f" The bound is not reached by {', '.join(c.unreached)}." if c.unreached else ""
        for name, photons in c.kept_at_lowest.items():
            unreached += (
                f" {capital(name)} keeps it at {photon_count(photons)} photons, the least scanned, so it cannot be compared."
            )
        many = f" Corrected for {known.count} comparisons (Holm)." if known.count > 1 else ""
        found.append((f"{one.title}: at {_held(c)} the {one.learned} dose {words}.{unreached}{many}", against))
    return found


def _comparison(c: Comparison, one: DoseSection, family: SavingsFamily) -> str:
    learned = one.learned
    heading = f"<h3>{escape(capital(c.target.words))}, held {escape(served(c.held_by))}</h3>"
    return heading + _missed(c, learned) + _strategies(c, learned, family)


def _forecasts(c: Comparison, learned: str) -> str:
    """What the learned dose foretold of each patient beside what was measured, as deployed."""
    parts = []
    for one in () if c.repeats else c.outcomes:  # each training has its own, in its own section
        if one.strategy == f"{learned}, as deployed":
            uri, words = forecast_figure(c, one)
            if uri:
                parts.append(
                    f"<figure class='plot small'><img alt='calibration' style='max-width:420px' src=\"{uri}\">"
                    f"<figcaption>{escape(one.strategy)}: {escape(words)}.</figcaption></figure>"
                )
    return "".join(parts)


def _strategies(c: Comparison, learned: str, family: SavingsFamily) -> str:
    names = [o.strategy for o in c.outcomes]
    body = []
    for row, one in zip(c.rows(), c.outcomes, strict=True):
        cells = [f"<th scope='row'>{escape(one.strategy)}</th>", f"<td>{at_most(c, one)}{photon_count(row['photons'])}</td>"]
        cells += [
            f"<td>{number(float(row['quality']), c.target.unit)}</td>",
            f"<td>{number(float(row['spread']), c.target.unit)}</td>",
        ]
        cells.append(f"<td>{_reach(c, row)}</td>")
        cells.append(f"<td>{'–' if math.isnan(spread := float(row['dose_spread'])) else f'{100 * spread:.0f} %'}</td>")
        if learned in names and one.strategy != learned:
            cells.append(f"<td>{_percent(c.saved(learned, one.strategy), small=True)}</td>")
            cells.append(f"<td>{_p(family, c, one.strategy)}</td>")
            alone = len(c.patients) == 1
            cells.append(f"<td>{'–' if alone else _interval(c.spread_difference(learned, one.strategy), c.target.unit)}</td>")
        else:
            cells += ["<td></td>"] * 3
        body.append(f"<tr>{''.join(cells)}</tr>")
    body += [f"<tr><th scope='row'>{escape(n)}</th><td colspan='8'>does not reach it</td></tr>" for n in c.unreached]
    unit = f" / {escape(c.target.unit)}" if c.target.unit else ""
    heads = [
        "",
        "photons",
        f"mean{unit}",
        "spread (SD)",
        "reach it",
        "spread of dose (SD)",
        f"{learned}: dose against it",
        "p, corrected",
        f"{learned}: spread minus its",
    ]
    top = "".join(f"<th>{escape(h)}</th>" for h in heads)
    scout = float(c.notes.get(SCOUT, 0.0))
    counted = f"; every dose holds that of the scout, {photon_count(scout)} photons a view" if scout else ""
    who = f"patients and {len(c.trainings)} trainings, numbers their means" if c.repeats else "patients, of one training"
    caption = f"<b>Strategies at one quality</b>; small: paired 95 % intervals over {who}{counted}"
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _missed(c: Comparison, learned: str) -> str:
    """Who misses the bound under the learned dose, the worst first; of several trainings each section says its own."""
    if c.repeats:
        return ""
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


def at_most(c: Comparison, one: Outcome) -> str:
    """What stands before photons that are the least that were scanned."""
    return "at most " if one.curves is not None and one.strategy in c.kept_at_lowest else ""


def _interval(interval: Interval, unit: str) -> str:
    return number(interval.mean, unit) + small_interval(interval, unit)
