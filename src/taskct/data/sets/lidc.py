"""LIDC-IDRI: CT as DICOM, and beside each the XML of four readers' marks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.errors import DataError, GeometryError, InputError, UnsupportedDataError
from taskct.core.names import plural
from taskct.data.case import Case
from taskct.data.nodule_kinds import GLASS, NODULE_KINDS, PART_SOLID, SOLID
from taskct.data.sets.case_place import CasePlace, FoundPlaces
from taskct.data.sets.lidc_nodules import NoduleOfReaders, ReaderMask, inside_outline, joined_nodules
from taskct.data.sets.lidc_series import lidc_case_id, lidc_patient
from taskct.data.sets.lidc_xml import (
    CT_ROOT,
    NODULE_MARK,
    OTHER_MARK,
    RADIOGRAPH_ROOT,
    Outline,
    ReadMessage,
    on_scale,
    read_message,
    root_of,
)
from taskct.data.sets.mark_painting import MarkPainter

SMALL, NON_NODULE = "nodule below 3 mm", "non-nodule"
POINT_MM = 10.0  # across what is ignored round a single point, as for excluded findings of LUNA16
SEG_OUTSIDE = (262, 291, 311, 313, 415, 423, 671, 697, 785, 796, 850, 938)
"""Patients whose derived DICOM SEG (the set DICOM-LIDC-IDRI-Nodules) lie outside of their CT (lidc2dicom, issue 9)."""
_PATIENT = re.compile(r"LIDC-IDRI-(\d{4})")


@dataclass(frozen=True, eq=False)
class LidcMarks:
    """Nodules of 3 mm and more by the outlines of the readers who marked them.

    A nodule that fewer than `least_readers` marked is there to be ignored; so are nodules below 3 mm and non-nodules, which
    readers marked by one point, and outlines that enclose no pixel. Outlines hold the samples of at least half of a nodule's
    readers. The kind is that of the mean rating of texture: up to 2 ground glass, above 2 and below 4 part-solid, else
    solid.
    """

    xml: Path
    least_readers: int = 3

    @property
    def files(self) -> tuple[Path, ...]:
        """The XML."""
        return (self.xml,)

    @property
    def without_labels(self) -> LidcMarks:
        """All of them: they do not come from labels."""
        return self

    def add(self, case: Case) -> Case:
        """See `MarkSource`; `provenance["nodules"]` has the readers and their mean ratings of each instance."""
        from taskct.data.dicom.lost_files import BESIDE_SLICES

        read = LidcReading(self.xml, case)
        painter, facts = MarkPainter(case), {}
        for centre, kind in read.points:
            painter.ball(centre, POINT_MM, kind, where=str(self.xml), ignored=True)
        few = lambda nodule: nodule.readers < self.least_readers
        for nodule in sorted(read.nodules, key=lambda n: (not few(n), -len(n.agreed()))):  # ignored ones below, then by size
            where = np.zeros(tuple(case.hu.shape), bool)
            where[tuple(nodule.agreed().T)] = True
            facts[painter.mask(where, kind_of_texture(nodule.rating("texture")), ignored=few(nodule))] = facts_of(nodule, case)
        marks = painter.marks(masked=NODULE_KINDS)
        notes = [*read.notes, *painter.notes()]
        ignored = sum(few(n) for n in read.nodules)
        if ignored:
            notes.append(
                f"{plural(ignored, 'nodule')} that fewer than {self.least_readers} readers marked "
                f"{'is' if ignored == 1 else 'are'} ignored"
            )
        about = {
            **case.provenance,
            "set": "lidc-idri",
            "nodules": {str(n): f for n, f in facts.items()},
            "notes": [n for n in case.provenance.get("notes", []) if n != f"{BESIDE_SLICES}: {self.xml.name}"] + notes,
        }
        return replace(case, marks=marks, provenance=about)


class LidcReading:
    """What four readers marked, on the samples of the CT that they read.

    Raises UnsupportedDataError for XML of another series, GeometryError for a mark that lies outside of the CT.
    """

    def __init__(self, xml: Path, case: Case) -> None:
        self.case, self.message = case, read_message(xml)
        self.notes: list[str] = []
        _check_series(case, self.message)
        every = [self._mask(mark) for mark in self.message.marks if mark.kind == NODULE_MARK]
        self.masks = [mask for mask in every if len(mask.samples)]
        self._empty = [mask.mark for mask in every if not len(mask.samples)]
        if self._empty:
            self.notes.append(
                f"{plural(len(self._empty), 'outline of a nodule encloses', 'outlines of nodules enclose')} no "
                "pixel; such places are ignored"
            )
        odd = [(n, r) for mask in self.masks for n, r in mask.mark.ratings.items() if not on_scale(n, r)]
        if odd:
            self.notes.append(
                f"{plural(len(odd), 'rating')} off the scale, the first {odd[0][0]} {odd[0][1]}, "
                f"{'was' if len(odd) == 1 else 'were'} taken as not given"
            )
        self.nodules, notes = joined_nodules(self.masks)
        self.notes += notes
        if self.message.readers != 4:
            self.notes.append(f"{self.message.readers} reading sessions, expected 4")

    @cached_property
    def votes(self) -> np.ndarray:
        """How many readers have each sample in a nodule, uint8 (Z, Y, X)."""
        found = np.zeros((self.message.readers, *self.case.hu.shape), bool)
        for mask in self.masks:
            found[mask.mark.reader][tuple(mask.samples.T)] = True
        return np.asarray(found.sum(0), np.uint8)

    @cached_property
    def points(self) -> list[tuple[tuple[float, float, float], str]]:
        """LPS places (x, y, z) in mm of what has a point and no outline, each with its kind."""
        assert self.case.affine_mm is not None
        found = []
        for mark in self.message.marks:
            if mark.kind != NODULE_MARK or mark in self._empty:
                at = np.mean([self._samples(o.sop_uid, o.z_mm, list(o.pixels)).mean(0) for o in mark.outlines], axis=0)
                z, y, x = (self.case.affine_mm @ [*at, 1.0])[:3]
                found.append(((float(x), float(y), float(z)), NON_NODULE if mark.kind == OTHER_MARK else SMALL))
        return found

    def _mask(self, mark: Any) -> ReaderMask:
        inside: set[tuple[int, ...]] = set()
        holes: set[tuple[int, ...]] = set()
        for one in mark.outlines:
            self._check_points(one)
            pixels = inside_outline(one.pixels, hole=one.hole)
            if len(pixels):
                found = {tuple(s) for s in self._samples(one.sop_uid, one.z_mm, pixels.tolist()).tolist()}
                if one.hole:
                    holes |= found
                else:
                    inside |= found
        return ReaderMask(mark, np.array(sorted(inside - holes), dtype=np.int64).reshape(-1, 3))

    def _check_points(self, outline: Outline) -> None:
        """An edge may run one pixel outside of its slice, not further: filling it would need room for all between."""
        rows, cols = self._slice_of(outline.sop_uid, outline.z_mm)[1]
        odd = next(((r, c) for r, c in outline.pixels if not (-1 <= r <= rows and -1 <= c <= cols)), None)
        if odd is not None:
            raise GeometryError(
                f"{self.message.path}: an outline runs through row {odd[0]}, column {odd[1]}, outside of its slice of "
                f"{rows} x {cols} pixels; the file is damaged, or of another CT"
            )

    def _samples(self, sop_uid: str, z_mm: float, pixels: list[Any]) -> np.ndarray:
        """Samples (n, 3) of pixels (row, column) of a slice."""
        from taskct.data.dicom.seg import samples

        place = self._slice_of(sop_uid, z_mm)
        return np.asarray(samples(self.message.path, place[0], np.array(pixels).T, place[1], self.case).T)

    def _slice_of(self, sop_uid: str, z_mm: float) -> tuple[Any, tuple[int, int]]:
        """Place and size of a slice, by its UID, else by its height."""
        places = self._slices
        place = places.get(sop_uid)
        if place is None:
            near = [p for p in places.values() if abs(float(p[0].first[2]) - z_mm) < 0.1]
            if len(near) != 1:
                raise GeometryError(
                    f"{self.message.path}: marks a slice at z {z_mm:g} mm that the CT does not have; are slices missing?"
                )
            place = near[0]
        return place

    @cached_property
    def _slices(self) -> Mapping[str, tuple[Any, tuple[int, int]]]:
        """Place and size of each slice by its SOPInstanceUID."""
        from taskct.data.dicom.find import choose, scan
        from taskct.data.dicom.seg import Place
        from taskct.data.dicom.series import slice_frames

        assert self.case.source_path is not None
        found = scan(self.case.source_path)
        places = {}
        for frame in slice_frames(found, choose(found, self.message.series_uid))[0]:
            if frame.position is not None and frame.orientation is not None:
                down, right = frame.orientation[3:] * frame.pixel_mm[0], frame.orientation[:3] * frame.pixel_mm[1]
                places[frame.file.sop_uid] = (Place(frame.position, down, right), frame.shape)
        return places


def kind_of_texture(rating: float | None) -> str:
    """Solid, part-solid or ground-glass nodule by the mean rating of texture (1 not solid, 3 part-solid, 5 solid).

    >>> [kind_of_texture(r) for r in (1.5, 2.5, 4.0, None)]
    ['ground-glass nodule', 'part-solid nodule', 'solid nodule', 'solid nodule']
    """
    if rating is None or rating >= 4:
        return SOLID
    return GLASS if rating <= 2 else PART_SOLID


def facts_of(nodule: NoduleOfReaders, case: Case) -> dict[str, Any]:
    """Readers, volume and mean ratings of a nodule, as plain values."""
    volume = len(nodule.agreed()) * float(np.prod(case.spacing_mm))
    ratings = {name: nodule.rating(name) for name in ("subtlety", "texture", "spiculation", "malignancy")}
    return {
        "readers": nodule.readers,
        "volume_mm3": round(volume, 1),
        "diameter_mm": round((6 * volume / np.pi) ** (1 / 3), 2),
        **{name: round(value, 2) for name, value in ratings.items() if value is not None},
    }


def lidc_places(folder: Path, *, least_readers: int = 3) -> FoundPlaces:
    """The CT series of LIDC-IDRI below a folder, each with the XML that names it; nothing where no such XML lies there.

    A CT whose own folder holds XML that cannot be read, and none that names it, is a case that cannot be read.

    Radiographs and objects of other kinds in the same folders are left out, each named. A CT without XML keeps its place, and
    a note says that its marks are not known. Raises InputError for two XML files of one series.
    """
    if not 1 <= least_readers <= 4:
        raise InputError(f"LIDC-IDRI has four readers; least_readers is 1 to 4, got {least_readers!r}")
    places: list[CasePlace] = []
    left_out: list[str] = []
    of_series: dict[str, Path] = {}
    damaged: dict[Path, DataError] = {}
    folders = [d for d in [folder, *sorted(p for p in folder.rglob("*") if p.is_dir())] if not d.name.startswith(".")]
    xml = {f: root_of(f) for d in folders for f in sorted(d.glob("*.xml")) if f.is_file() and not f.name.startswith(".")}
    if CT_ROOT not in xml.values():
        return FoundPlaces()
    for file, root in xml.items():
        if root == CT_ROOT:
            uid = _series_of(file)
            if isinstance(uid, DataError):
                left_out.append(str(uid))
                damaged.setdefault(file.parent, uid)
                continue
            if uid in of_series:
                raise InputError(f"{file}: marks the same series as {of_series[uid]}; keep one of the two")
            of_series[uid] = file
        elif root == RADIOGRAPH_ROOT:
            left_out.append(f"{file}: marks of a radiograph, left out")
    used = set()
    for place in folders:
        for uid, modality, error in _series_right_in(place):
            if error is None and modality != "CT":
                left_out.append(f"{place}: {_WHAT.get(modality, 'no CT')} ({modality}), left out{_seg_words(place, modality)}")
                continue
            used.add(uid)
            xml_file = of_series.get(uid)
            places.append(
                CasePlace(
                    place,
                    lidc_case_id(uid, of="lidc"),
                    series_uid=uid,
                    notes=() if xml_file else ("no XML of this series is there: its nodules are not known",),
                    error=error or (None if xml_file else damaged.get(place)),
                    marks=LidcMarks(xml_file, least_readers) if xml_file else None,
                    patient_id=lidc_patient(uid),
                )
            )
    left_out += [f"{file}: marks a CT that is not there, series {uid}" for uid, file in of_series.items() if uid not in used]
    return FoundPlaces(tuple(places), tuple(left_out))


_WHAT = {"CR": "a radiograph", "DX": "a radiograph", "SEG": "a derived segmentation", "SR": "a structured report"}


def _seg_words(place: Path, modality: str) -> str:
    numbers = [int(n) for n in _PATIENT.findall(str(place))]
    if modality != "SEG" or not numbers or numbers[-1] not in SEG_OUTSIDE:
        return ""
    return "; the SEG of this patient are known to lie outside of the CT, never use them"


def _series_of(xml: Path) -> str | DataError:
    try:
        return read_message(xml).series_uid
    except DataError as error:
        return error


def _series_right_in(place: Path) -> list[tuple[str, str, DataError | None]]:
    """SeriesInstanceUID and modality of each series right in a folder, and what is damaged there."""
    from taskct.data.dicom.find import scan_folder

    if not any(f.is_file() and f.suffix.lower() != ".xml" and not f.name.startswith(".") for f in place.iterdir()):
        return []
    found = scan_folder(place)
    damaged = found.damaged[0][1] if found.damaged else None
    series = [(s.uid, "CT" if s.slice_files else s.modality, damaged) for s in found.series]
    return series or ([("", "", damaged)] if damaged else [])


def _check_series(case: Case, message: ReadMessage) -> None:
    from taskct.data.dicom.identity import same_uid

    uid = str(case.provenance.get("series_uid", ""))
    if not uid or not same_uid(uid, message.series_uid):
        raise UnsupportedDataError(
            f"{message.path}: marks series {message.series_uid}, not that of case {case.case_id}; give the XML of this CT"
        )
