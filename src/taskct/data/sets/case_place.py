"""Where one case lies, with what labels it and what marks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from taskct.core.errors import DataError
from taskct.data.case import Case


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
