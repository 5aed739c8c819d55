"""Labels of any data set as the classes that readers tell apart: by name or number, 0 for everything else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from taskct.core.class_names import LIVER_CLASSES
from taskct.core.errors import InputError
from taskct.data.case import Case


def with_classes(case: Case, classes: Mapping[str, Sequence[str | int]]) -> Case:
    """The case with labels 1, 2, ... for the classes in their order, each made of labels given by name or number.

    Names match whatever their capitals, `_` or `-` ("liver_tumor" is "Liver tumor"). A class that the case has no label of
    stays empty: a healthy patient has no tumour. The number of a label that has another name in the case is not guessed at.

    Raises InputError for a case without labels, one that has none of the classes, and one label asked for by two classes.

    >>> hu = torch.zeros(1, 1, 3)
    >>> case = Case(hu, (1, 1, 1), labels=torch.tensor([[[0, 5, 7]]]), label_names={5: "liver", 7: "spleen"})
    >>> with_classes(case, {"spleen": ["spleen"], "liver": [5]}).labels.tolist()
    [[[0, 2, 1]]]
    """
    if case.labels is None:
        raise InputError(f"case {case.case_id} has no labels, expected some for {', '.join(classes)}")
    by_name = {_plain(name): number for number, name in case.label_names.items() if number != 0}
    there = {int(n) for n in torch.unique(case.labels)} | set(case.label_names)
    owner: dict[int, str] = {}
    labels = torch.zeros_like(case.labels, dtype=torch.uint8)
    for index, (name, wanted) in enumerate(classes.items(), start=1):
        for one in wanted:
            number = one if isinstance(one, int) else by_name.get(_plain(one))
            if number is None or number not in there:
                continue
            if owner.get(number, name) != name:
                raise InputError(f"case {case.case_id}: label {number} is asked for as {owner[number]!r} and as {name!r}")
            owner[number] = name
            labels[case.labels == number] = index
    if not owner:
        named = ", ".join(f"{k} {v}" for k, v in list(case.label_names.items())[:12]) or f"numbers {sorted(there)[:12]}"
        raise InputError(
            f"case {case.case_id}: none of its labels is {' or '.join(classes)}; it has {named}; "
            "say which number means what: with_classes(case, {'liver': [1], ...})"
        )
    return replace(case, labels=labels, label_names=dict(enumerate(classes, start=1)))


def liver_classes(case: Case) -> Case:
    """The case with the built-in cohort's labels, 1 liver and 2 tumour, from those of LiTS, MSD, CHAOS or TotalSegmentator."""
    return with_classes(case, LIVER_CLASSES)


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().lower()
