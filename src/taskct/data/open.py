"""One door for CT: what a path holds is decided by its content, and comes back as cases."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from taskct.core.errors import FileFormatError, InputError, TaskctError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, existing_path
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.case import Case
from taskct.data.formats import CASE_OF_ARRAY, VOLUME_READERS, format_name, kind_of
from taskct.data.naming import case_name, is_plain, plain_file_name
from taskct.data.sets.case_place import CasePlace, told_apart
from taskct.data.sets.label_files import SkippedCaseWarning as SkippedCaseWarning  # noqa: PLC0414  (its public place)
from taskct.data.sets.layouts import find_cases
from taskct.data.sets.lodopab import is_lodopab_image_file, read_lodopab_cases
from taskct.data.sets.one_case import one_case, two_forms_words
from taskct.data.volume import NOT_READ, case_from_volume

PathLike = str | os.PathLike[str]
_MOST_REPORTED = 3


def open_case(
    path: PathLike,
    *,
    labels: PathLike | None = None,
    label_names: Mapping[int, str] | None = None,
    resample_labels: bool = False,
    series_uid: str | None = None,
    untilt: bool = False,
    case_id: str | None = None,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> Case:
    """One CT with its labels: a DICOM series (folder or file), .nii(.gz), .mha/.mhd, .nrrd/.nhdr, or one LoDoPaB slice.

    `labels` is a label map in a volume format, a DICOM SEG or RTSTRUCT, a series of mask images, or a folder of any of these;
    it must lie on the CT's samples unless `resample_labels` takes the nearest. `label_names` names its numbers, each of which
    must occur. `series_uid` chooses among several DICOM series. `untilt` shifts the slices of a tilted gantry back, at a loss
    that the notes state. `case_id` names the case in tables and reports; by default that is the file's or folder's name where
    it is plain, else a pseudonym (see data/naming.py). `mu_water_per_mm` is the attenuation that HU 0 stands for.

    Raises InputError (nothing there, several cases), FileFormatError (damaged or hostile), UnsupportedDataError
    (well-formed, but not what is read), GeometryError (labels on other samples); each message begins with the path.
    """
    found = _path_of(path)
    how = Reading(mu_water_per_mm, limit_bytes, untilt)
    place = CasePlace(found, "", series_uid=series_uid)
    if found.is_dir():
        place = one_case(found, series_uid=series_uid, warn=labels is None)
    place = place if labels is None else place.with_labels(Path(labels))
    case = _whole_case(place, how, label_names or {}, resample_labels)
    refuse_unused_names(case, label_names or {}, labels)
    return case if case_id is None else _called(case, case_id)


def open_cases(
    path: PathLike,
    *,
    labels: PathLike | None = None,
    label_names: Mapping[int, str] | None = None,
    resample_labels: bool = False,
    untilt: bool = False,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
    skip_bad: bool = False,
) -> list[Case]:
    """All cases of a folder in memory; `iter_cases` gives the same one at a time.

    A folder may be laid out as LiTS, the Medical Segmentation Decathlon, CHAOS, 3D-IRCADb, TotalSegmentator, LUNA16,
    LIDC-IDRI, COVID-19-CT-Seg or LoDoPaB-CT, or hold any mixture of volume files and DICOM
    series, at any depth; but a CT volume beside the files of a series may be the
    same CT, and neither is read. One file gives one case (LoDoPaB: one per slice). `labels` is a
    folder with label maps of the same file names, for layouts that have none of their own; a label file serves one case.
    A name of `label_names` must occur in one case at least. A CT that comes in two formats is refused with both places
    named, and one that comes twice in one format is noted. Cases that cannot be used are named together in one error at
    the end; with `skip_bad` each is warned of instead.
    """
    return list(
        iter_cases(
            path,
            labels=labels,
            label_names=label_names,
            resample_labels=resample_labels,
            untilt=untilt,
            mu_water_per_mm=mu_water_per_mm,
            limit_bytes=limit_bytes,
            skip_bad=skip_bad,
        )
    )


def iter_cases(
    path: PathLike,
    *,
    labels: PathLike | None = None,
    label_names: Mapping[int, str] | None = None,
    resample_labels: bool = False,
    untilt: bool = False,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
    skip_bad: bool = False,
) -> Iterator[Case]:
    """The cases that `open_cases` lists, read one at a time."""
    found = _path_of(path)
    if _lodopab_files(found):
        for file in _lodopab_files(found):
            yield from read_lodopab_cases(file)
        return
    places = case_places(found, labels=labels)
    how = Reading(mu_water_per_mm, limit_bytes, untilt)
    unused = dict(label_names or {})
    bad = labelled = False
    for opened in cases_of_places(
        places, name=str(found), how=how, label_names=label_names, resample=resample_labels, skip_bad=skip_bad
    ):
        if opened is None:
            bad = True
            continue
        labelled = labelled or opened.labels is not None
        unused = {number: name for number, name in unused.items() if number not in numbers_of(opened)}
        yield opened
    if unused and not bad and not labelled:
        raise InputError(f"{found}: {_no_labels(unused)}")
    if unused and not bad:
        raise InputError(f"{found}: no voxel of any case has {_named(unused)}; check label_names")


def cases_of_places(
    places: Sequence[CasePlace],
    *,
    name: str,
    skip_bad: bool = False,
    how: Reading | None = None,
    label_names: Mapping[int, str] | None = None,
    resample: bool = False,
) -> Iterator[Case | None]:
    """The cases of some places, read one at a time; None for one that cannot be read.

    Cases that cannot be read are named together in one FileFormatError at the end, beginning with `name`; with `skip_bad` each
    is warned of instead.
    """
    bad: list[str] = []
    seen: dict[str, _Seen] = {}
    for place in places:
        try:
            case = _whole_case(place, how or Reading(), label_names or {}, resample)
            yield _seen_once(place, case, seen)
        except TaskctError as error:
            if len(places) == 1 and not skip_bad:
                raise
            bad.append(str(error))
            if skip_bad:
                warnings.warn(f"left out: {error}", SkippedCaseWarning, stacklevel=4)
            yield None
    if bad and not skip_bad:
        more = f"; and {len(bad) - _MOST_REPORTED} more" if len(bad) > _MOST_REPORTED else ""
        listed = "; ".join(f"[{i}] {line}" for i, line in enumerate(bad[:_MOST_REPORTED], start=1))
        raise FileFormatError(
            f"{name}: {len(bad)} of {len(places)} cases cannot be read (skip_bad=True leaves them out): {listed}{more}"
        )


def case_places(path: PathLike, *, labels: PathLike | None = None) -> list[CasePlace]:
    """Where the cases of `iter_cases` lie, with their labels; nothing is read yet. InputError when there are none.

    Files of one generic name in different folders (`s0001/ct.nii.gz`, `s0002/ct.nii.gz`) are told apart by their folders.
    """
    found = _path_of(path)
    places = find_cases(found, warn=labels is None) if found.is_dir() else [CasePlace(found, "")]
    if not places:
        raise InputError(f"{found}: holds no CT (DICOM, NIfTI, MetaImage, NRRD or LoDoPaB images); give a scan's folder")
    if labels is None:
        return told_apart(places)
    owned = [Path(labels) if found.is_file() else _labels_of(Path(labels), place, count=len(places)) for place in places]
    return told_apart([place.with_labels(own) for place, own in zip(places, owned, strict=True)])


def open_place(
    place: CasePlace,
    *,
    label_names: Mapping[int, str] | None = None,
    resample_labels: bool = False,
    untilt: bool = False,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> Case:
    """One of `case_places` as `iter_cases` gives it."""
    return _whole_case(place, Reading(mu_water_per_mm, limit_bytes, untilt), label_names or {}, resample_labels)


class Reading(NamedTuple):
    """How every case of one call is read."""

    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM
    limit_bytes: int = MAX_VOLUME_BYTES
    untilt: bool = False


def _whole_case(place: CasePlace, how: Reading, names: Mapping[int, str], resample: bool) -> Case:
    """A case with its labels and its marks."""
    case = _open_place(place, how)
    case = _labelled(case, place, {**place.label_names, **names}, resample, how.limit_bytes)
    if place.patient_id:
        named = case.patient_id if case.provenance.get("format") == "DICOM" else ""
        if named not in ("", case.case_id, place.patient_id):
            words = (
                f"its header names another patient ({named}) than the list of its set ({place.patient_id}), which was taken"
            )
            case = replace(case, provenance=with_notes(case, [words]))
        case = replace(case, patient_id=place.patient_id)
    if place.fold is not None:
        case = replace(case, provenance={**case.provenance, "fold": place.fold})
    return case if place.marks is None else place.marks.add(case)


def _open_place(place: CasePlace, how: Reading) -> Case:
    if place.error is not None:
        raise place.error
    if place.other_form is not None:
        raise InputError(f"{two_forms_words(place)}; move one of the two elsewhere")
    if isinstance(place.image, Path) and place.image.is_file():
        case = _open_file(place.image, place.series_uid, how)
    else:
        case = _open_series(place.image, place.series_uid, how)
    if place.notes:
        case = replace(case, provenance=with_notes(case, place.notes))
    if not place.case_id:
        return case
    if case.provenance.get("format") == "DICOM" and not is_plain(place.case_id):
        return case  # its name is a pseudonym already, of its series
    return _called(case, case_name(place.case_id, str(case.provenance.get("fingerprint"))))


def _called(case: Case, case_id: str) -> Case:
    return replace(case, case_id=case_id, patient_id=case.patient_id if case.patient_id != case.case_id else "")


def _open_file(path: Path, series_uid: str | None, how: Reading) -> Case:
    kind = kind_of(path)
    if kind == "dicom":
        return _open_series(path, series_uid, how)
    if kind == "hdf5":
        return _open_hdf5(path)
    volume = VOLUME_READERS[kind](path, limit_bytes=how.limit_bytes)
    return case_from_volume(
        path, volume, format_name=format_name(kind), mu_water_per_mm=how.mu_water_per_mm, untilt=how.untilt
    )


def _open_series(path: Path | tuple[Path, ...], series_uid: str | None, how: Reading) -> Case:
    from taskct.data.dicom.series import read_series

    case = read_series(path, series_uid=series_uid, untilt=how.untilt, limit_bytes=how.limit_bytes)
    return replace(case, mu_water_per_mm=how.mu_water_per_mm)


def _open_hdf5(path: Path) -> Case:
    if not is_lodopab_image_file(path):
        raise UnsupportedDataError(
            f"{path}: an HDF5 file without images in LoDoPaB layout ('data' of n x 362 x 362); a scan opens with read_scan, "
            "measured projections with taskct reconstruct or taskct.data.sets.measured"
        )
    cases = read_lodopab_cases(path)
    first = next(cases)
    if next(cases, None) is not None:
        raise InputError(f"{path}: holds many slices; use open_cases (all of them) or LodopabFiles(folder, part)[i] (one)")
    return first


def _labelled(case: Case, place: CasePlace, names: Mapping[int, str], resample: bool, limit_bytes: int) -> Case:
    labels = place.labels
    if labels is None:
        return case
    from taskct.data.labels import read_labels

    values, found_names, notes = read_labels(
        labels, case, names=names, resample=resample, may_be_empty=place.may_be_empty, limit_bytes=limit_bytes
    )
    provenance = {**with_notes(case, notes), "labels": plain_file_name(Path(labels).name, otherwise="labels")}
    provenance["notes"] = [n for n in provenance["notes"] if NOT_READ not in n or f" {Path(labels).name} " not in n]
    return replace(case, labels=values, label_names=found_names, provenance=provenance)


def with_notes(case: Case, notes: Sequence[str]) -> dict[str, Any]:
    """The provenance of a case with further notes."""
    return {**case.provenance, "notes": list(dict.fromkeys([*case.provenance.get("notes", []), *notes]))}


def refuse_unused_names(case: Case, names: Mapping[int, str], labels: PathLike | None) -> None:
    """InputError when a label name that the caller gave stands for no voxel: it is a wrong number, or the wrong file."""
    if names and case.labels is None:
        raise InputError(f"{case.case_id}: {_no_labels(names)}")
    there = numbers_of(case)
    unused = {number: name for number, name in names.items() if number not in there}
    if unused:
        listed = ", ".join(map(str, sorted(there))) or "no label at all"
        raise InputError(f"{labels or case.case_id}: no voxel has {_named(unused)}; the labels hold {listed}")


def numbers_of(case: Case) -> set[int]:
    """The labels of a case that have voxels; without 0."""
    return set() if case.labels is None else set(case.labels.unique().tolist()) - {0}


def _no_labels(names: Mapping[int, str]) -> str:
    return f"label names are given ({_named(names)}), but no labels; give labels=... (--labels)"


def _named(names: Mapping[int, str]) -> str:
    return ", ".join(f"label {number} ({name})" for number, name in names.items())


class _Seen(NamedTuple):
    """A case that was read before."""

    place: Path
    case_id: str
    form: str


def _seen_once(place: CasePlace, case: Case, seen: dict[str, _Seen]) -> Case:
    """The case; the same values in another format are refused, as one CT that averages and splits would count twice."""
    key = str(case.provenance.get("fingerprint") or "")
    before, form = seen.get(key), str(case.provenance.get("format"))
    if not key or before is None:
        seen[key] = _Seen(place.name, case.case_id, form)
        return case
    if form != before.form:
        raise UnsupportedDataError(
            f"{place.name}: has the same values as {before.place}: one CT in two formats, {form} and {before.form}; move one "
            "of them elsewhere, or leave this one out with skip_bad=True"
        )
    note = f"has the same values as the case {before.case_id}: averages and splits count this CT twice"
    return replace(case, provenance=with_notes(case, [note]))


def _labels_of(labels: Path, place: CasePlace, *, count: int) -> Path:
    """The labels of one of `count` cases: a label file serves one case; in a folder, the same file name or the case's id."""
    folder = existing_path(labels, what="labels")
    if folder.is_file():
        if count > 1:
            raise InputError(f"{folder}: one label file for {count} cases; give a folder with label maps of the same names")
        return folder
    names = dict.fromkeys((place.name.name, place.case_id, f"{place.case_id}.nii.gz"))
    there = [folder / name for name in names if (folder / name).exists()]
    if len(there) > 1:
        listed = ", ".join(p.name for p in there)
        raise InputError(f"{folder}: several labels for case {place.case_id} ({listed}); keep one of them")
    if there:
        return there[0]
    raise InputError(f"{folder}: has no labels for case {place.case_id} (looked for {place.name.name})")


def _path_of(path: object) -> Path:
    """What a CT is opened from; InputError for an array, which holds no spacing, and for anything else but a path."""
    if isinstance(path, str | os.PathLike):
        return existing_path(path, what="CT")
    if hasattr(path, "shape"):
        raise InputError(
            f"expected the path of a CT, got an array of shape {tuple(path.shape)}; an array becomes a case by {CASE_OF_ARRAY}"
        )
    raise InputError(f"expected the path of a CT as str or Path, got {type(path).__name__} {repr(path)[:80]}")


def _lodopab_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if kind_of(path) == "hdf5" and is_lodopab_image_file(path) else []
    return sorted(path.glob("ground_truth_*_[0-9][0-9][0-9].hdf5"))
