"""The first lines of a task report: what the intervals allow to be said, in plain words."""

from __future__ import annotations

import math

from taskct.core.errors import InputError
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import DoseLevel
from taskct.report.task_story import TaskStory
from taskct.report.words import MINUS, power_of_ten


def summary_lines(story: TaskStory) -> list[tuple[str, bool]]:
    """Sentences, and whether each is a caution: gains by dose, what retraining would give, what could be wrong."""
    lines: list[tuple[str, bool]] = []
    for dose in story.doses:
        lines.append((_gains(story, dose), False))
    lines += [(text, False) for dose in story.doses if (text := _bound(story, dose))]
    cautions: dict[str, list[str]] = {}
    for (method, _, _), verdict in story.verdicts.items():
        for finding in verdict.cautions:
            cautions.setdefault(finding.rule, []).append(f"{method}: {finding.text}")
    for kind in ("few", "harmed reader", "control", "artefact", "invented", "lost", "sensitivity"):
        if kind in cautions:
            first, rest = cautions[kind][0], len(set(cautions[kind])) - 1
            lines.append((first + (f" ({rest} more like it below.)" if rest else ""), True))
    return lines


def _gains(story: TaskStory, dose: DoseLevel) -> str:
    """One dose: which methods surely gain over their baselines, which do not."""
    sure, unsure = [], []
    for (method, baseline, at), verdict in story.verdicts.items():
        if at != dose or "unseen" not in verdict.numbers:
            continue
        gain = verdict.numbers["unseen"]
        if verdict.outcome == "confirmed":
            sure.append(f"{method} ({_interval(gain)} over {baseline})")
        else:
            unsure.append(f"{method} ({_interval(gain)}: {verdict.headline})")
    where = f"At {power_of_ten(dose.used_photons)} photons per pixel"
    what = f"Dice of the {story.lesion} under unseen readers"
    if not sure and not unsure:
        return f"{where}: nothing was compared."
    if not sure:
        return f"{where} no gain in {what} is confirmed: {'; '.join(unsure)}."
    text = f"{where} these gain in {what}, confirmed: {'; '.join(sure)}."
    return text + (f" Not confirmed: {'; '.join(unsure)}." if unsure else "")


def _bound(story: TaskStory, dose: DoseLevel) -> str:
    """What retraining the reader on the images of each baseline gives."""
    parts = []
    for baseline in dict.fromkeys(story.baselines.values()):
        seen = {"dose": dose, "region": story.lesion}
        try:
            first = story.table.of_role("training")
            gap = story.table.difference("dice_pooled", baseline, baseline, reader="retrained", baseline_reader=first, **seen)  # type: ignore[arg-type]
        except InputError:
            continue
        if math.isfinite(gap.mean):
            parts.append(f"{_interval(gap)} on {baseline}")
    if not parts:
        return ""
    return (
        f"At {power_of_ten(dose.used_photons)} photons the reader, retrained on the low-dose images themselves, reads better "
        f"by {'; '.join(parts)}: what a reader that may be changed would gain without any task loss."
    )


def _interval(interval: Interval) -> str:
    text = lambda v: f"{v:+.3f}".replace("-", MINUS)
    if math.isnan(interval.low):
        return f"{text(interval.mean)}, no interval"
    return f"{text(interval.mean)} [{text(interval.low)}, {text(interval.high)}]"
