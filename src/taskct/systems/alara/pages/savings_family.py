"""How many savings a page judges: with enough rivals some look surpassed, so their p-values are corrected together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from taskct.evaluation.statistics import holm
from taskct.systems.alara.rivals.outcomes import Comparison

LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class SavingsFamily:
    """p-values of a learned dose against each rival of some comparisons after Holm's correction for `count` of them.

    Oracles are no rivals: they know what no scanner does.
    """

    adjusted: Mapping[tuple[Comparison, str], float]
    count: int

    @classmethod
    def of(cls, comparisons: Iterable[tuple[Comparison, str]]) -> SavingsFamily:
        """Of comparisons, each with the name of its learned strategy."""
        asked = [(c, learned, than) for c, learned in comparisons for than in rivals_of(c, learned)]
        adjusted = holm([c.saved(learned, than).p for c, learned, than in asked])
        found = {(c, than): float(p) for (c, _, than), p in zip(asked, adjusted, strict=True)}
        return cls(found, sum(math.isfinite(p) for p in found.values()))

    def p(self, comparison: Comparison, than: str) -> float:
        """The corrected p-value; NaN where there is none: an open interval, one patient, an oracle."""
        return self.adjusted.get((comparison, than), math.nan)

    def takes(self, comparison: Comparison, than: str) -> bool:
        """Whether the correction takes a difference that its own interval shows."""
        return self.p(comparison, than) >= LEVEL


def rivals_of(comparison: Comparison, learned: str) -> list[str]:
    """The strategies that a learned dose is judged against: not its own variants, not oracles; none where it fails."""
    names = [o.strategy for o in comparison.outcomes]
    return [n for n in names if not n.startswith((learned, "oracle"))] if learned in names else []
