"""The one sentence that the page begins with, and all that speaks against it, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from taskct.core.names import photon_count, plural
from taskct.evaluation.reading import TaskVerdict
from taskct.evaluation.reading.many_verdicts import LEVEL
from taskct.evaluation.reading.task_verdict import Remark, worse_scores
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.statistics import FEW_PATIENTS, Interval
from taskct.report.number_text import signed_interval
from taskct.systems.adaptive.pages.story import TaskStory

REASONS = {
    "threshold": "which a shift of the readers' threshold explains",
    "hidden": "which appears only after the readers' bias is re-tuned",
    "one reader": "which unseen readers do not confirm",
    "harm": "while fewer lesions are found",
    "worse": "while fewer lesions are found",
    "too many": "which does not survive the correction for the number of comparisons",
    "none": "which is not separated from zero",
    "control": "and a negative control gains as much",
}
"""Why the largest gain is not confirmed, by the outcome of its verdict."""

WORDS = {
    "confirmed": "confirmed",
    "threshold": "threshold shift",
    "hidden": "only after re-tuning",
    "one reader": "not confirmed",
    "harm": "harm",
    "worse": "worse, not confirmed",
    "too many": "not confirmed",
    "none": "no gain shown",
    "control": "not specific",
}
"""An outcome in a word or two, for small tables; HEADLINES of the verdicts has the whole ones."""


class Headline(NamedTuple):
    """The sentence, those that speak against it, the gravest first, and the verdict and dose that they are about."""

    sentence: str
    against: tuple[str, ...] = ()
    verdict: TaskVerdict | None = None
    dose: DoseLevel | None = None


def headline(story: TaskStory) -> Headline:
    """The largest confirmed gain of a patient's Dice; else confirmed harm; else the largest gain, and why it is not one."""
    main = set(story.task_methods)
    found = [(v, d) for (m, _, d), v in story.verdicts.items() if m in main and "unseen" in v.numbers]
    if not found:
        return Headline(_nothing(story))
    gain = lambda pair: pair[0].numbers["unseen"].mean
    sure = [pair for pair in found if pair[0].outcome == "confirmed"]
    harmed = [pair for pair in found if pair[0].outcome == "harm"]
    if sure:
        best, dose = max(sure, key=gain)
        more = f"; the largest of {len(sure)} confirmed gains" if len(sure) > 1 else ""
        sentence = (
            f"At {photon_count(dose.used_photons)} photons per pixel unseen readers outline the {story.lesion} better "
            f"{_compared(best)}: Dice of a patient {signed_interval(best.numbers['unseen'])}{more}."
        )
    elif harmed:
        best, dose = min(harmed, key=gain)
        sentence = f"No gain is confirmed, but harm is: {_harm_words(story, best, dose)}."
    else:
        best, dose = max(found, key=gain)
        sentence = (
            f"No gain of unseen readers is confirmed: the largest difference in the Dice of a patient is "
            f"{signed_interval(best.numbers['unseen'])} at {photon_count(dose.used_photons)} photons per pixel, "
            f"{best.method} against {best.baseline}, {_why_not(best)}."
        )
    return Headline(sentence, tuple(_against(story, best, dose)), best, dose)


def verdict_words(verdict: TaskVerdict) -> str:
    """The outcome in a word or two; harm says so where it lies in the lesions found and not in the Dice beside it."""
    worse = worse_scores(verdict.numbers)
    if verdict.outcome in ("harm", "worse") and "unseen" not in worse:
        return "harm: fewer lesions" if verdict.outcome == "harm" else "fewer lesions, not confirmed"
    return WORDS[verdict.outcome]


def _nothing(story: TaskStory) -> str:
    if story.verdicts:
        return "No unseen reader was asked, so no gain can be confirmed."
    return "No task loss has been compared with its baseline yet."


def _compared(verdict: TaskVerdict) -> str:
    """ "when NETWORK was trained with the label loss instead of the image loss", where the names are built so."""
    model, _, loss = verdict.method.partition(", ")
    other, _, plain = verdict.baseline.partition(", ")
    if model == other and " loss" in loss and " loss" in plain:
        return f"when {model} was trained with the {loss} instead of the {plain}"
    return f"in the images of {verdict.method} than in those of {verdict.baseline}"


def _why_not(verdict: TaskVerdict) -> str:
    patients = verdict.numbers["unseen"].n_patients
    if patients < FEW_PATIENTS:
        return f"and {plural(patients, 'patient')} cannot confirm it"
    return REASONS[verdict.outcome]


def _harm_words(story: TaskStory, verdict: TaskVerdict, dose: DoseLevel) -> str:
    where = f"at {photon_count(dose.used_photons)} photons per pixel unseen readers"
    sure = [name for name in worse_scores(verdict.numbers) if verdict.adjusted.get(name, 0.0) < LEVEL]
    compared = _compared(verdict)
    found = signed_interval(verdict.numbers["unseen" if "unseen" in sure else sure[0]])
    if "unseen" in sure:
        return f"{where} outline the {story.lesion} worse {compared}: Dice of a patient {found}"
    return f"{where} find fewer lesions at one false alarm per image {compared}: {found} of them"


def _limit(remark: Remark, gain: Interval) -> str:
    if remark.rule == "few" and gain.n_seeds == 1 and gain.n_patients >= FEW_PATIENTS:
        return "Each network was trained once: another training may turn out otherwise."
    return remark.text


def _against(story: TaskStory, main: TaskVerdict, dose: DoseLevel) -> Iterator[str]:
    """What could make the headline worthless: harm of its method, controls, rivals, what limits it, other harm."""
    harmed = [(v, d) for (m, _, d), v in story.verdicts.items() if m in story.task_methods and v.outcome == "harm"]
    own = [(v, d) for v, d in harmed if v.method == main.method and (v.baseline, d) != (main.baseline, dose)]
    yield from (f"But {_harm_words(story, *pair)}." for pair in own)
    for control in story.verdicts_of(story.controls, dose):
        if control.outcome == "confirmed":
            yield f"But a negative control gains as well: {control.method} {signed_interval(control.numbers['unseen'])}."
    rival = story.best_rival(dose) if story.has_task_losses else None
    if rival is not None and (rival.best, rival.rival) != (main.method, main.baseline):
        lead = f"{rival.best} minus {rival.rival} is {signed_interval(rival.lead)}"
        if not rival.lead.separated:
            yield f"But no task loss is shown to beat {rival.rival}, which has none: {lead}."
        elif rival.lead.mean < 0:
            yield f"But {rival.rival}, which has no task loss, is read better than all that have one: {lead}."
        else:
            yield f"The best method without a task loss, {rival.rival}, is beaten too: {lead}."
    if main.outcome == "confirmed":
        yield from (_limit(remark, main.numbers["unseen"]) for remark in main.cautions)
    yield from (f"But {_harm_words(story, *p)}." for p in harmed if p not in own and p[0].method != main.method)
