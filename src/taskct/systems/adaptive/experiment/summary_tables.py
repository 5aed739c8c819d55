"""The tables of the experiment as CSV: scores, gains, doses that are needed, bases, and the published form."""

from __future__ import annotations

import math
from typing import Any

from taskct.core.csv_cells import csv_lines
from taskct.core.errors import InputError
from taskct.evaluation.reading.task_verdict import AT_EQUAL_ALARMS, LEADING
from taskct.evaluation.rows import IMAGE, UNSEEN
from taskct.evaluation.statistics import Interval
from taskct.systems.adaptive.pages.paper_form import COLUMNS, paper_rows
from taskct.systems.adaptive.pages.story import LEAD, TaskStory

_METRICS = (
    ("dice", UNSEEN), ("froc@1", UNSEEN), ("dice_pooled", UNSEEN), ("dice_retuned", UNSEEN), ("dice_pooled_retuned", UNSEEN),
    ("ap", UNSEEN), ("dice", "training"), ("dice_pooled", "training"), ("dice", "retrained"), ("dice_pooled", "retrained"),
    ("dice", "own"), ("dice_pooled", "own"), ("dice_slice", UNSEEN), ("sensitivity", UNSEEN), ("false_pixels", UNSEEN),
    ("false_alarms", UNSEEN), ("psnr", IMAGE), ("ssim", IMAGE),
)  # fmt: skip
_OF_ORGAN = ("dice", "dice_slice", "dice_pooled")
_SCORES = {"unseen": "per patient", AT_EQUAL_ALARMS: "lesions at 1 false alarm", "retuned": "per patient, re-tuned"}
"""Names of a verdict's numbers in gains.csv, where they differ."""
_BEHIND = ("patients", "seeds")


def story_csvs(story: TaskStory) -> dict[str, str]:
    """All tables, {file name: text}."""
    return {
        "summary.csv": summary_csv(story),
        "gains.csv": gains_csv(story),
        "needed_dose.csv": needed_csv(story),
        "bases.csv": bases_csv(story),
        "base_curves.csv": base_curves_csv(story),
        "published_form.csv": paper_csv(story),
    }


def summary_csv(story: TaskStory) -> str:
    """Every method, dose and score with its interval."""
    lines: list[list[Any]] = [["method", "photons", "metric", "reader", "mean", "low", "high", "patients", "seeds"]]
    for method in story.table.methods:
        doses = {r.dose for r in story.table.rows if r.method == method}
        for dose in sorted(doses, key=lambda d: -d.used_photons):
            for metric, reader in _METRICS:
                regions = ("all",) if reader == IMAGE else (story.lesion, "liver") if metric in _OF_ORGAN else (story.lesion,)
                for region in regions:
                    found = story.mean(metric, method, dose=dose, region=region, reader=reader)
                    if found is not None:
                        name = metric if region in ("all", story.lesion) else f"{metric} of the {region}"
                        ends = [_text(v) for v in (found.mean, found.low, found.high)]
                        lines.append(
                            [method, f"{dose.used_photons:g}", name, reader, *ends, found.n_patients, found.n_seeds or 0]
                        )
    return csv_lines(lines)


def gains_csv(story: TaskStory) -> str:
    """Every method minus its baseline, paired: what a clinician counts first, then the rest, share and verdict.

    `p` is two-sided; `p_corrected` is Holm's over all comparisons of the leading scores together, `comparisons` of them;
    `patients` and `seeds` stand behind each number (seeds: trainings that both methods have).
    """
    heads = [
        "method",
        "baseline",
        "photons",
        "score",
        "mean",
        "low",
        "high",
        "p",
        "p_corrected",
        "comparisons",
        "verdict",
        *_BEHIND,
    ]
    lines: list[list[Any]] = [heads]
    for (method, baseline, dose), verdict in story.verdicts.items():
        start = [method, baseline, f"{dose.used_photons:g}"]
        where = {"dose": dose, "region": story.lesion}
        leading = [name for name in LEADING if name in verdict.numbers]
        for name in (*leading, *(n for n in verdict.numbers if n not in leading)):
            corrected, count = verdict.adjusted.get(name, math.nan), verdict.comparisons if name in leading else ""
            found = verdict.numbers[name]
            ends = [_text(v) for v in (found.mean, found.low, found.high, found.p, corrected)]
            lines.append([*start, _SCORES.get(name, name), *ends, count, verdict.outcome, *_behind(found)])
        retrained = story.readers("retrained")
        more: dict[str, tuple[str, Any]] = {story.bound_word: (LEAD, retrained)} if retrained else {}
        more |= {
            "sensitivity": ("sensitivity", UNSEEN),
            "false pixels": ("false_pixels", UNSEEN),
        }
        for name, (metric, reader) in more.items():
            try:
                found = story.table.paired(metric, method, baseline, reader=reader, **where)  # type: ignore[arg-type]
            except InputError:
                continue
            ends = [_text(v) for v in (found.mean, found.low, found.high, found.p)]
            lines.append([*start, name, *ends, "", "", "", *_behind(found)])
        try:
            share = story.share(method, baseline, dose)
        except InputError:
            continue
        ends = [_text(v) for v in (share.mean, share.low, share.high)]
        lines.append([*start, "share recovered", *ends, "", "", "", "", *_behind(share)])
    return csv_lines(lines)


def _behind(found: Interval) -> list[Any]:
    return [found.n_patients, "" if found.n_seeds is None else found.n_seeds]


def bases_csv(story: TaskStory) -> str:
    """Every base: steps, how flat its validation error is at the end, and the rule by which that is judged."""
    heads = ["base", "steps", "validations", "best_step", "window", "gain", "plateau", "rule"]
    lines: list[list[Any]] = [heads]
    for base in story.bases:
        f = base.flatness
        lines.append([base.name, f.steps, f.validations, f.best_step, f.window, _text(f.gain), f.reached, f.rule])
    return csv_lines(lines)


def base_curves_csv(story: TaskStory) -> str:
    """The validation errors of every base: base, step, error."""
    rows = [[base.name, step, f"{error:.6g}"] for base in story.bases for step, error in base.curve]
    return csv_lines([["base", "step", "validation_error"], *rows])


def paper_csv(story: TaskStory) -> str:
    """The scores in the form of the published table, and what was published."""
    numbers = lambda row: [_text(v) if isinstance(v, float) else v for v in (row[name] for name in COLUMNS)]
    return csv_lines([list(COLUMNS), *(numbers(row) for row in paper_rows(story))])


def needed_csv(story: TaskStory) -> str:
    """The dose at which each method comes within the margin of full dose."""
    lines: list[list[Any]] = [["method", "margin", "photons", "low", "high", "confirmed", "words"]]
    for found in story.needed_doses():
        numbers = [_text(v) for v in (found.estimate, found.low, found.high, found.confirmed)]
        lines.append([found.method, story.margin, *numbers, found.text])
    return csv_lines(lines)


def _text(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
