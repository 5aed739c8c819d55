"""LUNA16: 888 chest CT as MetaImage in ten subsets, with nodules by centre and diameter in the patient's mm."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from taskct.core.errors import FileFormatError, GeometryError, InputError, unknown_name
from taskct.core.open_files import read_bytes
from taskct.data.case import Case
from taskct.data.sets.case_place import CasePlace, FoundPlaces
from taskct.data.sets.lidc_series import lidc_case_id, lidc_patient
from taskct.data.sets.mark_painting import OUTSIDE, MarkPainter
from taskct.data.sets.mark_tables import MOST_TABLE_BYTES, MarkRow, read_mark_rows, starts_with_columns

NODULE, EXCLUDED = "nodule", "excluded finding"
ANNOTATIONS, EXCLUSIONS = "annotations.csv", "annotations_excluded.csv"
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
WITHOUT_DIAMETER_MM = 10.0  # of an excluded finding, as in the evaluation script of the challenge
LUNG_NAMES = {3: "left lung", 4: "right lung", 5: "trachea"}
_LUNG_FOLDER = "seg-lungs-LUNA16"
_SUBSET = re.compile(r"subset(\d+)", re.IGNORECASE)
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class Luna16Marks:
    """Nodules of one scan as balls (only centre and diameter are known), excluded findings as regions to ignore.

    A scan without a row has no nodule that three readers of four marked: it is a negative. `outside` "skip" leaves out rows
    that lie outside of the CT, with a note; otherwise they are refused.
    """

    tables: tuple[Path, ...]
    series_uid: str
    nodules: tuple[MarkRow, ...]
    excluded: tuple[MarkRow, ...] | None
    outside: str = "refuse"

    @property
    def files(self) -> tuple[Path, ...]:
        """The tables."""
        return self.tables

    @property
    def without_labels(self) -> Luna16Marks:
        """All of them: they do not come from labels."""
        return self

    def add(self, case: Case) -> Case:
        """See `MarkSource`."""
        from taskct.data.dicom.identity import replaced_uid

        painter, notes = MarkPainter(case), []
        for rows, kind, ignored in ((self.excluded or (), EXCLUDED, True), (self.nodules, NODULE, False)):
            for row in sorted(rows, key=lambda r: -r.number("diameter_mm")):
                diameter = row.number("diameter_mm")
                if ignored and diameter < 0:
                    diameter = WITHOUT_DIAMETER_MM
                try:
                    painter.ball(row.numbers("coordX", "coordY", "coordZ"), diameter, kind, where=row.where, ignored=ignored)
                except GeometryError as error:
                    if self.outside != "skip":
                        raise
                    notes.append(f"left out: {error}")
        notes += painter.notes()
        if self.excluded is None:
            notes.append(f"{EXCLUSIONS} is not there: findings that count neither way are not known")
        about = {
            **case.provenance,
            "set": "luna16",
            "series_uid": replaced_uid(self.series_uid, deidentify=True),
            "notes": [*case.provenance.get("notes", []), *notes],
        }
        return replace(case, marks=painter.marks(boxed=[NODULE]), provenance=about)


def luna16_places(folder: Path, *, outside: str = "refuse") -> FoundPlaces:
    """The scans of LUNA16, or of some of its subsets; nothing where a folder is not laid out so.

    Raises InputError for a scan that lies in two subsets, and for tables of one name that differ.
    """
    from taskct.data.dicom.identity import patient_pseudonym

    if outside not in OUTSIDE:
        raise unknown_name("outside", outside, OUTSIDE)
    roots = [folder, folder.parent] if _SUBSET.fullmatch(folder.resolve().name) else [folder]
    subsets = [folder] if len(roots) == 2 else sorted(d for d in folder.iterdir() if d.is_dir() and _SUBSET.fullmatch(d.name))
    volumes: dict[str, tuple[Path, int]] = {}
    for subset in subsets:
        match = _SUBSET.fullmatch(subset.resolve().name)
        for file in sorted(subset.rglob("*.mhd")):
            if file.name.startswith("."):
                continue
            if file.stem in volumes:
                raise InputError(f"{file}: the same scan as {volumes[file.stem][0]}; keep one of the two")
            volumes[file.stem] = file, int(match[1]) if match else 0
    table = _table(roots, ANNOTATIONS) if volumes else None
    if table is None:
        return FoundPlaces()
    exclusions = _table(roots, EXCLUSIONS)
    nodules, excluded = _by_series(table, empty=False), None if exclusions is None else _by_series(exclusions)
    tables = (table,) if exclusions is None else (table, exclusions)
    lungs = next((r / _LUNG_FOLDER for r in roots if (r / _LUNG_FOLDER).is_dir()), None)
    places = []
    for uid, (file, fold) in volumes.items():
        mask = None if lungs is None else lungs / file.name
        places.append(
            CasePlace(
                file,
                lidc_case_id(uid, of="luna"),
                labels=mask if mask is not None and mask.is_file() else None,
                label_names=LUNG_NAMES if mask is not None and mask.is_file() else {},
                marks=Luna16Marks(
                    tables,
                    uid,
                    tuple(nodules.get(uid, ())),
                    None if excluded is None else tuple(excluded.get(uid, ())),
                    outside,
                ),
                patient_id=lidc_patient(uid) or patient_pseudonym(uid),
                fold=fold,
            )
        )
    absent = [uid for uid in nodules if uid not in volumes]
    left_out = []
    if absent:
        named = ", ".join(absent[:_MOST_NAMED]) + (", ..." if len(absent) > _MOST_NAMED else "")
        left_out.append(
            f"{table}: {len(absent)} of {len(nodules)} scans with nodules are not in {folder} (other subsets?): {named}"
        )
    return FoundPlaces(tuple(places), tuple(left_out))


def _by_series(table: Path, *, empty: bool = True) -> dict[str, list[MarkRow]]:
    found: dict[str, list[MarkRow]] = {}
    for row in read_mark_rows(table, needs=COLUMNS):
        found.setdefault(row.values["seriesuid"], []).append(row)
    if not found and not empty:
        raise FileFormatError(f"{table}: holds no row, which would make every scan one without nodules; the file is damaged")
    return found


def _table(roots: list[Path], name: str) -> Path | None:
    """The table of a name in a folder or below it; those of the evaluation script are copies."""
    for root in roots:
        found = [f for f in [root / name, *sorted(root.rglob(name))] if f.is_file() and starts_with_columns(f, COLUMNS)]
        if found:
            contents = {read_bytes(f, limit_bytes=MOST_TABLE_BYTES, what="table of lesions") for f in found}
            if len(contents) > 1:
                raise InputError(f"{root}: holds tables {name} that differ ({found[0]}, {found[-1]}); keep the one to use")
            return found[0]
    return None
