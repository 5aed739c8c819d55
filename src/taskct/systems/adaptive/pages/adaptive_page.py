"""A task experiment -> one HTML page: what was found in plain words, then the numbers, images and curves behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape

from taskct.core.errors import InputError
from taskct.core.files import refuse_existing, write_text
from taskct.core.names import photon_count, plural
from taskct.evaluation.reading import TaskVerdict
from taskct.report.first_screen import page_body
from taskct.report.page import page
from taskct.report.pictures import Encoder
from taskct.systems.adaptive.pages.base_curves import base_section
from taskct.systems.adaptive.pages.dose_task_figures import curve_figure, needed_doses, spectrum_figure
from taskct.systems.adaptive.pages.outline_pictures import picture_section
from taskct.systems.adaptive.pages.paper_form import paper_section
from taskct.systems.adaptive.pages.reader_tables import audit_table, gain_table, lesion_table, reader_table, score_table
from taskct.systems.adaptive.pages.story import TaskStory
from taskct.systems.adaptive.pages.summary_lines import answer_lines, caution_lines
from taskct.systems.adaptive.pages.task_first_screen import first_screen

_IMAGE_BYTES = 4 * 2**20
_WORDS = {"FBP|fbp": "filtered back-projection with a Hann window"}
Spectra = dict[str, tuple[list[float], list[float]]]


def write_task_report(
    story: TaskStory,
    path: str | os.PathLike[str],
    *,
    title: str = "Are lesions outlined better?",
    spectra: Spectra | None = None,
    overwrite: bool = False,
) -> None:
    """Write one self-contained page about a task experiment: no script, no network.

    The first lines are computed from paired intervals under readers never used in training; see `task_verdict`. Pictures and a
    small table of gains follow; everything else is folded. Raises
    OutputExistsError unless `overwrite`, InputError for a table without rows.
    """
    refuse_existing(path, overwrite=overwrite)
    if not story.table.rows or not story.doses:
        raise InputError("a task report expects a table with scored methods, got an empty one; evaluate first")
    encoder = Encoder(_IMAGE_BYTES)
    body = _body(story, encoder, title, spectra or {})
    html = encoder.replace(body).replace("@image-note@", escape(encoder.note))
    write_text(path, page(title, html), overwrite=overwrite)


def _body(story: TaskStory, encoder: Encoder, title: str, spectra: Spectra) -> str:
    first = first_screen(story, encoder)
    tables = "".join(score_table(story, d) for d in story.doses)
    pictures = "".join(picture_section(story, e, encoder) for e in story.examples)
    curves = curve_figure(story)
    drawing = f"<figure class='plot'><img alt='scores over dose' src=\"{curves}\"></figure>" if curves else ""
    more = "".join(reader_table(story, d) + lesion_table(story, d) for d in story.doses)
    parts = [
        ("words", "Each dose in words, and what limits the gains", "", _words(story)),
        ("numbers", "Every gain", "lesions and pooled Dice beside", _key(story) + gain_table(story)),
        ("scores", "Every method's scores", "means and intervals", tables),
        ("images", "More pictures", "", pictures + ("<p class='note'>@image-note@</p>" if pictures else "")),
        ("curves", "Dose and task", "", drawing + needed_doses(story)),
        ("bases", "Where all arms begin", "", base_section(story)),
        ("verdicts", "Verdicts", "each finding behind them", _verdicts(story)),
        ("doubts", "What could fool us", "audits, checkerboards, texture", audit_table(story) + _artefacts(story, spectra)),
        ("readers", "Reader by reader", "lesions by size and contrast", more),
        ("paper", "In the published form", "", paper_section(story)),
        ("made", "How it was made", "", _notes(story)),
    ]
    return page_body(title, first, parts, lead=_lead(story), words=_WORDS)


def _words(story: TaskStory) -> str:
    lines = "".join(f"<p{' class=caution' if caution else ''}>{escape(text)}</p>" for text, caution in answer_lines(story))
    limits = "".join(f"<p class='caution'>{escape(text)}</p>" for text in caution_lines(story))
    return lines + (f"<h3>What limits these gains</h3>{limits}" if limits else "")


def _lead(story: TaskStory) -> str:
    patients = len({r.patient for r in story.table.rows})
    readers = len(story.table.of_role("unseen"))
    doses = " and ".join(photon_count(d.used_photons) for d in story.doses)
    asked = "no unseen reader" if not readers else plural(readers, "unseen reader")
    judged = max((v.numbers["unseen"].n_patients for v in story.verdicts.values() if "unseen" in v.numbers), default=patients)
    have = f" Gains and intervals are over the {judged} patients who have a {story.lesion}." if judged < patients else ""
    return f"Images of {plural(patients, 'patient')} at {doses} photons per detector pixel, outlined by {asked}.{have}"


def _key(story: TaskStory) -> str:
    return (
        "<p class='key'>Small: 95 % intervals over patients and, where there are several, training seeds. Unseen readers were "
        "trained on full dose and took no part in any training of a reconstruction; their columns are means over readers, "
        "each by itself. A reader retrained on a method's own low-dose images says what those images hold "
        f"for a reader that knows them: a {escape(story.bound_word)}.</p>"
    )


def _verdicts(story: TaskStory) -> str:
    parts = []
    for (_, _, dose), verdict in story.verdicts.items():
        parts.append(
            f"<h4>{escape(photon_count(dose.used_photons))} photons: {escape(_title(verdict))}</h4>{_findings(verdict)}"
        )
    return "".join(parts)


def _title(verdict: TaskVerdict) -> str:
    return f"{verdict.method} against {verdict.baseline}: {verdict.headline}"


def _findings(verdict: TaskVerdict) -> str:
    lines = "".join(
        f"<li>{'<b>' if f.caution else ''}{escape(f.text)}{'</b>' if f.caution else ''}</li>" for f in verdict.findings
    )
    return f"<ul>{lines}</ul>"


def _artefacts(story: TaskStory, spectra: Spectra) -> str:
    lines = [
        f"<tr><th scope='row' class='method'>{escape(method)}</th><td>{escape(photon_count(dose.used_photons))}</td>"
        f"<td class='text'>{escape(str(report))}</td></tr>"
        for (method, dose), report in story.artefacts.items()
    ]
    table = ""
    if lines:
        table = (
            "<div class='wide'><table class='numbers dense'><caption><b>Checkerboards</b>, searched in the spectrum of the "
            "difference to full dose</caption><thead><tr><th></th><th>photons</th><th></th></tr></thead>"
            f"<tbody>{''.join(lines)}</tbody></table></div>"
        )
    uri = spectrum_figure(story, spectra)
    drawn = (
        f"<figure class='plot small'><img alt='spectra' src=\"{uri}\"><figcaption>Power of the images over that of full dose"
    )
    return table + (drawn + ", lowest dose. Below 1: texture is lost.</figcaption></figure>" if uri else "")


def _notes(story: TaskStory) -> str:
    notes: Mapping[str, str] = story.notes
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in notes.items())
    cost = "".join(
        f"<tr><th scope='row'>{escape(m)}</th><td>{s / 60:.1f}</td></tr>" for m, s in story.compute.items() if s > 0
    )
    table = (
        "<table class='numbers dense'><caption><b>Training time</b> of the reconstruction, minutes of one core, its base "
        f"included</caption><tbody>{cost}</tbody></table>"
    )
    return (f"<dl>{rows}</dl>" if rows else "") + (table if cost else "")
