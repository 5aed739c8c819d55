"""Patients of the experiment from a folder of CT with liver and tumour labels, such as LiTS or MSD Task03, split by volume."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.data.case import Case
from taskct.data.classes import liver_classes
from taskct.data.images import ImageSet
from taskct.data.leaks import content_key, refuse_leaks
from taskct.data.open import case_places, open_place
from taskct.data.sets.case_place import CasePlace
from taskct.data.slice_recipe import SliceRecipe, images_of_cases
from taskct.data.splits import split_by_patient
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive

TUMOUR = 2
_LIVER_HU = (-100.0, 400.0)  # fatty without contrast medium, and much contrast medium
_MOST_NAMED = 5


def real_parts(
    settings: TaskAdaptive, *, progress: bool | None = False, heard: Callable[[str], None] = lambda note: None
) -> dict[str, ImageSet]:
    """The images of each part, {"readers": ..., "train": ..., "validation": ..., "test": ...}; no volume is in two parts.

    Slices that show liver or tumour: `slices` of each volume, evenly, and all of them of the test volumes. `heard` gets what
    was left out, and what is odd about a volume. Raises InputError for a folder without labelled CT, a volume whose labels
    hold no liver or a number without a name, parts without any tumour, and a volume that is there twice, in two parts or in
    one, whatever it is called and whatever its header says (`content_key`).
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        places = case_places(settings.data)
    for one in caught:
        heard(str(one.message))
        warnings.warn(one.message, stacklevel=2)
    labelled = [place for place in places if place.labels is not None]
    if not labelled:
        raise InputError(
            f"{settings.data}: holds no CT with labels of liver and tumour; give the folder of LiTS (volume-N, "
            "segmentation-N) or of MSD Task03_Liver (imagesTr, labelsTr)"
        )
    if len(labelled) < len(places):
        names = [place.case_id for place in places if place.labels is None]
        heard(f"{len(names)} of {len(places)} volumes have no labels and were left out: {_listed(names)}")
    parts = split_places(labelled, settings)
    seen: dict[str, CasePlace] = {}
    recipe = SliceRecipe(shape=(settings.size, settings.size), pixel_mm=settings.pixel_mm[0], labelled_only=True)  # type: ignore[index]
    found: dict[str, ImageSet] = {}
    for part, places in parts.items():
        own = recipe if part == "test" else replace(recipe, slices=settings.slices)
        reading = track(places, f"reading {part}", total=len(places), progress=progress)
        cases = (_opened(place, seen, heard) for place in reading)
        found[part] = images_of_cases(cases, own, source=settings.data)
        _refuse_without_tumour(found[part], part, settings.data)
    for learnt in (p for p in found if p not in ("validation", "test")):
        refuse_leaks(found[learnt], found["validation"], found["test"])
    refuse_leaks(found["readers"], None, found["train"])
    return found


def split_places(places: Sequence[CasePlace], settings: TaskAdaptive) -> dict[str, list[CasePlace]]:
    """Volumes by part, drawn by patient: shares of `data_split` for readers, reconstructions, validation and test.

    The same names and seed give the same split whatever else lies in the folder or its order.
    """
    owner = {_patient(place): place for place in places}
    if len(owner) < len(places):
        raise InputError(f"{settings.data}: {len(places)} volumes have {len(owner)} names; a split by volume needs one each")
    readers, train, validation, test = settings.data_split
    learnt = readers + train
    first = split_by_patient(sorted(owner), fractions=(learnt, validation, test), seed=settings.seed)
    second = split_by_patient(list(first.train), fractions=(readers / learnt, train / learnt, 0.0), seed=settings.seed + 1)
    named = {"readers": second.train, "train": second.validation, "validation": first.validation, "test": first.test}
    return {part: [owner[name] for name in names] for part, names in named.items()}


def _patient(place: CasePlace) -> str:
    return place.patient_id or place.case_id


def _opened(place: CasePlace, seen: dict[str, CasePlace], heard: Callable[[str], None]) -> Case:
    case = open_place(place)
    key = content_key(case.hu)
    twin = seen.setdefault(key, place) if key else place
    if twin is not place:
        raise InputError(
            f"{place.name}: has the same pixels as {twin.name}, whatever their headers say: one patient goes by two names, "
            "and would be learnt from and judged on, or counted twice; leave one of them out"
        )
    for note in case.provenance.get("notes", []):
        heard(f"{case.case_id}: {note}")
    try:
        found = liver_classes(case)
    except InputError as error:
        raise InputError(
            f"{place.name}: its labels {place.labels} have no name that is liver or tumour; those of LiTS are known by "
            f"number, those of MSD by the dataset.json beside imagesTr ({error})"
        ) from None
    if found.labels is None or not bool((found.labels > 0).any()):
        raise InputError(f"{place.name}: its labels {place.labels} hold neither liver nor tumour; leave this volume out")
    _refuse_unnamed(case, place)
    _refuse_no_liver(found, place)
    assert case.labels is not None
    for number in sorted({int(n) for n in torch.unique(case.labels[found.labels == 0])} - {0}):
        heard(f"label {number}, {case.label_names.get(number, '')}, counts as background, wherever it lies")
    return found


def _refuse_unnamed(case: Case, place: CasePlace) -> None:
    """A number without a meaning would count as background, though it may be the tumour of another coding."""
    if case.labels is None or not case.label_names:
        return
    unnamed = sorted({int(n) for n in torch.unique(case.labels)} - set(case.label_names) - {0})
    if unnamed:
        known = ", ".join(f"{number} {name}" for number, name in sorted(case.label_names.items()) if number)
        raise InputError(
            f"{place.name}: its labels {place.labels} hold {', '.join(map(str, unnamed[:_MOST_NAMED]))}, and only {known} are "
            "known there; it would count as background though it may be liver or tumour; number these samples anew (0 for "
            "what is neither; in MSD, name the number in dataset.json), or leave this volume out"
        )


def _refuse_no_liver(case: Case, place: CasePlace) -> None:
    """What is labelled has the HU of no liver: values with an offset, or labels that lie elsewhere."""
    assert case.labels is not None
    middle = float(case.hu[case.labels > 0].median())
    if not _LIVER_HU[0] <= middle <= _LIVER_HU[1]:
        raise InputError(
            f"{place.name}: what its labels {place.labels} call liver and tumour has {middle:.0f} HU (median), and a liver "
            f"has {_LIVER_HU[0]:g} to {_LIVER_HU[1]:g}: its values are not HU, perhaps without their offset of -1024, or the "
            "labels lie elsewhere; mend the file, or leave this volume out"
        )


def _refuse_without_tumour(images: ImageSet, part: str, folder: str) -> None:
    if TUMOUR not in images.label_values():
        patients = list(dict.fromkeys(images.patient_ids))
        raise InputError(
            f"{folder}: no volume of the part {part!r} has a label of tumour ({_listed(patients)}), so nothing can be learnt "
            "or scored there; give labels of tumours, more volumes, or another seed"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")


def tumour_counts(images: Mapping[str, ImageSet]) -> dict[str, tuple[int, int]]:
    """Volumes of each part, and how many of them show a tumour in their slices."""
    found = {}
    for part, one in images.items():
        assert one.labels is not None
        ill = {p for p, labels in zip(one.patient_ids, one.labels, strict=True) if bool((labels == TUMOUR).any())}
        found[part] = (len(set(one.patient_ids)), len(ill))
    return found
