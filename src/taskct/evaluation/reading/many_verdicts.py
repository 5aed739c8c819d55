"""Many verdicts of one experiment: with enough comparisons some look like gains, so their p-values are corrected together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import TypeVar

from taskct.evaluation.reading.task_verdict import LEADING, Remark, TaskVerdict
from taskct.evaluation.statistics import holm

LEVEL = 0.05
Key = TypeVar("Key", bound=Hashable)


def correct_verdicts(verdicts: Mapping[Key, TaskVerdict]) -> dict[Key, TaskVerdict]:
    """The verdicts after Holm's correction over all their leading scores (LEADING) together.

    A confirmed gain whose corrected p-value is 0.05 or more is not confirmed any more. A verdict of harm is kept whatever the
    correction, since a larger number of comparisons does not make a method safer; its remark states the corrected p-value.
    """
    places = [(key, name) for key, one in verdicts.items() for name in LEADING if name in one.numbers]
    adjusted = holm([verdicts[key].numbers[name].p for key, name in places])
    count = sum(math.isfinite(p) for p in adjusted)
    found: dict[Key, dict[str, float]] = {key: {} for key in verdicts}
    for (key, name), p in zip(places, adjusted, strict=True):
        found[key][name] = float(p)
    return {key: _corrected(one, found[key], count) for key, one in verdicts.items()}


def _corrected(one: TaskVerdict, adjusted: Mapping[str, float], count: int) -> TaskVerdict:
    p = adjusted.get("unseen", math.nan)
    outcome = "too many" if one.outcome == "confirmed" and not p < LEVEL else one.outcome
    remarks = list(one.findings)
    if math.isfinite(p):
        kept = one.outcome in ("confirmed", "harm") and not p < LEVEL
        remarks.append(Remark("comparisons", f"Corrected for {count} comparisons (Holm): p = {p:.2g} of {_first(one)}.", kept))
    return replace(one, outcome=outcome, findings=tuple(remarks), adjusted=dict(adjusted), comparisons=count)


def _first(one: TaskVerdict) -> str:
    return f"a mean difference of {one.numbers['unseen'].mean:+.3g}"
