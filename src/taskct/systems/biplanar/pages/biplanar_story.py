"""What a bi-planar experiment has to tell, and its first lines in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import Table
from taskct.report.number_text import number, signed_interval
from taskct.systems.biplanar.pages.biplanar_pictures import ExampleSkull

ATLAS, SHUFFLED, SECOND = "mean atlas", "radiographs of another skull", "second family"
LOST = "last view lost"


class Lead(NamedTuple):
    """Paired differences of a network from the best row without one, by metric."""

    method: str
    baseline: str
    differences: Mapping[str, Interval]


class BlockGain(NamedTuple):
    """Two rows that differ in one block: paired differences with - without, by metric."""

    block: str
    with_it: str
    without: str
    differences: Mapping[str, Interval]


class RefinedPoses(NamedTuple):
    """A method with poses that were wrong by `error` degrees and mm: the conditions without and with refinement, what is left.

    `left` has root mean squares per axis: turn_deg and shift_mm before, turn_left_deg and shift_left_mm after.
    """

    method: str
    error: float
    wrong: str
    refined: str
    left: Mapping[str, float]


class Curve(NamedTuple):
    """PSNR3D in dB of the validation skulls after `steps` of a training."""

    steps: tuple[int, ...]
    psnr3d: tuple[float, ...]

    @property
    def last_gain_db(self) -> float:
        """What the last quarter of the training brought: its best score minus the best before; NaN for a short curve.

        >>> round(Curve((25, 50, 75, 100), (20.0, 23.0, 24.0, 24.1)).last_gain_db, 6)
        0.1
        """
        before = [v for s, v in zip(self.steps, self.psnr3d, strict=True) if s <= 0.75 * self.steps[-1]]
        after = self.psnr3d[len(before) :]
        return max(after) - max(before) if before and after else math.nan


@dataclass(frozen=True, eq=False)
class BiPlanarStory:
    """Everything that the page tells.

    table        rows of all methods under all conditions; those of a condition are called "METHOD, CONDITION"
    dose         of the main rows
    methods      in the main table, those without a network first
    best_plain   the row without a network of the highest PSNR3D
    facts        by row: whether it is the atlas, what was chosen, how its spread agrees with its error
    examples     skulls to look at
    blocks       pairs of rows that differ in one block
    spreads      by method: factor, ratio, shares within one and two spreads, and the reliability curve of its scaled spread
    refined      methods that refined wrong poses themselves
    curves       by training
    missing      steps of scores that are not done yet
    """

    table: Table
    dose: DoseLevel
    methods: Sequence[str]
    best_plain: str | None
    leads: Sequence[Lead]
    conditions: Sequence[str]
    facts: Mapping[str, Mapping[str, Any]]
    examples: Sequence[ExampleSkull]
    settings: Any
    blocks: Sequence[BlockGain] = ()
    spreads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refined: Sequence[RefinedPoses] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    missing: Sequence[str] = ()

    def mean(self, metric: str, method: str, condition: str = "", dose: DoseLevel | None = None) -> Interval | None:
        """The mean of a method under a condition, None where it was not measured."""
        key = metric, f"{method}, {condition}" if condition else method, dose or self.dose
        if key not in self._means:
            self._means[key] = self._measured(*key)
        return self._means[key]

    @property
    def lines(self) -> list[str]:
        """The verdict, one sentence or two a line; those to be careful about begin with "Careful:"."""
        found = [*self._leads(), *self._lost_leads(), *self._unequal(), *self._controls(), *self._second()]
        same = [name for name, about in self.facts.items() if about.get("equals_atlas") and name != ATLAS]
        if same:
            found.append(f"Careful: {', '.join(same)} say nothing beyond the mean atlas.")
        if any(lead.differences["psnr3d"].n_seeds == 1 for lead in self.leads):
            found.append(
                "Careful: each network was trained once; another training would move its figures by some tenths of a dB."
            )
        found.append(
            "Careful: all skulls are computed, of one family, which favours whatever learns from them: these figures rank "
            "methods at this size, and say nothing about children."
        )
        return found

    @cached_property
    def _means(self) -> dict[tuple[str, str, DoseLevel], Interval | None]:
        """What was asked for: an interval is found once, however many tables show it."""
        return {}

    def _measured(self, metric: str, name: str, dose: DoseLevel) -> Interval | None:
        there = metric in self.table.metrics and name in self.table.methods and self.table.select(metric, name, dose)
        return self.table.mean(metric, name, dose=dose) if there else None

    @property
    def _networks(self) -> list[Lead]:
        """The networks' own answers, without those after agreement; the one that leads most first.

        Of those whose interval reaches as far as the best mean, the one that the experiment names first takes its place: the
        best of many that cannot be told apart is so by luck.
        """
        names = {lead.method for lead in self.leads}
        own = [lead for lead in self.leads if not any(lead.method.startswith(name + " +") for name in names)]
        best = max((lead.differences["psnr3d"].mean for lead in own), default=0.0)
        first = next((lead for lead in own if lead.differences["psnr3d"].high >= best), None)
        return sorted(own, key=lambda lead: (lead is not first, -lead.differences["psnr3d"].mean))

    def _leads(self) -> list[str]:
        found = []
        for lead in self._networks:
            gain, dice = lead.differences["psnr3d"], lead.differences["bone_dice"]
            words = "ahead of" if gain.mean > 0 else "behind"
            start = "The network" if gain.separated else "Careful, not separated: the network"
            ends = sorted((gain.low, gain.high) if gain.mean > 0 else (-gain.low, -gain.high))
            found.append(
                f'{start} "{lead.method}" is {number(abs(gain.mean), "dB")} dB [{number(ends[0], "dB")}, '
                f"{number(ends[1], 'dB')}] {words} {lead.baseline}, the best method without a network, in PSNR3D; in the Dice "
                f"of bone {signed_interval(dice)}."
            )
        return found

    def _lost_leads(self) -> list[str]:
        """Where the lead of the best network falls below half of what it is: wrong poses and a lost view."""
        ahead = next((lead for lead in self._networks if lead.differences["psnr3d"].mean > 0), None)
        if ahead is None:
            return []
        gain, found = ahead.differences["psnr3d"].mean, []
        for condition in (name for name in self.conditions if name.startswith("poses off") or name == LOST):
            here, there = (self.mean("psnr3d", method, condition) for method in (ahead.method, ahead.baseline))
            if here is not None and there is not None and here.mean - there.mean < gain / 2:
                left, both = here.mean - there.mean, f"{number(here.mean, 'dB')} and {number(there.mean, 'dB')}"
                found.append(f"with {'the ' if condition == LOST else ''}{condition} to {number(left, 'dB')} dB ({both})")
        if not found:
            return []
        return [f'Careful: the lead of "{ahead.method}" falls {", ".join(found)}; the methods were not told of it.']

    def _unequal(self) -> list[str]:
        """Networks of the package may have learnt from more skulls than the rows beside them."""
        return [
            f"Careful: {name} learnt from {about['learnt_from']} skulls, the methods without a network from "
            f"{self.settings.train_skulls} here, which flatters it; the full experiment gives all of them the same skulls."
            for name, about in self.facts.items()
            if about.get("learnt_from", 0) > self.settings.train_skulls
        ]

    def _controls(self) -> list[str]:
        atlas = self.mean("psnr3d", ATLAS)
        if atlas is None:
            return []
        own = {m: self.mean("psnr3d", m) for m in self.methods if m != ATLAS}
        pairs = [(m, mine, other) for m, mine in own.items() if mine and (other := self.mean("psnr3d", m, SHUFFLED))]
        above = [m for m, _, other in pairs if other.mean > atlas.mean]
        blind = [m for m, mine, other in pairs if other.mean >= mine.mean]
        start = "given the radiographs of another skull"
        found = []
        if above:
            found.append(f"Careful: {start}, {', '.join(above)} still score above the mean atlas.")
        if blind:
            found.append(
                f"Careful: {start}, {', '.join(blind)} score no lower than with its own: they do not use what they see."
            )
        if pairs and not found:
            words = "every method but the mean atlas scores lower than with its own, and below the atlas"
            found.append(f"{start.capitalize()}, {words}.")
        return found

    def _second(self) -> list[str]:
        if self.best_plain is None:
            return []
        found = []
        there = self.mean("psnr3d", self.best_plain, SECOND)
        for lead in self._networks:
            here = self.mean("psnr3d", lead.method, SECOND)
            if here is not None and there is not None and lead.differences["psnr3d"].mean > 0:
                found.append(
                    f"On the second family of skulls, which is drawn by other rules, {lead.method} scores "
                    f"{number(here.mean, 'dB')} dB, {lead.baseline} "
                    f"{number(there.mean, 'dB')} dB: a lead of {number(here.mean - there.mean, 'dB')} dB, on the first family "
                    f"{number(lead.differences['psnr3d'].mean, 'dB')} dB."
                )
        return found
