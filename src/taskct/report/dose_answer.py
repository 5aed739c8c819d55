"""The page of a dose search: how little dose is enough."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from html import escape

import numpy as np

from taskct.core.files import refuse_existing, write_text
from taskct.core.names import capital, photon_count, plural
from taskct.evaluation.dose.answer import DoseAnswer, TargetAnswer
from taskct.evaluation.statistics import Interval
from taskct.report.dose_example import example_html
from taskct.report.dose_figures import curve_figure, needed_figure
from taskct.report.first_screen import opening, page_body
from taskct.report.number_text import number
from taskct.report.page import page

_MOST_MISSED = 15
_WORDS = {
    "confirmed": "the 95 % interval over patients lies wholly on the good side of the bound",
    "refuted": "it lies wholly on the wrong side",
    "bound": "the value that was asked for",
    "fresh noise": "a second scan of each patient at the dose found, with noise that the search did not see",
}
"""What the words of this page mean; `word_key` shows those that its first screen uses."""


def write_dose_answer(
    answer: DoseAnswer,
    path: str | os.PathLike[str],
    *,
    title: str = "How little dose is enough",
    others: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write one self-contained HTML page about a dose search; OutputExistsError unless `overwrite`.

    `others` are further pages of the run, {address: what they show}.
    """
    refuse_existing(path, overwrite=overwrite)
    lines = _lines(answer)
    refuted = [f"{check.text()}." for check in answer.certificates if check.refuted]
    against = [*refuted, *(text for text, caution in lines if caution and text not in refuted)]
    leading = _leading(answer)
    first = opening(_sentence(answer), against)
    if answer.shown is not None:
        first += example_html(answer.shown, photons=answer.photons, full_photons=answer.dose.photons, digits=answer.digits)
    first += _curve(answer, leading)
    words = "".join(f"<p{' class=caution' if caution else ''}>{escape(text)}</p>" for text, caution in lines)
    parts = [("words", "In words", "each quality that was asked for, and its check", words)]
    for k, one in enumerate(answer.targets):
        curve = "" if one is leading else _curve(answer, one)
        parts.append((f"target-{k}", capital(one.target.words), str(one.target), curve + _target(answer, one)))
    parts.append(("protocol", "Protocol", "", _protocol(answer)))
    write_text(
        path, page(title, page_body(title, first, parts, lead=_lead(answer), words=_WORDS, others=others)), overwrite=overwrite
    )


def _lead(answer: DoseAnswer) -> str:
    """What was asked of how many patients, over which doses."""
    patients = max(len(set(one.patients)) for one in answer.targets)
    lowest = min(float(one.levels[0]) for one in answer.targets)
    kept = "; ".join(one.target.words + _asked(one) for one in answer.targets)
    return (
        f"{plural(patients, 'patient')} scanned at {photon_count(lowest)} to {photon_count(answer.dose.photons)} "
        f"photons per detector pixel; to be kept: {kept}."
    )


def _asked(one: TargetAnswer) -> str:
    """In how many of the patients a quality is defined; '' for all of them."""
    if one.asked == len(set(one.patients)):
        return ""
    part = one.target.class_name or one.target.region
    have = f"who have a {part} in the slices read" if part else "in whom it is defined"
    return f", asked of the {one.asked} patients {have}"


def _sentence(answer: DoseAnswer) -> str:
    """What was found and how sure it is, in one sentence."""
    found = answer.text.split("\n")[0]
    if not answer.reached:
        return f"{capital(found)}."
    one = _leading(answer)
    if len(answer.targets) > 1:
        decides = f"{one.target.words} decides, kept {one.who} at {photon_count(one.photons, digits=one.digits)} photons"
        return f"The least dose that keeps all {len(answer.targets)} qualities is {found}; {decides}{one.sureness}."
    return f"The least dose that keeps {one.target.words} {one.who} is {found}{one.sureness}."


def _lines(answer: DoseAnswer) -> list[tuple[str, bool]]:
    """A sentence on each target and on each check; True marks one that speaks against the dose."""
    found = [(f"{one.text(answer.dose)}.", not one.reached or bool(one.blind)) for one in answer.targets]
    return found + [(f"{check.text()}.", not check.proven) for check in answer.certificates]


def _leading(answer: DoseAnswer) -> TargetAnswer:
    """The target that decides on the dose, or the first that is not reached."""
    decides = lambda one: one.photons == answer.photons if answer.reached else not one.reached
    return next(filter(decides, answer.targets), answer.targets[0])


def _protocol(answer: DoseAnswer) -> str:
    about = {k: v for k, v in answer.about.items() if isinstance(v, str | int | float)}
    items = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in about.items())
    full = f"Full dose is {photon_count(answer.dose.photons)} photons per detector pixel and view in air"
    noise = f", read-out noise {answer.dose.electronic_std:g} photons" if answer.dose.electronic_std else ""
    return f"<p>{full}{noise}. Counts are exact Poisson everywhere.</p><dl>{items}</dl>"


def _curve(answer: DoseAnswer, target: TargetAnswer) -> str:
    pale = "Pale: each patient. " if len(target.patients) > 1 else ""
    uri = curve_figure(target, answer.dose, answer.photons)
    return (
        f"<figure class='plot fits'><img alt='quality over dose' style='max-width:760px' src=\"{uri}\">"
        f"<figcaption>{pale}Exact Poisson counts, the same noise at all doses.</figcaption></figure>"
    )


def _target(answer: DoseAnswer, target: TargetAnswer) -> str:
    missed = answer.missed(target)
    count = int(np.isfinite(target.gap).any(1).sum())
    what = "patient" if len(set(target.patients)) == len(target.patients) else "scan"
    where = f"the dose found ({photon_count(answer.photons, digits=answer.digits)} photons)" if answer.reached else "full dose"
    where += (
        ", by the scans of the search; the checks above, with fresh noise, have their own shares"
        if answer.certificates
        else ""
    )
    rows = "".join(
        f"<tr><th scope='row'>{escape(p)}</th><td>{number(g, target.target.unit)}</td></tr>" for p, g in missed[:_MOST_MISSED]
    )
    table = (
        f"<table class='numbers narrow'><caption><b>{len(missed)} of {plural(count, what)} "
        f"miss the bound</b> (the worst first) at {where}</caption>"
        f"<thead><tr><th>{what}</th><th>distance to the bound</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if missed
        else f"<p>{everybody_reaches(target.asked)} the bound at {where}.</p>"
    )
    share = ""
    if len(target.patients) > 2:
        low = len(target.needed_at_most)
        at_most = f"; the lowest dose is enough for {low} of them, who need at most that" if low else ""
        share = (
            f"<figure class='plot small'><img alt='share of patients' style='max-width:540px' src=\"{needed_figure(target)}\">"
            f"<figcaption>Photons that each patient would need alone{at_most}.</figcaption></figure>"
        )
    whose = "Mean over patients" if len(target.patients) > 1 else "The patient"
    heads = "".join(f"<th>{photon_count(level)}</th>" for level in target.levels)
    means = "".join(
        f"<td>{number(p.mean, target.target.unit)}{small_interval(p, target.target.unit)}</td>" for p in target.points
    )
    numbers = (
        f"<div class='wide'><table class='numbers dense'><caption><b>{whose}</b> by photons per pixel</caption>"
        f"<thead><tr><th></th>{heads}</tr></thead><tbody><tr><th>{escape(capital(target.target.quality))}</th>{means}</tr></tbody></table></div>"
    )
    return table + numbers + share


def everybody_reaches(count: int) -> str:
    """The beginning of a sentence: every patient reaches ..."""
    return "The patient reaches" if count == 1 else f"All {count} patients reach"


def small_interval(interval: Interval, unit: str) -> str:
    """The ends of an interval in small print; nothing where there is none."""
    return "" if math.isnan(interval.low) else f"<small>{number(interval.low, unit)} to {number(interval.high, unit)}</small>"
