"""The readers' scores as HTML tables: every method under unseen readers, the training's reader, and retrained ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape

from taskct.core.errors import InputError
from taskct.core.names import photon_count
from taskct.evaluation.reading.ratios import better_side
from taskct.evaluation.reading.task_verdict import LEADING
from taskct.evaluation.rows import IMAGE, UNSEEN, DoseLevel
from taskct.evaluation.statistics import Interval
from taskct.report.number_text import MINUS, number, with_sign
from taskct.systems.adaptive.pages.base_curves import words_of_base
from taskct.systems.adaptive.pages.story import LEAD, TaskStory

Column = tuple[str, str, str]  # heading, metric, reader or role

COLUMNS: tuple[Column, ...] = (
    ("per patient", LEAD, UNSEEN),
    ("lesions at 1 false alarm", "froc@1", UNSEEN),
    ("pooled", "dice_pooled", UNSEEN),
    ("training's reader", LEAD, "training"),
    ("readers retrained on its images", LEAD, "retrained"),
    ("its own reader", LEAD, "own"),
)
BESIDE: tuple[Column, ...] = (
    ("per patient, re-tuned", f"{LEAD}_retuned", UNSEEN),
    ("pixel AP", "ap", UNSEEN),
    ("lesions found", "sensitivity", UNSEEN),
    ("false pixels", "false_pixels", UNSEEN),
    ("PSNR / dB", "psnr", IMAGE),
)
"""Scores that explain those of COLUMNS, in a table of their own so that both fit a page."""


def score_table(story: TaskStory, dose: DoseLevel) -> str:
    """Methods x scores at one dose, means with 95 % intervals over patients and training seeds; two tables."""
    lead = (
        f"<b>At {escape(photon_count(dose.used_photons))} photons per pixel.</b> Dice of the {escape(story.lesion)}, "
        "mean over patients, and the share of lesions found at one false alarm per image, mean over unseen readers; then Dice "
        "of all pixels together, and Dice of patients under the other readers"
    )
    more = (
        f"<b>Beside it, at {escape(photon_count(dose.used_photons))} photons.</b> Dice after one bias of the readers is "
        "re-tuned, pixel AP, lesions found as the reader decides, false pixels per image without a lesion, and PSNR"
    )
    return _score_table(story, dose, COLUMNS, lead) + _score_table(story, dose, BESIDE, more)


def _score_table(story: TaskStory, dose: DoseLevel, wanted: tuple[Column, ...], caption: str) -> str:
    columns = [c for c in wanted if any(score(story, m, dose, c) is not None for m in story.table.methods)]
    body = []
    for method in story.table.methods:
        cells = [score(story, method, dose, c) for c in columns]
        if all(c is None for c in cells):
            continue
        row = "".join(_cell(c, "dB" if column[1] == "psnr" else "") for c, column in zip(cells, columns, strict=True))
        base = words_of_base(story, method)
        small = f"<small>{base}</small>" if base else ""
        body.append(f"<tr><th scope='row' class='method'>{escape(method)}{small}</th>{row}</tr>")
    if not body:
        return ""
    heads = "".join(f"<th scope='col'>{escape(name)}</th>" for name, *_ in columns)
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption><thead><tr><th></th>{heads}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def gain_table(story: TaskStory) -> str:
    """What each method gains over its baseline under unseen readers, a table for each dose, with the share of the gap."""
    words = (
        f"<p class='note'><b>Gain under unseen readers</b>, paired, 95 % interval; bold: separated from zero. Dice of the "
        f"{escape(story.lesion)} of a patient; share of lesions found at one false alarm per image; Dice of all "
        f"pixels together; p of the first after Holm's correction for {story.comparisons} comparisons."
    )
    shares = {
        (m, b, d): _try(lambda m=m, b=b, d=d: story.share(m, b, d))  # type: ignore[misc]
        for m, b in story.baselines.items()
        for d in story.doses
    }
    shown = any(share is not None for share in shares.values())
    if shown:
        words += (
            f" Share: gain over the gap that retraining closes, one reader in both (a {escape(story.bound_word)} of what "
            "could be regained)."
        )
    heads = ("per patient", "lesions", "pooled", "p, corrected", *(("share",) if shown else ()))
    second = "".join(f"<th>{escape(head)}</th>" for head in heads) + "<th class='text'>verdict</th>"
    tables = []
    for dose in story.doses:
        body = []
        for method, baseline in story.baselines.items():
            verdict = story.verdicts.get((method, baseline, dose))
            if verdict is None:
                continue
            cells = [_cell(verdict.numbers.get(name), "", signed=True) for name in LEADING]
            cells.append(f"<td>{p_words(verdict.adjusted.get('unseen', math.nan))}</td>")
            if shown:
                cells.append(_share(shares[method, baseline, dose]))
            cells.append(f"<td class='text'>{escape(verdict.headline)}</td>")
            name = f"{escape(method)}<small>against {escape(baseline)}</small>"
            body.append(f"<tr><th scope='row' class='method'>{name}</th>{''.join(cells)}</tr>")
        if body:
            tables.append(
                f"<div class='wide'><table class='numbers dense'><caption><b>At {escape(photon_count(dose.used_photons))} "
                f"photons per pixel</b></caption><thead><tr><th></th>{second}</tr></thead><tbody>{''.join(body)}</tbody>"
                "</table></div>"
            )
    return f"{words}</p>{''.join(tables)}" if tables else ""


def reader_table(story: TaskStory, dose: DoseLevel) -> str:
    """Dice of the lesion and of the organ under each reader by name: no unseen reader hides behind a mean."""
    table = story.table
    named = [r for r, role in table.readers.items() if role in ("training", UNSEEN)]
    regions = [story.lesion, *sorted({r.region for r in table.rows if r.metric == "fn_px"} - {story.lesion})]
    columns = [(region, reader) for region in regions[:2] for reader in named]
    body = []
    for method in table.methods:
        cells = [
            _try(lambda m=method, g=region, r=reader: table.mean(  # type: ignore[misc]
                LEAD, m, dose=_dose_of(story, m, dose), region=g, reader=r
            ))
            for region, reader in columns
        ]  # fmt: skip
        if any(c is not None for c in cells):
            body.append(f"<tr><th scope='row' class='method'>{escape(method)}</th>{''.join(_cell(c, '') for c in cells)}</tr>")
    heads = "".join(
        f"<th>{escape(region)}<br>{escape(reader)}{' (training)' if table.readers[reader] == 'training' else ''}</th>"
        for region, reader in columns
    )
    where = f"at {escape(photon_count(dose.used_photons))} photons"
    caption = f"<b>Dice of a patient under each reader</b> {where}, means with 95 % intervals"
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption><thead><tr><th></th>{heads}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def lesion_table(story: TaskStory, dose: DoseLevel) -> str:
    """Sensitivity at one false alarm an image by size and contrast, where readers were asked about regions."""
    regions = sorted({r.region for r in story.table.rows if r.region.startswith(f"{story.lesion}, ")})
    if not regions:
        return ""
    body = []
    for method in story.table.methods:
        cells = [
            _try(lambda m=method, g=region: story.table.mean(  # type: ignore[misc]
                "sensitivity", m, dose=_dose_of(story, m, dose), region=g
            ))
            for region in regions
        ]  # fmt: skip
        if any(c is not None for c in cells):
            body.append(f"<tr><th scope='row' class='method'>{escape(method)}</th>{''.join(_cell(c, '') for c in cells)}</tr>")
    heads = "".join(f"<th>{escape(region.removeprefix(story.lesion + ', '))}</th>" for region in regions)
    caption = f"<b>Lesions found by size and contrast</b> at {escape(photon_count(dose.used_photons))} photons, unseen readers"
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption><thead><tr><th></th>{heads}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def audit_table(story: TaskStory) -> str:
    """Lesions put in or taken out: what the readers answered, and what they would not have answered at full dose."""
    if story.audit is None or not story.audit.answers:
        return ""
    body = []
    for method in story.audit.methods:
        r = story.audit.response(method)
        cells = "".join(_cell(one, "") for one in (r.found, r.false, r.follows, r.invented, r.lost))
        body.append(f"<tr><th scope='row' class='method'>{escape(method)}</th>{cells}</tr>")
    heads = "".join(f"<th>{h}</th>" for h in ("found", "false", "follows", "invented", "lost"))
    return (
        "<div class='wide'><table class='numbers dense'><caption><b>Lesions put in and taken out</b> at the lowest dose, all "
        "readers: share of places called lesion with and without one, their difference, and answers that full dose does not "
        f"give</caption><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def score(story: TaskStory, method: str, dose: DoseLevel, column: Column) -> Interval | None:
    """One cell: mean and interval, or None where it was not measured."""
    _, metric, reader = column
    region = "all" if reader == IMAGE else story.lesion
    return story.mean(metric, method, dose=_dose_of(story, method, dose), region=region, reader=reader)


def _dose_of(story: TaskStory, method: str, dose: DoseLevel) -> DoseLevel:
    """The dose asked for, or the only one of the full-dose images."""
    if method != story.full_dose:
        return dose
    return next((r.dose for r in story.table.rows if r.method == method), dose)


def _try(compute: Callable[[], Interval]) -> Interval | None:
    """None where nothing was measured."""
    try:
        found = compute()
    except InputError:
        return None
    return found if math.isfinite(found.mean) else None


def _cell(interval: Interval | None, unit: str, *, signed: bool = False, first: bool = False) -> str:
    kind = " class='first'" if first else ""
    if interval is None:
        return f"<td{kind}>–</td>"
    mean = with_sign(interval.mean) if signed else number(interval.mean, unit)
    if signed and interval.separated:
        mean = f"<b>{mean}</b>"
    ends = ""
    if math.isfinite(interval.low):
        show = with_sign if signed else lambda v: number(v, unit)
        ends = f"<small>{show(interval.low)} to {show(interval.high)}</small>"
    return f"<td{kind}>{mean}{ends}</td>"


def _share(share: Interval | None) -> str:
    if share is None:
        return "<td>–</td>"
    if math.isnan(share.low):
        return "<td>no gap</td>"
    text = lambda v: f"{100 * v:.0f} %".replace("-", MINUS)
    return f"<td>{text(share.mean)}<small>{text(share.low)} to {text(share.high)}</small></td>"


def p_words(value: float) -> str:
    """A p-value as it is read: two digits, and below a thousandth only that it is."""
    return "–" if math.isnan(value) else "&lt; .001" if value < 0.001 else f"{value:.2g}"


def is_better(metric: str, interval: Interval) -> bool:
    """Whether a difference is surely for the better."""
    return interval.separated and (interval.low > 0) == (better_side(metric) == "higher")
