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
AIMS = {"AUC nodule": 0.9, "CPM nodule": 0.5, "Dice nodules >= 8 mm": 0.6}
AIMS_IN_WORDS = {
    "AUC nodule": "slices with a nodule are told from slices without one with an AUC of",
    "CPM nodule": "the share of nodules found, averaged from 1/8 to 8 false marks a scan (CPM), is",
    "Dice nodules >= 8 mm": "outlines of nodules of 8 mm and more agree with the truth at a Dice of",
}


def bounds_of(score: str) -> tuple[float, float]:
    """Least and largest value of a score: most are shares."""
    return {"PSNR": UNBOUNDED, "HU bias": UNBOUNDED, "SSIM": (-1.0, 1.0)}.get(score, (0.0, 1.0))


def gain_of(score: str, after: Influence, before: Influence) -> Interval:
    """The difference of two scores of the same seeds and patients, with its interval."""
    least, most = bounds_of(score)
    return after.minus(before).interval(bounds=(least - most, most - least))


@dataclass(frozen=True, eq=False)
class Group:
    """Trainings that differ by their seed only, with what they say of the same patients."""

    name: str
    arms: Sequence[Arm]
    readings: Sequence[Readings]

    @cached_property
    def scores(self) -> dict[str, Influence]:
        """Every score that all of its trainings have, over seeds and patients."""
        patients = len(self.readings[0].patients)
        each = [scores_of(one) for one in self.readings]
        names = [name for name in each[0] if all(name in one for one in each)]
        return {name: influence([one[name] for one in each], patients) for name in names} if patients > 1 else {}

    def interval(self, score: str) -> Interval:
        """A score with its interval over seeds and patients."""
        return self.scores[score].interval(bounds=bounds_of(score))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of its trainings."""
        return tuple(arm.seed for arm in self.arms)


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
    found: dict[str, list[tuple[Arm, Readings]]] = {}
    for label, made in readings.items():
        if made.done:
            found.setdefault(arms[label].group, []).append((arms[label], made.load()))
    return {name: Group(name, [a for a, _ in these], [r for _, r in these]) for name, these in found.items()}


def shown_first(groups: Mapping[str, Group]) -> Group | None:
    """The group that a page shows first: all four heads, trained for longest."""
    return next((groups[name] for name in ("first-longer", "first", "package") if name in groups), None)


def comparisons(groups: Mapping[str, Group]) -> list[Comparison]:
    """All comparisons of which both sides are done: of what is shared, and of what else was changed."""
    found: list[Comparison] = []
    for task in TASKS:
        for group in groups.values():
            arm = group.arms[0]
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
    shared = [seed for seed in group.seeds if seed in baseline.seeds]
    if not shared:
        return []
    rows = [[g.seeds.index(seed) for seed in shared] for g in (group, baseline)]
    found = []
    for score in MAIN_SCORES[task]:
        if score not in group.scores or score not in baseline.scores:
            continue
        one, other = (
            Influence(g.scores[score].values[r], g.scores[score].pseudo[r])
            for g, r in zip((group, baseline), rows, strict=True)
        )
        before, after = float(other.values.mean()), float(one.values.mean())
        if np.isfinite(before) and np.isfinite(after):
            gain = gain_of(score, one, other)
            found.append(Comparison(kind, group.name, baseline.name, score, before, after, gain, len(shared)))
    return found


def bridge_gains(judged: Mapping[tuple[str, str], Readings]) -> list[tuple[str, str, str, float, Interval | None]]:
    """(image, dose, score, value, gain over the image error alone at that dose) for everything that was judged."""
    rows = []
    for (name, dose), readings in judged.items():
        patients = len(readings.patients)
        if patients < 2:
            continue
        base = judged.get(("error", dose))
        against = scores_of(base) if base is not None and name not in ("error", "full dose") else {}
        for score, statistic in scores_of(readings).items():
            found = influence([statistic], patients)
            gain = None
            if score in against:
                gain = gain_of(score, found, influence([against[score]], patients))
            rows.append((name, dose, score, float(found.values[0]), gain))
    return rows


def summary_lines(
    settings: ChestExperiment,
    groups: Mapping[str, Group],
    pairs: Sequence[Comparison],
    judged: Mapping[tuple[str, str], Readings],
    tests: Sequence[ShortcutRow] = (),
) -> list[str]:
    """What came out, a line each."""
    lines = []
    first = shown_first(groups)
    if first is not None:
        for score, aim in AIMS.items():
            if score in first.scores:
                found = first.interval(score)
                word = "reached" if found.mean >= aim else "not reached"
                ends = f" [{found.low:.2f}, {found.high:.2f}]" if math.isfinite(found.low) else ""
                lines.append(f"At full dose {AIMS_IN_WORDS[score]} {found.mean:.2f}{ends}; the aim of {aim:g} is {word}.")
    for kind in ("equal steps", "equal computing", "single task longer"):
        mine = [p for p in pairs if p.kind == kind and p.group in ("all", "all-computing")]
        apart = [p for p in mine if p.gain.separated]
        if mine:
            better = sum(p.gain.mean > 0 for p in apart)
            said = f"{len(apart)} of {len(mine)} differences in scores are separated from zero, {better} in favour of four"
            lines.append(
                f"Between four heads and each alone ({kind}), {said}; this is not corrected for the number of comparisons."
            )
    for name, dose, score, value, gain in bridge_gains(judged):
        if gain is not None and dose == f"{settings.bridge_dose:g}" and score in ("AP10 infection", "AUC infection"):
            at = f"At {float(dose):.1%} of the dose"
            lines.append(f"{at}, with “{name}” in the loss of the reconstruction, {score} is {value:.3f}, a gain of {gain}.")
    lines += shortcut_lines(tests)
    return lines or ["Nothing was read yet."]
