"""What a reader panel proves of one method against a baseline, in plain words that follow from intervals by literal rules.

`docs/task-evaluation.md` lists the rules. An effect is *seen* when its paired interval over seeds and patients lies on one
side of 0 and enough patients stand behind it (`Interval.separated`); everything else is "not separated from 0".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskct.core.errors import InputError
from taskct.core.names import plural
from taskct.evaluation.reading.artefacts import ArtefactReport
from taskct.evaluation.reading.audit import Audit
from taskct.evaluation.reading.panel import SHUFFLED
from taskct.evaluation.reading.ratios import describe_metric
from taskct.evaluation.reading.recovery import retrained_readers, share_recovered
from taskct.evaluation.rows import IMAGE, UNSEEN, DoseLevel
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import Table

SHIFT_SHARE = 0.4  # this much of a gain closed by re-tuning one bias is worth saying,
SHIFT_ALL = 0.75  # and this much explains it
FITTED_SHARE = 0.75  # more than this of a gain in one reader alone is a gain of that reader
PSNR_LOSS_DB = 0.5
AT_EQUAL_ALARMS, POOLED = "equal alarms", "pooled"
LEADING = ("unseen", AT_EQUAL_ALARMS, POOLED)
"""Numbers of a verdict that are led with: the Dice of a patient, lesions at equal alarms, and pooled Dice beside them."""
SAME_COMPUTE = 1.1
BOUND_WORD, LOWER_BOUND = "bound_word", "lower bound"
"""The note of a table that says what its retrained readers are: a bound where they earn the name, else a lower bound."""
HEADLINES = {
    "confirmed": "gain confirmed under unseen readers",
    "threshold": "explained by a threshold shift",
    "hidden": "gain only after the readers' bias is re-tuned",
    "one reader": "gain not confirmed under unseen readers",
    "harm": "harm: unseen readers read it worse",
    "worse": "read worse, not confirmed: it does not survive the correction for the number of comparisons",
    "too many": "gain not confirmed: it does not survive the correction for the number of comparisons",
    "none": "no gain shown",
    "control": "gain not specific: a negative control gains as much",
}


@dataclass(frozen=True)
class Remark:
    """One sentence, the rule that gave it, and whether it limits the headline."""

    rule: str
    text: str
    caution: bool = False


@dataclass(frozen=True)
class TaskVerdict:
    """`headline` is one of HEADLINES (by its key `outcome`); `findings` give the numbers behind it and what limits it.

    `adjusted` holds p-values of the leading scores after the correction for `comparisons` of them (`correct_verdicts`).
    """

    method: str
    baseline: str
    outcome: str
    findings: tuple[Remark, ...]
    numbers: dict[str, Interval] = field(default_factory=dict)
    adjusted: dict[str, float] = field(default_factory=dict)
    comparisons: int = 0

    @property
    def headline(self) -> str:
        """The outcome in words."""
        return HEADLINES[self.outcome]

    @property
    def cautions(self) -> tuple[Remark, ...]:
        """Findings that limit the headline."""
        return tuple(f for f in self.findings if f.caution)

    def __str__(self) -> str:
        lines = [f"{self.method} against {self.baseline}: {self.headline}."]
        return "\n".join(lines + [f"  {'! ' if f.caution else ''}{f.text}" for f in self.findings])


def task_verdict(
    table: Table,
    method: str,
    baseline: str,
    *,
    dose: DoseLevel,
    metric: str = "dice",
    region: str | None = None,
    artefacts: Mapping[str, ArtefactReport] | None = None,
    audit: Audit | None = None,
    compute: Mapping[str, float] | None = None,
    seed: int = 0,
) -> TaskVerdict:
    """Judge `method` against `baseline` at one dose by `metric` of the lesion's region: by default the Dice of each patient.

    Lesions found at one false alarm per image can turn the verdict into harm, and pooled Dice stands beside it.
    `artefacts` and `audit` are those of the same methods, where they were made; `compute` is the cost of training each (steps
    times the cost of a step, seconds). The training's reader is never enough: without unseen readers nothing is confirmed.
    """
    judge = _Judge(table, method, baseline, dose, metric, region or str(table.notes.get("lesion_class", "tumour")), seed)
    trained = table.of_role("training")
    if not trained:
        raise InputError("this table has no reader with the role 'training'; a verdict needs to know which one that was")
    numbers = {"training": judge.gain(metric, trained)}
    unseen = table.of_role(UNSEEN)
    if unseen:
        numbers["unseen"] = judge.gain(metric, unseen)
        for reader in unseen:
            numbers[reader] = judge.gain(metric, reader)
        numbers["excess"] = table.contrast(
            metric,
            [(w * v, m, dose, r) for w, m in ((1.0, method), (-1.0, baseline)) for v, r in ((1.0, trained), (-1.0, unseen))],
            region=judge.region,
            seed=seed,
        )
    beside = {"retuned": f"{metric}_retuned", "ap": "ap", AT_EQUAL_ALARMS: "froc@1", POOLED: "dice_pooled"}
    for name, other in beside.items():
        found = judge.try_gain(other, unseen or trained)
        if found is not None and other != metric:
            numbers[name] = found
    for reader in table.of_role("control"):
        found = judge.try_gain(metric, reader)
        if found is not None:
            numbers[f"control {reader}"] = found
    outcome = _outcome(numbers)
    findings = [
        *_harm(judge, numbers),
        *_readers(judge, numbers, unseen),
        *_threshold(numbers, outcome),
        *_bound(judge),
        *_lesions(judge, numbers, unseen or trained),
        *_image(judge),
        *_controls(numbers),
        *_evidence(method, baseline, artefacts or {}, audit),
        *_limits(table, numbers, unseen, judge, compute or {}),
    ]
    return TaskVerdict(method, baseline, outcome, tuple(findings), numbers)


def _outcome(n: Mapping[str, Interval]) -> str:
    """The headline: the first rule that holds."""
    unseen, trained, retuned = n.get("unseen"), n["training"], n.get("retuned")
    if unseen is None:
        return "one reader" if _above(trained) else "none"
    if not _above(unseen):
        if worse_scores(n):
            return "harm"
        if _hidden(n):
            return "hidden"
        return "one reader" if _above(trained) else "none"
    if _is_shift(unseen, retuned, n.get("ap")):
        return "threshold"
    if _fitted(n):
        return "one reader"
    return "control" if any(_as_large(i, n, name) for name, i in n.items()) else "confirmed"


def worse_scores(n: Mapping[str, Interval]) -> list[str]:
    """Which scores can make a verdict of harm: the patients' Dice, and lesions found at equal alarms, where they are below."""
    return [name for name in ("unseen", AT_EQUAL_ALARMS) if name in n and _below(n[name])]


def _is_shift(raw: Interval, retuned: Interval | None, ap: Interval | None) -> bool:
    """Whether re-tuning one bias closes a gain; where none was re-tuned, whether pixel AP has none."""
    if retuned is not None:
        return not _above(retuned) or 1 - retuned.mean / raw.mean >= SHIFT_ALL
    return ap is not None and not _above(ap)


def _hidden(n: Mapping[str, Interval]) -> bool:
    """Whether a gain is there in what has no threshold, though the readers' own thresholds do not show it."""
    return "retuned" in n and _above(n["retuned"]) and _above(n.get("ap", n["retuned"]))


def _fitted(n: Mapping[str, Interval]) -> bool:
    """Whether most of the gain is seen by the training's reader alone."""
    return "excess" in n and _above(n["excess"]) and n["excess"].mean > FITTED_SHARE * n["training"].mean


def _as_large(interval: Interval, n: Mapping[str, Interval], name: str) -> bool:
    """Whether a control gains half as much as what it controls: the training's reader for shuffled labels, else the unseen."""
    if not name.startswith("control "):
        return False
    real = n["training"] if name == f"control {SHUFFLED}" else n.get("unseen", n["training"])
    return _above(interval) and interval.mean >= 0.5 * real.mean


@dataclass(frozen=True)
class _Judge:
    table: Table
    method: str
    baseline: str
    dose: DoseLevel
    metric: str
    region: str
    seed: int

    def gain(self, metric: str, reader: Any, *, region: str | None = None) -> Interval:
        return self.table.paired(
            metric, self.method, self.baseline, dose=self.dose, region=region or self.region, reader=reader, seed=self.seed
        )

    def try_gain(self, metric: str, reader: Any, *, region: str | None = None) -> Interval | None:
        """None where it was not measured."""
        try:
            found = self.gain(metric, reader, region=region)
        except InputError:
            return None
        return found if math.isfinite(found.mean) else None


def _harm(judge: _Judge, n: Mapping[str, Interval]) -> Iterator[Remark]:
    worse = {"unseen": describe_metric(judge.metric)["label"], AT_EQUAL_ALARMS: "lesions found at one false alarm per image"}
    for name in worse_scores(n):
        yield Remark("harm", f"Unseen readers lose {worse[name]} of the {judge.region}: {_signed(n[name])}.", True)
    if POOLED in n and "unseen" in n and _above(n[POOLED]) and not _above(n["unseen"]):
        yield Remark(
            "pooled only",
            f"Pooled Dice alone is higher, {_signed(n[POOLED])}: fewer false marks or a few large lesions, not patients.",
            True,
        )


def _readers(judge: _Judge, n: Mapping[str, Interval], unseen: list[str]) -> Iterator[Remark]:
    what = describe_metric(judge.metric)["label"]
    yield Remark("training", f"{what} of the {judge.region} under the training's reader: {_signed(n['training'])}.")
    if not unseen:
        yield Remark("no unseen reader", "No unseen reader was asked: a gain may be fitted to the one of training.", True)
        return
    yield Remark("unseen", f"Mean of {plural(len(unseen), 'unseen reader')}: {_signed(n['unseen'])}.")
    if _above(n["training"]) and not _above(n["unseen"]) and not _hidden(n):
        yield Remark(
            "one reader", "The training's reader sees a gain that unseen readers do not confirm: fitted to that reader.", True
        )
    elif _above(n["training"]) and _above(n["excess"]):
        only = min(1.0, n["excess"].mean / n["training"].mean)
        yield Remark("fitted", f"{only:.0%} of the gain of the training's reader is seen by that reader alone.", only >= 0.5)
    for reader in unseen:
        if len(unseen) > 1 and _below(n[reader]):
            yield Remark("harmed reader", f"The unseen reader {reader} reads worse: {_signed(n[reader])}.", True)


def _threshold(n: Mapping[str, Interval], outcome: str) -> Iterator[Remark]:
    raw = n.get("unseen", n["training"])
    retuned = n.get("retuned")
    if retuned is None:
        yield Remark("not re-tuned", "No bias was re-tuned: a threshold shift cannot be told from a gain.", True)
    else:
        yield Remark("re-tuned", f"After one bias per method is re-tuned on validation: {_signed(retuned)}.")
        if _above(raw):
            share = 1 - retuned.mean / raw.mean
            if not _above(retuned):
                yield Remark("threshold shift", "After re-tuning the gain is not separated from 0: a threshold shift.", True)
            elif share >= SHIFT_SHARE:
                yield Remark("threshold share", f"A threshold shift explains {min(share, 1):.0%} of the gain.", True)
        elif outcome == "hidden":
            yield Remark(
                "hidden gain", "The gain appears only after re-tuning: the readers' thresholds do not suit the images.", True
            )
        elif _above(retuned):
            no_ap = "ap" in n and not _above(n["ap"])
            why = "pixel AP, which has no threshold, shows none" if no_ap else "no unseen reader was asked"
            yield Remark("unsupported", f"Re-tuned Dice alone is higher, which is not counted as a gain: {why}.", True)
    if "ap" in n:
        yield Remark("ap", f"Pixel AP, which has no threshold: {_signed(n['ap'])}.", _above(raw) and not _above(n["ap"]))


def _bound(judge: _Judge) -> Iterator[Remark]:
    pairs = retrained_readers(judge.table)
    if not pairs:
        return
    where = {"dose": judge.dose, "region": judge.region, "seed": judge.seed}
    who, word = ", ".join(pairs), str(judge.table.notes.get(BOUND_WORD, LOWER_BOUND))
    try:
        share = share_recovered(
            judge.table,
            judge.metric,
            judge.method,
            judge.baseline,
            readers=pairs,
            **where,  # type: ignore[arg-type]
        )
    except InputError:
        return
    if math.isnan(share.low):
        yield Remark("no gap", f"{who}, retrained on the baseline's images, gains nothing sure: no gap to recover was shown.")
    else:
        ends = f"[{share.low:.0%}, {share.high:.0%}]"
        yield Remark("share", f"Share of what retraining {who} regains, gain and gap by {who}: {share.mean:.0%} {ends}.")
    try:
        bound = judge.gain(judge.metric, list(pairs.values()))
    except InputError:
        return
    words = f"the {word} " + ("rises" if _above(bound) else "falls" if _below(bound) else "does not move surely")
    yield Remark("bound", f"Under {who} retrained on each method's images: {_signed(bound)}; {words}.")


def _lesions(judge: _Judge, n: Mapping[str, Interval], readers: list[str]) -> Iterator[Remark]:
    found = judge.try_gain("sensitivity", readers)
    if found is not None:
        yield Remark("sensitivity", f"Lesion sensitivity: {_signed(found)}.", _below(found))
    if AT_EQUAL_ALARMS in n:
        text = "At one false alarm per image, whatever the threshold, sensitivity"
        yield Remark(AT_EQUAL_ALARMS, f"{text}: {_signed(n[AT_EQUAL_ALARMS])}.", _below(n[AT_EQUAL_ALARMS]))
    if POOLED in n:
        yield Remark(POOLED, f"Dice of all patients' pixels together: {_signed(n[POOLED])}.")
    for metric, text in (
        ("false_pixels", "False pixels on images without a lesion"),
        ("false_alarms", "False alarms per image"),
    ):
        alarms = judge.try_gain(metric, readers)
        if alarms is not None:
            yield Remark(metric, f"{text}: {_signed(alarms)}{', more' if _above(alarms) else ''}.", _above(alarms))


def _image(judge: _Judge) -> Iterator[Remark]:
    found = judge.try_gain("psnr", IMAGE, region="all")
    if found is not None:
        lost = found.mean < -PSNR_LOSS_DB
        end = f": more than {PSNR_LOSS_DB} dB are paid" if lost else ""
        yield Remark("psnr", f"PSNR: {_signed(found)} dB{end}.", lost)


def _controls(n: Mapping[str, Interval]) -> Iterator[Remark]:
    for name, interval in n.items():
        if not name.startswith("control "):
            continue
        if _as_large(interval, n, name):
            yield Remark("control", f"The negative {name} gains as well: {_signed(interval)}; the gain is not specific.", True)
        elif _above(interval):
            yield Remark("control", f"More is marked: the negative {name} gains {_signed(interval)} by chance.")


def _evidence(method: str, baseline: str, artefacts: Mapping[str, ArtefactReport], audit: Audit | None) -> Iterator[Remark]:
    if method in artefacts:
        yield Remark("artefact", f"Spectrum: {artefacts[method]}.", bool(artefacts[method].found))
    if audit is None or not {method, baseline} <= set(audit.methods):
        return
    ours, theirs = audit.response(method), audit.response(baseline)
    yield Remark(
        "audit",
        f"Lesions put in or taken out: the answer follows in {ours.follows.mean:.0%} (baseline {theirs.follows.mean:.0%}).",
    )
    if ours.invented.low > max(theirs.invented.mean, 0.0):
        yield Remark("invented", f"Lesions that are not there are invented in {ours.invented.mean:.0%} of places.", True)
    if ours.lost.low > max(theirs.lost.mean, 0.0):
        yield Remark("lost", f"Lesions are lost in {ours.lost.mean:.0%} of places, more than by the baseline.", True)


def _limits(
    table: Table, n: Mapping[str, Interval], unseen: list[str], judge: _Judge, compute: Mapping[str, float]
) -> Iterator[Remark]:
    if len(unseen) == 1:
        yield Remark("one unseen reader", "Only one unseen reader: its own oddities are not averaged.", True)
    alike = [r for r in unseen if r in table.notes.get("unseen_of_the_same_architecture", [])]
    if unseen and len(alike) == len(unseen):
        yield Remark("same architecture", "All unseen readers have the architecture of the training's reader.", True)
    interval = n.get("unseen", n["training"])
    if interval.note:
        yield Remark("few", f"Evidence: {interval.note}.", True)
    ours, theirs = compute.get(judge.method), compute.get(judge.baseline)
    if ours is not None and theirs is not None and ours > SAME_COMPUTE * theirs:
        yield Remark(
            "compute", f"The method was trained {ours / theirs:.1f} times as long as the baseline: train that as long.", True
        )


def _above(interval: Interval) -> bool:
    return interval.separated and interval.low > 0


def _below(interval: Interval) -> bool:
    return interval.separated and interval.high < 0


def _signed(interval: Interval) -> str:
    if math.isnan(interval.low):
        return f"{interval.mean:+.3g} (no interval)"
    return f"{interval.mean:+.3g} [{interval.low:+.3g}, {interval.high:+.3g}]"
