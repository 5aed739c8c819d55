"""Scores of trainings with intervals, the three comparisons of heads together and alone, and what the bridge gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from taskct.evaluation.influence import Influence, influence
from taskct.evaluation.statistics import UNBOUNDED, Interval
from taskct.experiments.made import Made
from taskct.report.number_text import signed_interval
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_classes import TASKS
from taskct.systems.chest.chest_scores import scores_of
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.reading_crops import Readings
from taskct.systems.chest.shortcut import ShortcutRow
from taskct.systems.chest.shortcut_page import shortcut_lines

MAIN_SCORES: dict[str, tuple[str, ...]] = {
    "classify": ("AUC nodule", "AUC infection"),
    "segment": ("Dice nodules >= 8 mm", "Dice ground glass", "Dice consolidation"),
    "restore": ("PSNR",),
    "detect": ("CPM nodule", "AP10 nodule", "AP10 infection"),
}
NOT_REACHED, NOT_TESTED = "not reached", "not tested by these patients"
MEAN = "mean of doses"
AIMS = {"AUC nodule": 0.9, "CPM nodule": 0.5, "Dice nodules >= 8 mm": 0.6}
AIMS_IN_WORDS = {
    "AUC nodule": "slices with a nodule are told from slices without one with an AUC of",
    "CPM nodule": "the share of nodules found, averaged from 1/8 to 8 false marks a scan (CPM), is",
    "Dice nodules >= 8 mm": "outlines of nodules of 8 mm and more agree with the truth at a Dice of",
}


def aim_word(value: float, aim: float) -> str:
    """Whether an aim is reached; a score that is not defined, such as the AUC of a finding that all images show, says nothing.

    >>> aim_word(0.95, 0.9), aim_word(0.85, 0.9), aim_word(math.nan, 0.9)
    ('reached', 'not reached', 'not tested by these patients')
    """
    if math.isnan(value):
        return NOT_TESTED
    return "reached" if value >= aim else NOT_REACHED


def bounds_of(score: str) -> tuple[float, float]:
    """Least and largest value of a score: most are shares."""
    return {"PSNR": UNBOUNDED, "HU bias": UNBOUNDED, "SSIM": (-1.0, 1.0)}.get(score, (0.0, 1.0))


def gain_of(score: str, after: Influence, before: Influence) -> Interval:
    """The difference of two scores of the same seeds and patients, with its interval."""
    least, most = bounds_of(score)
    return after.minus(before).interval(bounds=(least - most, most - least))


@dataclass(frozen=True, eq=False)
class Trainings:
    """What trainings that differ by their seed only say of the same patients, by seed."""

    readings: Mapping[int, Readings]

    @cached_property
    def scores(self) -> dict[str, Influence]:
        """Every score that all of its trainings have, over seeds and patients; of one patient without an interval."""
        each = [scores_of(one) for one in self.readings.values()]
        patients = len(next(iter(self.readings.values())).patients)
        names = [name for name in each[0] if all(name in one for one in each)]
        if patients == 1:  # nobody can be left out
            values = {name: np.array([one[name](np.ones(1)) for one in each]) for name in names}
            return {name: Influence(found, found[:, None]) for name, found in values.items()}
        return {name: influence([one[name] for one in each], patients) for name in names}

    def interval(self, score: str) -> Interval:
        """A score with its interval over seeds and patients."""
        return self.scores[score].interval(bounds=bounds_of(score))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of its trainings."""
        return tuple(self.readings)

    def beside(self, baseline: Trainings, score: str) -> tuple[Influence, Influence] | None:
        """A score of this and of the baseline by the seeds that both have; None where one of them has no such score."""
        shared = [seed for seed in self.seeds if seed in baseline.seeds]
        if not shared or score not in self.scores or score not in baseline.scores:
            return None
        one, other = (
            Influence(found.values[rows], found.pseudo[rows])
            for side in (self, baseline)
            for found, rows in [(side.scores[score], [side.seeds.index(seed) for seed in shared])]
        )
        return one, other


@dataclass(frozen=True, eq=False)
class Group(Trainings):
    """Trainings of an arm; `arm` is that of the first seed."""

    arm: Arm

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return self.arm.group


@dataclass(frozen=True, eq=False)
class Comparison:
    """One group against another by one score: the difference, paired by seeds and patients."""

    kind: str
    group: str
    baseline: str
    score: str
    before: float
    after: float
    gain: Interval
    seeds: int


def groups_of(readings: Mapping[str, Made[Readings]], arms: Mapping[str, Arm]) -> dict[str, Group]:
    """The groups of all trainings that were read, by name."""
    found: dict[str, dict[Arm, Readings]] = {}
    for label, made in readings.items():
        if made.done:
            found.setdefault(arms[label].group, {})[arms[label]] = made.load()
    return {name: Group({arm.seed: read for arm, read in these.items()}, next(iter(these))) for name, these in found.items()}


def shown_first(groups: Mapping[str, Group]) -> Group | None:
    """The group that a page shows first: all four heads, trained for longest."""
    return next((groups[name] for name in ("first-longer", "first", "package") if name in groups), None)


def comparisons(groups: Mapping[str, Group]) -> list[Comparison]:
    """All comparisons of which both sides are done: of what is shared, and of what else was changed."""
    found: list[Comparison] = []
    for task in TASKS:
        for group in groups.values():
            arm = group.arm
            if arm.name or task not in arm.tasks:
                continue
            plain = (arm.backbone, arm.loss, arm.sharing, arm.length, arm.preload) == (
                "small",
                "dice-ce",
                "sum",
                "steps",
                False,
            )
            share = f"-{arm.labelled}" if arm.labelled else ""
            if plain and len(arm.tasks) > 1:
                found += _pairs(f"equal steps{share}", group, groups.get(task + share), task)
            if arm.length == "computing":
                found += _pairs("equal computing", group, groups.get(task), task)
            if arm.length == "longer":
                found += _pairs("single task longer", groups.get("all"), group, task)
            if not plain and arm.length == "steps":
                base = "all" if len(arm.tasks) > 1 else task
                found += _pairs("changed", group, groups.get(base), task)
    return found


def _pairs(kind: str, group: Group | None, baseline: Group | None, task: str) -> list[Comparison]:
    if group is None or baseline is None or group is baseline:
        return []
    found = []
    for score in MAIN_SCORES[task]:
        pair = group.beside(baseline, score)
        if pair is None:
            continue
        after, before = (float(one.values.mean()) for one in pair)
        if np.isfinite(before) and np.isfinite(after):
            found.append(
                Comparison(kind, group.name, baseline.name, score, before, after, gain_of(score, *pair), len(pair[0].values))
            )
    return found


def judged_by_seed(bridge: Mapping[tuple[str, str, int], Made[Readings]]) -> dict[tuple[str, str], Trainings]:
    """What was judged of every image at every dose, all seeds of it together."""
    found: dict[tuple[str, str], dict[int, Readings]] = {}
    for (name, dose, seed), made in bridge.items():
        if made.done:
            found.setdefault((name, dose), {})[seed] = made.load()
    return {key: Trainings(readings) for key, readings in found.items()}


@dataclass(frozen=True, eq=False)
class OverDoses(Trainings):
    """Trainings whose scores are the mean over several doses; `each` has what was judged at a dose, of the same seeds."""

    each: tuple[Trainings, ...]

    @cached_property
    def scores(self) -> dict[str, Influence]:
        """Every score that is there at all doses."""
        found = {}
        for name in self.each[0].scores:
            if all(name in one.scores for one in self.each):
                values, pseudo = (
                    np.mean(
                        [getattr(one.scores[name], part)[[one.seeds.index(s) for s in self.seeds]] for one in self.each], 0
                    )
                    for part in ("values", "pseudo")
                )
                found[name] = Influence(values, pseudo)
        return found


def with_means(judged: Mapping[tuple[str, str], Trainings]) -> dict[tuple[str, str], Trainings]:
    """What was judged, and under the dose `MEAN` the mean over the low doses of every image that was judged at all of them."""
    doses = list(dict.fromkeys(dose for _, dose in judged if dose))
    found = dict(judged)
    for name in dict.fromkeys(name for name, dose in judged if dose):
        each = [judged[name, dose] for dose in doses if (name, dose) in judged]
        seeds = [seed for seed in each[0].seeds if all(seed in one.seeds for one in each)]
        if len(each) == len(doses) > 1 and seeds:
            found[name, MEAN] = OverDoses({seed: each[0].readings[seed] for seed in seeds}, tuple(each))
    return found


@dataclass(frozen=True)
class BridgeRow:
    """A score of an image at a dose ("" is full), and what it gains at that dose over the image error alone.

    `control` is what a head gains over a network of random weights in its place.
    """

    image: str
    dose: str
    score: str
    value: Interval
    gain: Interval | None
    control: Interval | None
    seeds: int


def bridge_gains(judged: Mapping[tuple[str, str], Trainings]) -> list[BridgeRow]:
    """Every score of everything that was judged, and its mean over the low doses."""
    rows = []
    known = with_means(judged)
    for (name, dose), trainings in known.items():
        base = known.get(("error", dose)) if name not in ("error", "full dose") else None
        chance = known.get(("random", dose)) if name not in ("error", "full dose", "random", "FBP") else None
        for score in trainings.scores:
            pairs = [None if other is None else trainings.beside(other, score) for other in (base, chance)]
            gain, control = (None if pair is None else gain_of(score, *pair) for pair in pairs)
            rows.append(BridgeRow(name, dose, score, trainings.interval(score), gain, control, len(trainings.seeds)))
    return rows


def summary_lines(
    settings: ChestExperiment,
    groups: Mapping[str, Group],
    pairs: Sequence[Comparison],
    judged: Mapping[tuple[str, str], Trainings],
    tests: Sequence[ShortcutRow] = (),
) -> list[str]:
    """What came out, a line each."""
    lines = []
    first = shown_first(groups)
    if first is not None:
        for score, aim in AIMS.items():
            if score in first.scores:
                found = first.interval(score)
                ends = f" [{found.low:.2f}, {found.high:.2f}]" if math.isfinite(found.low) else ""
                said = (
                    f"{AIMS_IN_WORDS[score]} {found.mean:.2f}{ends}"
                    if math.isfinite(found.mean)
                    else f"{score} is not defined"
                )
                lines.append(f"At full dose {said}; the aim of {aim:g} is {aim_word(found.mean, aim)}.")
    for kind in ("equal steps", "equal computing", "single task longer"):
        mine = [p for p in pairs if p.kind == kind and p.group in ("all", "all-computing")]
        apart = [p for p in mine if p.gain.separated]
        if mine:
            better = sum(p.gain.mean > 0 for p in apart)
            said = f"{len(apart)} of {len(mine)} differences in scores are separated from zero, {better} in favour of four"
            lines.append(
                f"Between four heads and each alone ({kind}), {said}; this is not corrected for the number of comparisons."
            )
    lines += _bridge_lines(settings, bridge_gains(judged))
    lines += shortcut_lines(tests)
    return lines or ["Nothing was read yet."]


def _bridge_lines(settings: ChestExperiment, rows: Sequence[BridgeRow]) -> list[str]:
    """What heads in the loss gain: nodules first, over all doses where there are several, then infections at the one dose."""
    lines = []
    for score, what, at in (
        ("AP10 nodule", "AP of nodules", MEAN),
        ("AP10 infection", "AP of infections", f"{settings.bridge_dose:g}"),
        ("AUC infection", "AUC of an infection", f"{settings.bridge_dose:g}"),
    ):
        mine = {row.image: row for row in rows if row.score == score and row.dose == at}
        where = f"mean of {len(settings.doses)} doses" if at == MEAN else f"{float(at):.1%} of the dose"
        base = mine.pop("error", None)
        mine.pop("FBP", None)
        if base is None or not mine:
            continue
        if not math.isfinite(base.value.mean):
            lines.append(f"Heads in the loss, {where}: the {what} is not defined for these patients.")
            continue
        apart = [row.image for row in mine.values() if row.gain is not None and row.gain.separated]
        gains = ", ".join(f"{row.image} {signed_interval(row.gain)}" for row in mine.values() if row.gain is not None)
        lines += [
            f"With a head in the loss of a reconstruction, the {what} under a reader that no training met differs from that "
            f"after the image error alone for {len(apart)} of {len(mine)} ({where}; not corrected for their number).",
            f"The {what}, {where}, is {base.value.mean:.3f} after the image error alone. Differences from it: {gains}.",
        ]
    return lines
