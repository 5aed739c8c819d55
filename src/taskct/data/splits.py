"""Splits by patient: no patient in two parts, or the test score is worth nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from taskct.core.errors import InputError
from taskct.core.seeds import generator
from taskct.data.case import Case

Item = TypeVar("Item", Case, str)


@dataclass(frozen=True)
class Split(Generic[Item]):
    """Three parts that share no patient."""

    train: tuple[Item, ...]
    validation: tuple[Item, ...]
    test: tuple[Item, ...]

    def __post_init__(self) -> None:
        check_split(self.train, self.validation, self.test)

    def __iter__(self) -> Iterator[tuple[Item, ...]]:
        return iter((self.train, self.validation, self.test))


def split_by_patient(
    items: Sequence[Item], *, fractions: tuple[float, float, float] = (0.7, 0.1, 0.2), seed: int = 0
) -> Split[Item]:
    """Split cases, or patient ids, into train, validation and test; all cases of a patient go to one part.

    `fractions` are of patients, not of cases. A part with a fraction above 0 gets at least one patient. The same ids and
    seed give the same split whatever the order of `items`; within a part their order is kept. Ids may repeat (one per
    slice).

    >>> split_by_patient(["a", "b", "c", "d", "a"], fractions=(0.5, 0.25, 0.25), seed=1)
    Split(train=('b', 'c'), validation=('a', 'a'), test=('d',))
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise InputError(f"split_by_patient expects three fractions of 0 or more that sum to 1, got {tuple(fractions)}")
    patients = sorted({_patient(item) for item in items})
    wanted = sum(f > 0 for f in fractions)
    if len(patients) < wanted:
        raise InputError(
            f"split_by_patient got {len(patients)} patients ({', '.join(patients[:5]) or 'none'}) for {wanted} parts; "
            "each part needs one: give more patients, or set a fraction to 0"
        )
    order = torch.randperm(len(patients), generator=generator(seed, "split_by_patient")).tolist()
    part_of: dict[str, int] = {}
    for part, count in enumerate(_counts(len(patients), fractions)):
        for number in order[:count]:
            part_of[patients[number]] = part
        order = order[count:]
    parts: tuple[list[Item], list[Item], list[Item]] = ([], [], [])
    for item in items:
        parts[part_of[_patient(item)]].append(item)
    return Split(*(tuple(p) for p in parts))


def check_split(*parts: Iterable[Case | str], names: Sequence[str] = ("train", "validation", "test")) -> None:
    """Raise InputError when a patient occurs in more than one of the parts (lists of cases or of patient ids)."""
    seen: dict[str, int] = {}
    leaks: list[str] = []
    for number, part in enumerate(parts):
        for patient in sorted({_patient(item) for item in part}):
            if patient in seen:
                first, second = (names[k] if k < len(names) else f"part {k}" for k in (seen[patient], number))
                leaks.append(f"{patient!r} in {first} and {second}")
            seen.setdefault(patient, number)
    if leaks:
        more = f" and {len(leaks) - 3} more" if len(leaks) > 3 else ""
        raise InputError(f"a patient may be in one part only, found {'; '.join(leaks[:3])}{more}; split by patient instead")


def _patient(item: Case | str) -> str:
    if isinstance(item, Case):
        return item.patient_id
    if isinstance(item, str):
        return item
    raise InputError(f"expected cases or patient ids as text, got {type(item).__name__}")


def _counts(total: int, fractions: tuple[float, float, float]) -> list[int]:
    """Patients per part: rounded, at least one where wanted, taken back from the largest part."""
    counts = [max(round(total * f), 1 if f > 0 else 0) for f in fractions]
    while sum(counts) != total:
        largest = max(range(3), key=lambda k: (counts[k], fractions[k]))
        counts[largest] += 1 if sum(counts) < total else -1
    return counts
