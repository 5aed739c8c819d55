"""Public and own chest CT with marks: one door for each layout, cases one at a time, folds, and what was left out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from taskct.core.errors import InputError
from taskct.core.files import existing_path
from taskct.data.case import Case
from taskct.data.images import ImageSet
from taskct.data.open import cases_of_places
from taskct.data.sets.case_place import CasePlace, FoundPlaces
from taskct.data.sets.covid19_ct_seg import covid19_places
from taskct.data.sets.label_files import SkippedCaseWarning
from taskct.data.sets.lidc import lidc_places
from taskct.data.sets.luna16 import luna16_places
from taskct.data.sets.msd import msd_places
from taskct.data.sets.plain_marks import plain_places
from taskct.data.slice_recipe import SliceRecipe, images_of_cases

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class MarkedSet:
    """The cases of a set, none of which is read yet.

    `left_out` has a sentence for every file that was not taken as a case, and for every listed case that is missing.
    """

    folder: Path
    places: tuple[CasePlace, ...]
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    @property
    def folds(self) -> tuple[int, ...]:
        """The numbers of the parts that the owners divided the set into, rising."""
        return tuple(sorted({p.fold for p in self.places if p.fold is not None}))

    def fold(self, *numbers: int) -> MarkedSet:
        """The cases of some of those parts. InputError for a part that is not there."""
        self._check_parts(numbers)
        return replace(self, places=tuple(p for p in self.places if p.fold in numbers), left_out=())

    def without_fold(self, *numbers: int) -> MarkedSet:
        """All others, for training beside a fold that is held out. InputError for a part that is not there."""
        self._check_parts(numbers)
        return self.fold(*(n for n in self.folds if n not in numbers))

    def _check_parts(self, numbers: tuple[int, ...]) -> None:
        if not numbers or not set(numbers) <= set(self.folds):
            raise InputError(f"{self.folder}: has the parts {self.folds}, asked for {numbers}")

    def cases(self, *, skip_bad: bool = False) -> Iterator[Case]:
        """Each case with its marks, one at a time.

        A CT that comes twice under two patients' names is a case that cannot be read. Those are named together in one error
        at the end; with `skip_bad` each is left out with a warning.
        """
        seen: dict[str, tuple[str, str]] = {}
        for case in cases_of_places(self.places, name=str(self.folder), skip_bad=skip_bad):
            if case is None:
                continue
            mark, here = str(case.provenance.get("fingerprint", "")), (case.patient_id, str(case.source_path))
            first = seen.setdefault(mark, here) if mark else here
            if first[0] != here[0]:
                words = (
                    f"{here[1]}: the same CT as {first[1]}, but of another patient by name ({here[0]}, {first[0]}): one "
                    "patient goes by two names; keep one of the two"
                )
                if not skip_bad:
                    raise InputError(words)
                warnings.warn(f"left out: {words}", SkippedCaseWarning, stacklevel=2)
                continue
            yield case

    def images(self, recipe: SliceRecipe, *, skip_bad: bool = False) -> ImageSet:
        """The slices of all cases as an image set with marks, one case in memory at a time beside them."""
        return images_of_cases(self.cases(skip_bad=skip_bad), recipe, source=str(self.folder))


def open_luna16(folder: PathLike, *, outside: str = "refuse") -> MarkedSet:
    """LUNA16, or some of its subsets, which become `folds` 0 to 9. `outside` "skip" leaves out nodules outside of a CT."""
    return _opened(
        folder,
        luna16_places(_folder(folder), outside=outside),
        "LUNA16 (subsetN/*.mhd and annotations.csv with columns seriesuid, coordX, coordY, coordZ, diameter_mm)",
    )


def open_lidc(folder: PathLike, *, least_readers: int = 3) -> MarkedSet:
    """LIDC-IDRI, or some of its patients; a nodule counts when `least_readers` of the four marked it, else it is ignored."""
    return _opened(
        folder, lidc_places(_folder(folder), least_readers=least_readers), "LIDC-IDRI (DICOM series with the readers' XML)"
    )


def open_msd_lung(folder: PathLike) -> MarkedSet:
    """Task06 of the Medical Segmentation Decathlon: cancer, and nothing else is labelled."""
    found = msd_places(_folder(folder))
    if found.places and found.places[0].marks is None:
        raise InputError(f"{folder}: a task of the Medical Segmentation Decathlon, but not Task06 (lung); use open_cases")
    return _opened(folder, found, "Task06_Lung (imagesTr, labelsTr, dataset.json)")


def open_covid19(folder: PathLike, *, not_hu: str = "refuse") -> MarkedSet:
    """COVID-19-CT-Seg. Ten of its CT are not in HU: refused each by name, or put back roughly with `not_hu` "rescale"."""
    return _opened(
        folder,
        covid19_places(_folder(folder), not_hu=not_hu),
        "COVID-19-CT-Seg (COVID-19-CT-Seg_20cases and Lung_and_Infection_Mask)",
    )


def open_marked(
    folder: PathLike,
    *,
    masks: Mapping[int, str] | None = None,
    boxes: PathLike | None = None,
    kinds: Collection[str] = (),
    other_labels: Collection[int] = (),
    unlisted: str = "unknown",
    space: str = "LPS",
    outside: str = "refuse",
) -> MarkedSet:
    """Your own CT with label maps, a table of boxes, or both (see `plain_places`).

    `open_marked("ct/", masks={1: "nodule"})`, or `open_marked("ct/", boxes="boxes.csv", kinds=["nodule"])`.
    """
    found = plain_places(
        _folder(folder),
        masks=masks,
        boxes=None if boxes is None else existing_path(boxes, what="table of boxes"),
        kinds=kinds,
        other_labels=other_labels,
        unlisted=unlisted,
        space=space,
        outside=outside,
    )
    return _opened(folder, found, "CT with masks or boxes")


def _folder(folder: PathLike) -> Path:
    found = existing_path(folder, what="data set")
    if not found.is_dir():
        raise InputError(f"{found}: expected the folder of a data set, got a file")
    return found


def _opened(folder: PathLike, found: FoundPlaces, layout: str) -> MarkedSet:
    if not found.places:
        raise InputError(f"{folder}: not laid out as {layout}")
    return MarkedSet(Path(folder), found.places, found.left_out)
