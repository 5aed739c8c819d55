"""Whether two sets of cases hold the same scans or patients: by series, by patient, by content, and by family of data sets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from taskct.core.errors import InputError, unknown_name
from taskct.core.names import plural
from taskct.core.provenance import fingerprint
from taskct.data.case import Case
from taskct.data.sets.public_sets import CATALOGUE

_MOST_NAMED = 3


@dataclass(frozen=True)
class SharedScan:
    """One scan or patient in both sets: names of the two cases, and by what they are the same."""

    first: str
    second: str
    by: str


def shared_scans(one: Iterable[Case], other: Iterable[Case]) -> list[SharedScan]:
    """Pairs of cases that are one scan (by series UID or content) or one patient (by name).

    LIDC-IDRI and LUNA16 have the series UIDs of the same scans, whatever their format.
    """
    by_mark: dict[tuple[str, str], str] = {}
    for case in one:
        for mark in _marks(case):
            by_mark.setdefault(mark, case.case_id)
    found = []
    for case in other:
        same = next((mark for mark in _marks(case) if mark in by_mark), None)
        if same is not None:
            found.append(SharedScan(by_mark[same], case.case_id, same[0]))
    return found


def refuse_shared_scans(training: Iterable[Case], test: Iterable[Case], *, sets: tuple[str, str] = ("", "")) -> None:
    """InputError when training and test cases share a scan or a patient.

    `sets` names the public set of each side where it is one (`taskct data list`). Two sets of the same patients that name them
    by other numbers, such as LIDC-IDRI and LoDoPaB-CT, are refused as a whole: nobody can tell which patients they share.
    "" stands for a set of your own; a name that is none of a public set is refused, since nothing would be compared by it.
    """
    known = [same_patients(name) if name else () for name in sets]
    pairs = shared_scans(training, test)
    if pairs:
        named = "; ".join(f"{p.first} and {p.second} (the same {p.by})" for p in pairs[:_MOST_NAMED])
        raise InputError(
            f"{plural(len(pairs), 'scan is', 'scans are')} in training and in test: {named}; leave them out of one of the two"
        )
    if all(sets) and sets[0] != sets[1] and sets[1] in known[0] and not _comparable(*sets):
        raise InputError(
            f"{sets[0]} and {sets[1]} are CT of the same patients under other numbers, so it cannot be told whom they share; "
            "train and test on one of the two, by its own split"
        )


def refuse_same_ct(cases: Iterable[Case]) -> None:
    """InputError when two cases that were read from files have the same values: a mean would count one CT as two patients.

    Parts of one case and other values on its samples are not the same CT; neither are two images of one value.
    """
    seen: dict[str, list[Case]] = {}
    for case in cases:
        mark = str(case.provenance.get("fingerprint") or "")
        for other in seen.get(mark, ()):
            if fingerprint(case.hu) == fingerprint(other.hu) and float(case.hu.min()) != float(case.hu.max()):
                first, second = (c.source_path or c.case_id for c in (other, case))
                same = "is given twice" if first == second else f"has the same values as {first}"
                raise InputError(f"{second}: {same}: one CT would count as two; leave one of them out")
        if mark:
            seen.setdefault(mark, []).append(case)


def same_patients(name: str) -> tuple[str, ...]:
    """Public sets that hold the patients of this one; InputError for a name that `taskct data list` does not have.

    >>> same_patients("luna16")
    ('lidc-idri', 'lodopab')
    """
    if name not in CATALOGUE:
        raise unknown_name("public set", name, CATALOGUE, InputError)
    return CATALOGUE[name].same_patients_as


def _comparable(one: str, other: str) -> bool:
    """Whether both name the scans by series UIDs."""
    return {one, other} <= {"lidc-idri", "luna16"}


def _marks(case: Case) -> list[tuple[str, str]]:
    about = case.provenance
    found = [
        ("series UID", str(about.get("series_uid") or "")),
        ("content", str(about.get("fingerprint") or "")),
        ("patient", case.patient_id if case.patient_id != case.case_id else ""),
    ]
    return [mark for mark in found if mark[1]]
