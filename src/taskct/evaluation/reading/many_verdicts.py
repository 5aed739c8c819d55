"""Many verdicts of one experiment: with enough comparisons some look like gains, so their p-values are corrected together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import TypeVar

from taskct.evaluation.reading.task_verdict import AT_EQUAL_ALARMS, LEADING, Remark, TaskVerdict, worse_scores
from taskct.evaluation.statistics import holm

LEVEL = 0.05
Key = TypeVar("Key", bound=Hashable)


def correct_verdicts(verdicts: Mapping[Key, TaskVerdict]) -> dict[Key, TaskVerdict]:
    """The verdicts after Holm's correction over all their leading scores (LEADING) together.

    A confirmed gain whose corrected p-value is 0.05 or more is not confirmed any more. Harm is judged alike: it stays where
    one of the scores that are worse survives the correction, and is otherwise read worse, not confirmed.
    """
    places = [(key, name) for key, one in verdicts.items() for name in LEADING if name in one.numbers]
    adjusted = holm([verdicts[key].numbers[name].p for key, name in places])
    count = sum(math.isfinite(p) for p in adjusted)
    found: dict[Key, dict[str, float]] = {key: {} for key in verdicts}
    for (key, name), p in zip(places, adjusted, strict=True):
        found[key][name] = float(p)
    return {key: _corrected(one, found[key], count) for key, one in verdicts.items()}


def _corrected(one: TaskVerdict, adjusted: Mapping[str, float], count: int) -> TaskVerdict:
    sure = lambda name: adjusted.get(name, math.nan) < LEVEL
    outcome, worse = one.outcome, worse_scores(one.numbers)
    if outcome == "confirmed" and not sure("unseen"):
        outcome = "too many"
    elif outcome == "harm" and not any(map(sure, worse)):
        outcome = "worse"
    remarks = list(one.findings)
    parts = [
        f"p = {adjusted[name]:.2g} of {what} {one.numbers[name].mean:+.3g}"
        for name, what in (("unseen", "a mean difference of"), (AT_EQUAL_ALARMS, "lesions at one false alarm per image,"))
        if math.isfinite(adjusted.get(name, math.nan)) and (name == "unseen" or name in worse)
    ]
    if parts:
        words = f"Corrected for {count} comparisons (Holm): {'; '.join(parts)}."
        remarks.append(Remark("comparisons", words, outcome != one.outcome))
    return replace(one, outcome=outcome, findings=tuple(remarks), adjusted=dict(adjusted), comparisons=count)
