"""The page of the chest experiment: what came out in plain words, then the tables and pictures behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from taskct.core.files import write_text
from taskct.core.names import plural
from taskct.evaluation.statistics import Interval
from taskct.report.first_screen import opening, page_body, small_table
from taskct.report.number_text import number, span
from taskct.report.page import page
from taskct.report.wide_table import wide_table
from taskct.systems.chest.bridge_curves import dose_figure
from taskct.systems.chest.chest_classes import TASKS
from taskct.systems.chest.chest_comparing import (
    AIMS,
    MAIN_SCORES,
    MEAN,
    NOT_REACHED,
    NOT_TESTED,
    Comparison,
    Group,
    Trainings,
    aim_word,
    bridge_gains,
    shown_first,
    summary_lines,
)
from taskct.systems.chest.chest_scores import ABOUT, LARGE_MM
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.reading_crops import LEAST_MM
from taskct.systems.chest.shortcut import ABOUT_SHORTCUT, ShortcutRow
from taskct.systems.chest.shortcut_page import shortcut_section

_TITLE = "Chest CT: one network, four heads"
_KINDS = {
    "equal steps": "Four heads against each alone, equal steps",
    "equal computing": "Four heads for as long as the four alone take together",
    "single task longer": "Four heads against each alone for as long as the four take",
    "changed": "What else was changed",
}


_WORDS = {
    "heads?": "one of the network's outputs: findings of a slice (classify), areas (segment), a cleaner image (restore) or "
    "boxes (detect)",
    "CPM": "mean share of nodules found where 1/8 to 8 false marks are allowed in a scan",
    "AP10": "mean precision over all recalls, of boxes that overlap the truth by 10 % or more",
    "infection": "ground glass or consolidation",
    "aim": "the value that was set as a goal",
}
"""What the words of this page mean; `word_key` shows those that its first screen uses."""
_THREE = ("equal steps", "equal computing", "single task longer")


def write_chest_page(
    path: Path,
    *,
    settings: ChestExperiment,
    groups: Mapping[str, Group],
    pairs: Sequence[Comparison],
    judged: Mapping[tuple[str, str], Trainings],
    tests: Sequence[ShortcutRow] = (),
    pictures: str = "",
    missing: Sequence[str] = (),
) -> None:
    """Write one self-contained page: no script, no network."""
    first = shown_first(groups)
    answer, *rest = summary_lines(settings, groups, pairs, judged, tests)
    against = [text for text in rest if NOT_REACHED in text or NOT_TESTED in text]
    parts = [
        ("words", "What else came out", "", "".join(f"<p>{escape(text)}</p>" for text in rest if text not in against)),
        ("first", "All four heads at full dose", "", score_table(first) if first is not None else ""),
        ("sharing", "Four heads or one", "", beside_table(pairs) + _comparison_tables(pairs)),
        ("transfer", "Which head helps which", "", transfer_table(pairs)),
        ("bridge", "Heads in the loss of a reconstruction", "", dose_figure(judged) + bridge_table(judged, settings)),
        ("shortcut", "The disease or the scanner", "", shortcut_section(tests)),
        ("groups", "All trainings", "", "".join(score_table(g) for g in groups.values() if g is not first)),
        ("made", "How it was made", "", _made(settings, tests)),
    ]
    begin = f"{opening(answer, against, missing=missing)}{pictures}{_first_table(first) if first is not None else ''}"
    write_text(path, page(_TITLE, page_body(_TITLE, begin, parts, lead=lead(settings), words=_WORDS)), overwrite=True)


def _first_table(group: Group) -> str:
    """The scores by which each head is judged first, at full dose, beside the aims."""
    scores = [score for task in TASKS for score in MAIN_SCORES[task] if score in group.scores]
    rows = ""
    for score in scores:
        found = group.interval(score)
        aim = AIMS.get(score)
        said = "–" if aim is None else f"{aim:g}, {aim_word(found.mean, aim)}"
        name = escape(_named(score).replace(">=", "≥"))
        rows += f"<tr><th scope='row'>{name}</th>{_cell(found)}<td class='text'>{said}</td></tr>"
    heads = ("<th>at full dose</th>", "<th>mean</th>", "<th class='text'>aim</th>")
    key = f"{_tested_on(group)}. Small: 95 % intervals over patients and, where there are several, training seeds."
    return small_table(heads, [rows], key) if rows else ""


def lead(settings: ChestExperiment) -> str:
    """What was done, in two sentences."""
    learnt = f"{settings.train_patients} patients to learn from, " if settings.train_patients else ""
    only_shortcut = settings.shortcut_steps and not (settings.first_steps or settings.steps or settings.bridge_steps)
    slices = settings.shortcut_slices if only_shortcut else settings.slices
    return (
        f"Built-in chests: {learnt}{settings.test_patients} {'to judge on' if learnt else 'that no training saw'}, "
        f"{slices} slices each, pixels of {settings.pixel_mm:g} mm. No figure was measured on patients of a clinic."
    )


def score_table(group: Group) -> str:
    """All scores of a group with their intervals."""
    rows = [f"<tr><th scope='row'>{escape(_named(score))}</th>{_cell(group.interval(score))}</tr>" for score in group.scores]
    arm = group.arm
    about = f"<b>{escape(group.name)}</b>: heads {', '.join(arm.tasks)}; {arm.steps} steps; {plural(len(group.seeds), 'seed')}"
    about += f"; {_tested_on(group)}"
    return wide_table(about, ["", "mean"], rows) if rows else ""


def beside_table(pairs: Sequence[Comparison]) -> str:
    """What four heads gain over each alone, by the three comparisons beside each other; '' for fewer than two of them."""
    found = {(p.score, p.kind): p for p in pairs if p.kind in _THREE and p.group in ("all", "all-computing")}
    kinds = [kind for kind in _THREE if any(k == kind for _, k in found)]
    if len(kinds) < 2:
        return ""
    rows = []
    for score in (score for task in TASKS for score in MAIN_SCORES[task]):
        cells = [found.get((score, kind)) for kind in kinds]
        if any(cells):
            text = "".join("<td>–</td>" if p is None else _cell(p.gain, bold=p.gain.separated) for p in cells)
            rows.append(f"<tr><th scope='row'>{escape(score)}</th>{text}</tr>")
    about = "intervals over seeds and patients; bold: separated from zero, not corrected for the number of comparisons"
    return wide_table(f"<b>What four heads gain over each alone</b>; {about}", ["", *kinds], rows)


def _comparison_tables(pairs: Sequence[Comparison]) -> str:
    tables = []
    for kind in dict.fromkeys(p.kind for p in pairs):
        rows = [
            f"<tr><th scope='row'>{escape(p.group)} − {escape(p.baseline)}</th><td class='text'>{escape(p.score)}</td>"
            f"<td>{number(p.before)}</td><td>{number(p.after)}</td>"
            f"{_cell(p.gain, bold=p.gain.separated)}<td>{p.seeds}</td></tr>"
            for p in pairs
            if p.kind == kind
        ]
        heads = ["", "score", "before", "after", "gain", "seeds"]
        about = "intervals over seeds and patients; bold: separated from zero, not corrected for the number of comparisons"
        tables.append(wide_table(f"<b>{escape(_KINDS.get(kind, kind))}</b>; {about}", heads, rows))
    return "".join(tables)


def transfer_table(pairs: Sequence[Comparison]) -> str:
    """Gain of each task's first score by one other head beside it, equal steps: rows learn, columns help."""
    found = {(p.group, p.score): p for p in pairs if p.kind == "equal steps"}
    rows = []
    for task in TASKS:
        cells = []
        for other in TASKS:
            name = "+".join(t for t in TASKS if t in (task, other))
            pair = found.get((name, MAIN_SCORES[task][0]))
            cells.append("<td>–</td>" if pair is None else _cell(pair.gain, bold=pair.gain.separated))
        rows.append(f"<tr><th scope='row'>{escape(task)}: {escape(MAIN_SCORES[task][0])}</th>{''.join(cells)}</tr>")
    if not any(p.group.count("+") == 1 for p in pairs if p.kind == "equal steps"):
        return ""
    caption = "<b>Gain of a head by another one beside it</b>, equal steps, against the head alone"
    return wide_table(caption, ["", *(f"with {task}" for task in TASKS)], rows)


def bridge_table(judged: Mapping[tuple[str, str], Trainings], settings: ChestExperiment) -> str:
    """What the unseen reader says of every image, dose by dose."""
    rows = bridge_gains(judged)
    scores = (
        "AUC infection",
        "Dice ground glass",
        "Dice consolidation",
        "AP10 infection",
        "AP10 nodule",
        "FROC nodule, slices",
        "PSNR",
        "SSIM",
    )
    tables = []
    for dose in ("", MEAN, *(f"{d:g}" for d in settings.doses)):
        mine = {(row.image, row.score): row for row in rows if row.dose == dose}
        names = list(dict.fromkeys(name for name, _ in mine))
        seeds = min((row.seeds for row in mine.values()), default=0)
        body = []
        for name in names:
            cells = []
            for score in scores:
                row = mine.get((name, score))
                gain = row.gain if row else None
                more = f"<small>{number(gain.mean)} ({span(gain)})</small>" if gain is not None else ""
                cells.append(f"<td>{number(row.value.mean) if row else '–'}{more}</td>")
            body.append(f"<tr><th scope='row'>{escape(name)}</th>{''.join(cells)}</tr>")
        if body:
            at = {"": "Full dose", MEAN: f"Mean of {len(settings.doses)} doses"}.get(dose) or f"{float(dose):.1%} of the dose"
            about = f"95 % over patients and {plural(seeds, 'seed')}, not corrected for the number of comparisons"
            caption = f"<b>{at}</b>, under readers never used in training; small: gain over the image error alone, {about}"
            tables.append(wide_table(caption, ["", *map(_named, scores)], body))
    return "".join(tables)


def _made(settings: ChestExperiment, tests: Sequence[ShortcutRow]) -> str:
    rows = [*ABOUT.items(), *(ABOUT_SHORTCUT.items() if tests else ())]
    rows += [("first_steps", str(settings.first_steps)), ("steps", str(settings.steps)), ("seeds", str(settings.seeds))]
    rows += [
        (
            "lesions",
            f"nodules in {settings.nodule_share:.0%} of patients, up to {settings.most_nodules}: more than in a clinic",
        )
    ]
    return "<dl>" + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in rows) + "</dl>"


def _named(score: str) -> str:
    """A score with its unit."""
    return {"PSNR": "PSNR (dB)", "HU bias": "bias (HU)"}.get(score, score)


def _tested_on(group: Group) -> str:
    """How many patients and nodules its scores are of, in words."""
    read = next(iter(group.readings.values()))
    words = plural(len(read.patients), "patient")
    if read.nodules:
        large = sum(one["diameter_mm"] >= LARGE_MM for one in read.nodules)
        words += f", {plural(len(read.nodules), 'nodule')} of {LEAST_MM:g} mm and more, {large} of {LARGE_MM:g} mm and more"
    return words


def _cell(interval: Interval, *, bold: bool = False) -> str:
    value = number(interval.mean)
    return f"<td>{f'<b>{value}</b>' if bold else value}<small>{span(interval)}</small></td>"
