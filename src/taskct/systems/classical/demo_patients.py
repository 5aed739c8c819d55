"""The patients of the classical demo: built-in ones, or one CT of the user; some slices are scored, others tune."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from taskct.core.errors import InputError
from taskct.core.names import plural
from taskct.data.case import Case
from taskct.data.open import open_case
from taskct.data.padding import refuse_label_map
from taskct.phantoms import phantom_case

_SCORED_AT = (0.4, 0.7)  # where along the patient slices are scored, as a part of its length
_TUNING_AT = (0.15,)


@dataclass(frozen=True)
class DemoPatients:
    """Cases and slices by their use. `shown` is the case of the low-dose volume, `source` its DICOM series, if it is one."""

    scored: list[Case]
    scored_slices: dict[str, list[int]]
    tuning: list[Case]
    tuning_slices: dict[str, list[int]]
    shown: Case
    source: Path | None = None

    def words(self) -> str:
        """Who is scored and who tunes."""
        scored = "; ".join(f"{c.case_id}, slices {_listed(self.scored_slices[c.case_id])}" for c in self.scored)
        tuning = "; ".join(f"{c.case_id}, slice {_listed(self.tuning_slices[c.case_id])}" for c in self.tuning)
        return f"scored: {scored}\ntuning: {tuning}"


def phantom_patients(seed: int, *, shape: tuple[int, int, int] = (8, 256, 256)) -> DemoPatients:
    """Three built-in abdomens, 358 mm across: two are scored, the third one tunes."""
    spacing_mm = (5.0, 358.4 / shape[1], 358.4 / shape[2])
    first, second, third = (phantom_case("abdomen", seed=3 * seed + k, shape=shape, spacing_mm=spacing_mm) for k in range(3))
    middle = len(first.hu) // 2
    return DemoPatients(
        scored=[first, second],
        scored_slices={c.case_id: [middle - 2, middle + 1] for c in (first, second)},
        tuning=[third],
        tuning_slices={third.case_id: [middle]},
        shown=first,
    )


def patients_of_ct(
    ct: Path,
    *,
    labels: Path | None = None,
    label_names: Mapping[int, str] | None = None,
    series: str | None = None,
    untilt: bool = False,
    slices: slice | int | None = None,
    every: int = 0,
) -> DemoPatients:
    """One CT, or `slices` of it: two slices are scored and another one tunes, well apart.

    `every` takes at most so many slices at an even distance (0: all). UnsupportedDataError for a label map in its place.
    """
    case = open_case(ct, labels=labels, label_names=label_names or None, series_uid=series, untilt=untilt)
    refuse_label_map(ct, case.hu.numpy())
    whole = len(case.hu)
    case = _excerpt(case, slices, every)
    count = len(case.hu)
    if count < 3:
        here = f"has {plural(count, 'slice')}" if count == whole else f"{count} of its {whole} slices would be used"
        raise InputError(f"{ct}: {here}; the demo needs 3 (two are scored, another one tunes TV)")
    places = [min(count - 1, int(count * at)) for at in (*_SCORED_AT, *_TUNING_AT)]
    first, second, third = places if len(set(places)) == 3 else (0, 1, 2)
    return DemoPatients(
        scored=[case],
        scored_slices={case.case_id: [first, second]},
        tuning=[case],
        tuning_slices={case.case_id: [third]},
        shown=case,
        source=ct if case.provenance.get("format") == "DICOM" else None,
    )


def _excerpt(case: Case, slices: slice | int | None, every: int) -> Case:
    """Some slices of a case, with a note of their numbers in the whole one: from here on they are counted from 0."""
    whole = len(case.hu)
    taken = range(whole)
    if slices is not None:
        case, taken = case.take(slices), taken[slices if isinstance(slices, slice) else slice(slices, (slices + 1) or None)]
    if every and len(taken) > every:
        step = slice(None, None, math.ceil(len(taken) / every))
        case, taken = case.take(step), taken[step]
    if len(taken) == whole:
        return case
    apart = "" if taken.step == 1 else f", {taken.step} apart"
    note = f"slices {taken[0]} to {taken[-1]} of the CT{apart}, are counted from 0 here"
    return replace(case, provenance={**case.provenance, "notes": [*case.provenance.get("notes", []), note]})


def organ_of(case: Case) -> tuple[str, int] | None:
    """Name and number of the label to judge by: the liver if one is called so, else the largest; None without labels."""
    if case.labels is None:
        return None
    numbers, sizes = case.labels[case.labels > 0].unique(return_counts=True)
    if len(numbers) == 0:
        return None
    for number in numbers.tolist():
        if case.label_names.get(number, "").lower() == "liver":
            return "liver", number
    largest = int(numbers[sizes.argmax()])
    return case.label_names.get(largest, f"label {largest}, the largest"), largest


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
