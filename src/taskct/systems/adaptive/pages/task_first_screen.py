"""What the page shows before anybody scrolls: one sentence, what speaks against it, a row of pictures, one small table."""

from __future__ import annotations

import math
from html import escape

from taskct.core.names import photon_count, plural
from taskct.evaluation.reading import TaskVerdict
from taskct.evaluation.rows import DoseLevel
from taskct.report.first_screen import opening, small_table
from taskct.report.number_text import signed_interval
from taskct.report.pictures import Encoder
from taskct.systems.adaptive.pages.headline import Headline, headline, verdict_words
from taskct.systems.adaptive.pages.outline_pictures import picture_row
from taskct.systems.adaptive.pages.reader_tables import p_words
from taskct.systems.adaptive.pages.story import TaskStory

CLASSICAL = ("FBP", "TV, tuned")
"""Methods without a network that the row of pictures shows where they were scored."""
_MOST_ROWS = 8


def first_screen(story: TaskStory, encoder: Encoder) -> str:
    """The beginning of the page as HTML."""
    found = headline(story)
    lines = opening(found.sentence, found.against, missing=story.missing)
    return f"{lines}{_pictures(story, found, encoder)}{_table(story)}"


def _pictures(story: TaskStory, found: Headline, encoder: Encoder) -> str:
    """Full dose, what needs no network, and the two networks that the sentence compares."""
    dose = found.dose or story.doses[0]
    pair = [found.verdict.baseline, found.verdict.method] if found.verdict else story.drawn[:2]
    wanted = dict.fromkeys([story.full_dose, *CLASSICAL, *pair])
    return picture_row(story, [m for m in wanted if m in story.table.methods], dose, encoder)


def _table(story: TaskStory) -> str:
    """Each pair at each dose: gain of a patient, corrected p, verdict; task methods alone where there are many pairs."""
    pairs = [key for key, verdict in story.verdicts.items() if "unseen" in verdict.numbers]
    shown = pairs if len(pairs) <= _MOST_ROWS else [key for key in pairs if key[0] in story.task_methods]
    if len(shown) > _MOST_ROWS:
        gain = lambda key: -story.verdicts[key].numbers["unseen"].mean
        best = [sorted((k for k in shown if k[2] == dose), key=gain) for dose in story.doses]
        shown = [key for keys in best for key in keys[: max(1, _MOST_ROWS // len(story.doses))]]
    if not shown:
        return ""
    body = []
    for dose in story.doses:
        rows = [_row(story.verdicts[key]) for key in shown if key[2] == dose]
        if rows:
            head = f"<th colspan='4' scope='rowgroup'>{escape(photon_count(dose.used_photons))} photons per pixel</th>"
            body.append(f"<tr>{head}</tr>{''.join(rows)}")
    heads = [f"<th scope='col'{kind}>{h}</th>" for h, kind in _heads(story)]
    return small_table(heads, body, _key(story, shown, len(pairs)))


def _heads(story: TaskStory) -> list[tuple[str, str]]:
    p = "p, corrected" if story.comparisons else "p"
    return [("compared", ""), ("gain per patient", ""), (p, ""), ("verdict", " class='text'")]


def _row(verdict: TaskVerdict) -> str:
    gain = verdict.numbers["unseen"]
    words = escape(signed_interval(gain))
    if gain.separated:
        mean, _, ends = words.partition(" ")
        words = f"<b>{mean}</b> {ends}"
    p = p_words(verdict.adjusted.get("unseen", gain.p))
    strong = verdict.outcome in ("confirmed", "harm")
    said = f"<b>{verdict_words(verdict)}</b>" if strong else verdict_words(verdict)
    name = f"{escape(verdict.method)}<small>against {escape(verdict.baseline)}</small>"
    return f"<tr><th scope='row'>{name}</th><td>{words}</td><td>{p}</td><td class='text'>{said}</td></tr>"


def _key(story: TaskStory, shown: list[tuple[str, str, DoseLevel]], pairs: int) -> str:
    patients = max(story.verdicts[key].numbers["unseen"].n_patients for key in shown)
    scanned = len({r.patient for r in story.table.rows})
    who = plural(patients, "patient") if patients == scanned else f"the {patients} of {scanned} patients who have one"
    trained = sorted({story.verdicts[key].numbers["unseen"].n_seeds or 0 for key in shown})
    seeds = f", {_trainings(trained)}" if trained[-1] else ""
    over = f"the 95 % interval over {who}{seeds}" if patients > 1 else "no interval, as there is one patient"
    words = (
        f"Gain: by how much the Dice of a patient's {story.lesion} rises, on average over unseen readers and patients; in "
        f"brackets {over}; bold: zero lies outside."
    )
    if story.comparisons and any(math.isfinite(v.adjusted.get("unseen", math.nan)) for v in story.verdicts.values()):
        words += f" p: corrected for {story.comparisons} comparisons (Holm)."
    return words + (f" {len(shown)} of {pairs} comparisons; all stand below." if len(shown) < pairs else "")


def _trainings(counts: list[int]) -> str:
    """Of each comparison, "one training each", "3 trainings each" or "1 to 3 trainings each"."""
    low, high = max(counts[0], 1), counts[-1]
    return "one training each" if high == 1 else f"{high if low == high else f'{low} to {high}'} trainings each"
