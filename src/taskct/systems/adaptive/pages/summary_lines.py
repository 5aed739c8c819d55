"""The first lines of a task report: what intervals and the number of comparisons allow to be said, in plain words."""

from __future__ import annotations

import math

from taskct.core.errors import InputError
from taskct.core.names import photon_count
from taskct.evaluation.reading import TaskVerdict
from taskct.evaluation.reading.recovery import retrained_readers
from taskct.evaluation.reading.task_verdict import AT_EQUAL_ALARMS, POOLED
from taskct.evaluation.rows import DoseLevel
from taskct.report.number_text import MINUS, signed_interval
from taskct.systems.adaptive.pages.story import LEAD, TaskStory

# Cautions in the order in which they are said; those of other rules follow.
_CAUTIONS = ("few", "one unseen reader", "harmed reader", "control", "artefact", "invented", "lost", "sensitivity")
_SAID_ABOVE = ("harm",)


def summary_lines(story: TaskStory) -> list[tuple[str, bool]]:
    """Sentences, and whether each is a caution: the answer (`answer_lines`), then what limits it (`caution_lines`)."""
    return [*answer_lines(story), *((text, True) for text in caution_lines(story))]


def answer_lines(story: TaskStory) -> list[tuple[str, bool]]:
    """Gains and harm at each dose, controls, methods that are read better than all of these, and what else would help."""
    lines: list[tuple[str, bool]] = []
    for dose in story.doses:
        lines += [(text, False) for text in (_gains(story, dose),) if text]
        lines += [(text, True) for text in (_harms(story, dose),) if text]
        lines += [(text, False) for text in (_controls(story, dose),) if text]
        lines += [(text, True) for text in (_ahead(story, dose),) if text]
    for dose in story.doses:
        lines += [(text, False) for text in (_retrained(story, dose), _other_models(story, dose)) if text]
    return lines


def caution_lines(story: TaskStory) -> list[str]:
    """What limits each gain: the first remark of each kind, and how many more there are."""
    lines = []
    cautions: dict[str, dict[str, None]] = {}
    for verdict in story.verdicts_of(story.task_methods):
        for finding in verdict.cautions:
            if finding.rule in _SAID_ABOVE:
                continue
            cautions.setdefault(finding.rule, {})[f"{verdict.method}: {finding.text}"] = None
    for rule in [*(r for r in _CAUTIONS if r in cautions), *(r for r in cautions if r not in _CAUTIONS)]:
        first, *rest = cautions[rule]
        lines.append(first + (f" ({len(rest)} more like it below.)" if rest else ""))
    return lines


def _gains(story: TaskStory, dose: DoseLevel) -> str:
    """Which task-adaptive methods surely gain over their baselines; the largest gain where none does."""
    found = story.verdicts_of(story.task_methods, dose)
    if not found:
        return ""
    where = f"At {photon_count(dose.used_photons)} photons per pixel"
    what = f"Dice of the {story.lesion} of a patient under unseen readers"
    many = f" Corrected for {story.comparisons} comparisons (Holm)." if story.comparisons else ""
    sure = sorted((v for v in found if v.outcome == "confirmed"), key=lambda v: -v.numbers["unseen"].mean)
    if sure:
        best = sure[0]
        text = (
            f"{where} {best.method} is confirmed to gain, and gains most: {signed_interval(best.numbers['unseen'])} in {what} "
            f"over {best.baseline}{_share(story, best, dose)}.{_beside(best)}"
        )
        rest = [f"{v.method} ({signed_interval(v.numbers['unseen'])})" for v in sure[1:]]
        unsure = [f"{v.method} ({v.headline})" for v in found if v.outcome not in ("confirmed", "harm")]
        text += f" Confirmed too: {'; '.join(rest)}." if rest else ""
        return text + (f" Not confirmed: {'; '.join(unsure)}." if unsure else "") + many
    best = max(found, key=lambda v: v.numbers["unseen"].mean)
    return (
        f"{where} no gain in {what} is confirmed. The largest is that of {best.method}, "
        f"{signed_interval(best.numbers['unseen'])} over {best.baseline}: {best.headline}.{_beside(best)}{many}"
    )


def _beside(verdict: TaskVerdict) -> str:
    """What stands beside the Dice of a patient: lesions found at equal alarms, and pooled Dice."""
    parts = []
    if AT_EQUAL_ALARMS in verdict.numbers:
        parts.append(f"lesions found at one false alarm per image {signed_interval(verdict.numbers[AT_EQUAL_ALARMS])}")
    if POOLED in verdict.numbers:
        parts.append(f"Dice of all pixels together {signed_interval(verdict.numbers[POOLED])}")
    return f" Beside it: {'; '.join(parts)}." if parts else ""


def _harms(story: TaskStory, dose: DoseLevel) -> str:
    """Methods that unseen readers read worse than their baselines, patient by patient or at equal alarms."""
    found = [v for v in story.verdicts_of(story.task_methods, dose) if v.outcome == "harm"]
    if not found:
        return ""
    parts = [f"{v.method} {signed_interval(v.numbers['unseen'])} in Dice of a patient.{_beside(v)}".rstrip(".") for v in found]
    return f"At {photon_count(dose.used_photons)} photons harm is shown: {'; '.join(parts)}."


def _ahead(story: TaskStory, dose: DoseLevel) -> str:
    """A method without a task loss that no task-adaptive one is shown to beat: a gain is then no lead."""
    found = story.best_rival(dose)
    if found is None or found.lead.mean >= 0:
        return ""
    said = (
        "{} is read better than all of these" if found.lead.separated else "none of these is shown to be read better than {}"
    )
    return (
        f"At {photon_count(dose.used_photons)} photons {said.format(found.rival)}: {found.best}, the best of them, minus "
        f"{found.rival} is {signed_interval(found.lead)}."
    )


def _share(story: TaskStory, verdict: TaskVerdict, dose: DoseLevel) -> str:
    try:
        share = story.share(verdict.method, verdict.baseline, dose)
    except InputError:
        return ""
    if math.isnan(share.low):
        return ""
    ends = f"[{share.low:.0%}, {share.high:.0%}]".replace("-", MINUS)
    who = ", ".join(retrained_readers(story.table))
    return f", {share.mean:.0%} {ends} of what {who} gains when it is retrained on the baseline's images"


def _controls(story: TaskStory, dose: DoseLevel) -> str:
    found = story.verdicts_of(story.controls, dose)
    if not found:
        return ""
    parts = [f"{v.method} {signed_interval(v.numbers['unseen'])}" for v in found]
    return f"Negative controls at this dose, where nothing should be gained: {'; '.join(parts)}."


def _retrained(story: TaskStory, dose: DoseLevel) -> str:
    """What retraining the readers on the images of each baseline gives."""
    pairs = retrained_readers(story.table)
    if not pairs:
        return ""
    parts = []
    for baseline in dict.fromkeys(story.baselines[m] for m in story.task_methods if m in story.baselines):
        try:
            gap = story.table.paired(
                LEAD,
                baseline,
                baseline,
                dose=dose,
                region=story.lesion,
                reader=list(pairs.values()),
                baseline_reader=list(pairs),
            )
        except InputError:
            continue
        if math.isfinite(gap.mean):
            parts.append(f"{signed_interval(gap)} on {baseline}")
    if not parts:
        return ""
    return (
        f"At {photon_count(dose.used_photons)} photons {', '.join(pairs)}, retrained on the low-dose images, gains "
        f"{'; '.join(parts)}: what changing the reader would give without any task loss, a {story.bound_word}."
    )


def _other_models(story: TaskStory, dose: DoseLevel) -> str:
    """What other reconstructors gain for readers that were retrained on their images."""
    retrained = list(retrained_readers(story.table).values())
    if not retrained:
        return ""
    parts = []
    for verdict in story.verdicts_of([m for m in story.baselines if m not in (*story.task_methods, *story.controls)], dose):
        try:
            bound = story.table.paired(
                LEAD, verdict.method, verdict.baseline, dose=dose, region=story.lesion, reader=retrained
            )
        except InputError:
            continue
        if math.isfinite(bound.mean):
            parts.append(f"{verdict.method} {signed_interval(bound)} over {verdict.baseline}")
    return f"What retrained readers find in the images at this dose: {'; '.join(parts)}." if parts else ""
