"""The page of a dose search: how little dose is enough."""

from __future__ import annotations

import math
import os
from html import escape

from taskct.core.files import refuse_existing, write_text
from taskct.core.names import capital, photon_count
from taskct.evaluation.dose.answer import DoseAnswer, TargetAnswer
from taskct.evaluation.statistics import Interval
from taskct.report.dose_example import example_html
from taskct.report.dose_figures import curve_figure, needed_figure
from taskct.report.number_text import number, plural
from taskct.report.page import page, section

_MOST_MISSED = 15


def write_dose_answer(
    answer: DoseAnswer, path: str | os.PathLike[str], *, title: str = "How little dose is enough", overwrite: bool = False
) -> None:
    """Write one self-contained HTML page about a dose search; OutputExistsError unless `overwrite`."""
    refuse_existing(path, overwrite=overwrite)
    head, *rest = answer.text.split("\n")
    lines = f"<p>{escape(capital(head))}.</p>" + "".join(
        f"<p{'' if 'is kept' in line or 'holds:' in line else ' class=caution'}>{escape(line)}.</p>" for line in rest
    )
    body = f"<header><h1>{escape(title)}</h1><div class='verdict'>{lines}</div></header>\n"
    if answer.shown is not None:
        images = example_html(answer.shown, photons=answer.photons, full_photons=answer.dose.photons, digits=answer.digits)
        body += section("images", "What it looks like", images)
    for k, target in enumerate(answer.targets):
        body += section(f"target-{k}", capital(target.target.words), _target(answer, target))
    about = {k: v for k, v in answer.about.items() if isinstance(v, str | int | float)}
    items = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in about.items())
    full = f"Full dose is {photon_count(answer.dose.photons)} photons per detector pixel and view in air"
    noise = f", read-out noise {answer.dose.electronic_std:g} photons" if answer.dose.electronic_std else ""
    body += section("protocol", "Protocol", f"<p>{full}{noise}. Counts are exact Poisson everywhere.</p><dl>{items}</dl>")
    write_text(path, page(title, body + "<footer>Made with taskct. Research use only.</footer>"), overwrite=overwrite)


def _target(answer: DoseAnswer, target: TargetAnswer) -> str:
    missed = answer.missed(target)
    where = f"the dose found ({photon_count(answer.photons, digits=answer.digits)} photons)" if answer.reached else "full dose"
    rows = "".join(
        f"<tr><th scope='row'>{escape(p)}</th><td>{number(g, target.target.unit)}</td></tr>" for p, g in missed[:_MOST_MISSED]
    )
    table = (
        f"<table class='numbers narrow'><caption><b>{len(missed)} of {plural(len(target.patients), 'patient')} "
        f"miss the bound</b> at {where}, the worst first</caption>"
        f"<thead><tr><th>patient</th><th>distance to the bound</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if missed
        else f"<p>{everybody_reaches(len(target.patients))} the bound at {where}.</p>"
    )
    pale = "Pale: each patient. " if len(target.patients) > 1 else ""
    uri = curve_figure(target, answer.dose, answer.photons, digits=answer.digits)
    curve = (
        f"<figure class='plot'><img alt='quality over dose' style='max-width:760px' src=\"{uri}\">"
        f"<figcaption>{pale}Exact Poisson counts, the same noise at all doses.</figcaption></figure>"
    )
    share = ""
    if len(target.patients) > 2:
        share = (
            f"<figure class='plot small'><img alt='share of patients' style='max-width:540px' src=\"{needed_figure(target)}\">"
            "<figcaption>Photons that each patient would need alone.</figcaption></figure>"
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
    return table + curve + numbers + share


def everybody_reaches(count: int) -> str:
    """The beginning of a sentence: every patient reaches ..."""
    return "The patient reaches" if count == 1 else f"All {count} patients reach"


def small_interval(interval: Interval, unit: str) -> str:
    """The ends of an interval in small print; nothing where there is none."""
    return "" if math.isnan(interval.low) else f"<small>{number(interval.low, unit)} to {number(interval.high, unit)}</small>"
