"""All kinds of image sets, each of the same few patients where it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from taskct.data.case import Case
from taskct.data.images import ImageSet
from taskct.data.prepared_store import prepare_store
from taskct.data.sets.lodopab import LodopabFiles, write_lodopab
from taskct.phantoms.cohort import Cohort

COHORT = Cohort("abdomen", {"train": 3}, shape=(24, 32), slices_per_patient=3)


def in_memory(folder: Path) -> ImageSet:
    """Two scans of one patient and one of another, with label maps and targets that are known in part."""
    mu = torch.rand((7, 1, 24, 32), generator=torch.Generator().manual_seed(3)) * 0.02
    labels = (mu[:, 0] > 0.01).to(torch.uint8)
    maps = [None if k == 4 else labels[k] for k in range(7)]
    return ImageSet(
        mu,
        ("anna",) * 5 + ("ben",) * 2,
        maps,
        [f"s{k}" for k in range(7)],
        case_ids=("anna-1",) * 3 + ("anna-2",) * 2 + ("ben-1",) * 2,
        targets={
            "age": [61, 61, 61, 62, 62, None, None],
            "boxes": [torch.zeros(k, 4) if k < 5 else None for k in range(7)],
        },
        spacing_mm=(1.5, 1.0),
        label_names={1: "dense"},
    )


def part_of_memory(folder: Path) -> ImageSet:
    """Some images of a larger set, out of order."""
    return in_memory(folder)[[5, 6, 0, 1, 4, 3]]


def cohort_in_memory(folder: Path) -> ImageSet:
    """The built-in patients, painted once."""
    return COHORT.images("train", progress=False)


def cohort_painted(folder: Path) -> ImageSet:
    """The built-in patients, painted whenever they are asked for."""
    return COHORT.images("train", in_memory=False)


def part_of_cohort(folder: Path) -> ImageSet:
    """Some of them."""
    return cohort_painted(folder)[2:8]


def lodopab_files(folder: Path) -> ImageSet:
    """LoDoPaB-CT in two files, as published: slices of two patients in random order, without labels."""
    mu = torch.rand((3, 1, 362, 362), generator=torch.Generator().manual_seed(5)) * 0.02
    p = torch.zeros((1, 1000, 513))
    write_lodopab(folder, "train", [(p, one) for one in mu], per_file=2, patient_ids=[7, 9, 7])
    return LodopabFiles(folder, "train").images()


def prepared_store(folder: Path) -> ImageSet:
    """A store of two labelled cases and one without labels, of two patients."""
    made = COHORT.patient(0).case, COHORT.patient(1).case, COHORT.patient(2).case
    cases = [made[0], replace(made[1], labels=None), replace(made[2], patient_id=made[0].patient_id)]
    return prepare_store(cases, folder / "store", targets=age_of, progress=False)


def part_of_store(folder: Path) -> ImageSet:
    """Some of its images, out of order."""
    return prepared_store(folder)[[8, 1, 0, 7, 5]]


def age_of(case: Case, numbers: Sequence[int]) -> dict[str, list[int | None]]:
    """A target that is not known of one case."""
    return {"age": [None if case.labels is None else 40 + n for n in numbers]}


KINDS: dict[str, Callable[[Path], ImageSet]] = {
    "in memory": in_memory,
    "part of a set in memory": part_of_memory,
    "cohort in memory": cohort_in_memory,
    "cohort, painted when asked": cohort_painted,
    "part of a cohort": part_of_cohort,
    "prepared store": prepared_store,
    "part of a store": part_of_store,
    "files of LoDoPaB-CT": lodopab_files,
}
