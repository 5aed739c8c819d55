"""Where one case lies, with what labels it and what marks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from taskct.core.errors import DataError
from taskct.data.case import Case
from taskct.data.naming import is_generic


class MarkSource(Protocol):
    """Marks of a case in the form of one data set. `files` are those that the marks are read from."""

    @property
    def files(self) -> tuple[Path, ...]:
        """For hashes of what a case was made from."""

    @property
    def without_labels(self) -> MarkSource | None:
        """What is left where the label map of the set is replaced by another one."""

    def add(self, case: Case) -> Case:
        """The case with its marks, and with notes on what was odd about them.

        Raises GeometryError for marks that lie elsewhere, UnsupportedDataError for a CT that cannot be used.
        """


@dataclass(frozen=True)
class CasePlace:
    """Where one case lies: an image file, a folder or files of a DICOM series, and what labels and marks it.

    `notes` say what lies beside it without being read. `other_form` is a volume in the folder of a series, or the other
    way round: perhaps the same CT, so neither is taken unasked. `patient_id` is that of a set which names patients elsewhere
    than in its images, `fold` the part of a set that its owners divided. Labels that `may_be_empty` mark lesions, which not
    every patient has.
    """

    image: Path | tuple[Path, ...]
    case_id: str
    labels: Path | None = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    series_uid: str | None = None
    notes: tuple[str, ...] = ()
    other_form: Path | None = None
    error: DataError | None = None
    marks: MarkSource | None = None
    patient_id: str = ""
    fold: int | None = None
    may_be_empty: bool = False

    @property
    def name(self) -> Path:
        """One path for messages."""
        return self.image if isinstance(self.image, Path) else self.image[0].parent

    def with_labels(self, labels: Path) -> CasePlace:
        """The case with a label map of the caller's: the names and marks of the set's own map are not its."""
        marks = None if self.marks is None else self.marks.without_labels
        return replace(self, labels=labels, label_names={}, may_be_empty=False, marks=marks)


@dataclass(frozen=True)
class FoundPlaces:
    """The cases of a set, and a sentence on each thing that was left out."""

    places: tuple[CasePlace, ...] = ()
    left_out: tuple[str, ...] = ()


def told_apart(places: Sequence[CasePlace]) -> list[CasePlace]:
    """The places, those of one generic name in different folders with as much of their folders in front as tells them apart.

    A patient without a name in the images is called as the case, so two patients in `a/ct.nii.gz` and `b/ct.nii.gz` stay two.
    Other names stay as they are: `venous/p7.nii.gz` and `arterial/p7.nii.gz` may be one patient.
    """
    folders = {name: {p.name.resolve().parent for p in places if p.case_id == name} for name in {p.case_id for p in places}}
    shown = {
        (name, folder): prefix
        for name, found in folders.items()
        if len(found) > 1 and is_generic(name)
        for folder, prefix in _shortest(found).items()
    }
    return [
        replace(place, case_id=f"{shown[key]}/{place.case_id}") if key in shown else place
        for place in places
        for key in ((place.case_id, place.name.resolve().parent),)
    ]


def _shortest(folders: set[Path]) -> dict[Path, str]:
    """As many last parts of each folder as make them differ."""
    for depth in range(1, 1 + max(len(folder.parts) for folder in folders)):
        ends = {folder: "/".join(folder.parts[-depth:]) for folder in folders}
        if max(Counter(ends.values()).values()) == 1:
            break
    return ends
