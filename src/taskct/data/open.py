"""One door for CT: what a path holds is decided by its content, and comes back as cases."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from taskct.core.errors import FileFormatError, InputError, TaskctError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, existing_path
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.case import Case
from taskct.data.formats import VOLUME_READERS, format_name, kind_of, volume_files
from taskct.data.sets.label_files import SkippedCaseWarning as SkippedCaseWarning  # noqa: PLC0414  (its public place)
from taskct.data.sets.label_files import is_label_map
from taskct.data.sets.layouts import CasePlace, cases_of, find_cases
from taskct.data.sets.lodopab import is_lodopab_image_file, read_lodopab_cases
from taskct.data.volume import case_from_volume

PathLike = str | os.PathLike[str]
_MOST_REPORTED = 5


def open_case(
    path: PathLike,
    *,
    labels: PathLike | None = None,
    label_names: Mapping[int, str] | None = None,
    resample_labels: bool = False,
    series_uid: str | None = None,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> Case:
    """One CT with its labels: a DICOM series (folder or file), .nii(.gz), .mha/.mhd, .nrrd/.nhdr, or one LoDoPaB slice.

    `labels` is a label map in a volume format, a DICOM SEG, or a folder of masks; it must lie on the CT's samples unless
    `resample_labels` takes the nearest. `label_names` names its numbers. `series_uid` chooses among several DICOM series.
    `mu_water_per_mm` is the attenuation that HU 0 stands for.

    Raises InputError (nothing there, several cases), FileFormatError (damaged or hostile), UnsupportedDataError
    (well-formed, but not what is read), GeometryError (labels on other samples); each message begins with the path.
    """
    found = existing_path(path, what="CT")
    if found.is_dir():
        case, own_labels = _open_folder(found, series_uid, mu_water_per_mm, limit_bytes, warn=labels is None)
        labels = own_labels if labels is None else labels
    else:
        case = _open_file(found, series_uid, mu_water_per_mm, limit_bytes)
    return _labelled(case, labels, label_names, resample_labels, limit_bytes)


def open_cases(
    path: PathLike,
    *,
    labels: PathLike | None = None,
    label_names: Mapping[int, str] | None = None,
    resample_labels: bool = False,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
    skip_bad: bool = False,
) -> list[Case]:
    """All cases of a folder in memory; `iter_cases` gives the same one at a time.

    A folder may be laid out as LiTS, the Medical Segmentation Decathlon, CHAOS, TotalSegmentator or LoDoPaB-CT, or hold any
    mixture of volume files and DICOM series, at any depth. One file gives one case (LoDoPaB: one per slice). `labels` is a
    folder with label maps of the same file names, for layouts that have none of their own; a label file serves one case.
    Cases that cannot be read are named together in one error at the end; with `skip_bad` each is warned of instead.
    """
    options = {"labels": labels, "label_names": label_names, "resample_labels": resample_labels, "skip_bad": skip_bad}
    return list(iter_cases(path, mu_water_per_mm=mu_water_per_mm, limit_bytes=limit_bytes, **options))  # type: ignore[arg-type]


def iter_cases(
    path: PathLike,
    *,
    labels: PathLike | None = None,
    label_names: Mapping[int, str] | None = None,
    resample_labels: bool = False,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
    skip_bad: bool = False,
) -> Iterator[Case]:
    """The cases that `open_cases` lists, read one at a time."""
    found = existing_path(path, what="CT")
    if _lodopab_files(found):
        for file in _lodopab_files(found):
            yield from read_lodopab_cases(file)
        return
    places = find_cases(found, warn=labels is None) if found.is_dir() else [CasePlace(found, "")]
    if not places:
        raise InputError(f"{found}: holds no CT (DICOM, NIfTI, MetaImage, NRRD or LoDoPaB images); give a scan's folder")
    bad: list[str] = []
    for place in places:
        own = place.labels
        if labels is not None:
            own = Path(labels) if found.is_file() else _labels_of(Path(labels), place, count=len(places))
        try:
            case = _open_place(place, mu_water_per_mm, limit_bytes)
            yield _labelled(case, own, {**place.label_names, **(label_names or {})}, resample_labels, limit_bytes)
        except TaskctError as error:
            if len(places) == 1 and not skip_bad:
                raise
            bad.append(str(error))
            if skip_bad:
                warnings.warn(f"left out: {error}", SkippedCaseWarning, stacklevel=3)
    if bad and not skip_bad:
        more = f"; and {len(bad) - _MOST_REPORTED} more" if len(bad) > _MOST_REPORTED else ""
        listed = "; ".join(f"[{i}] {line}" for i, line in enumerate(bad[:_MOST_REPORTED], start=1))
        raise FileFormatError(
            f"{found}: {len(bad)} of {len(places)} cases cannot be read (skip_bad=True leaves them out): {listed}{more}"
        )


def _open_place(place: CasePlace, mu_water_per_mm: float, limit_bytes: int) -> Case:
    if isinstance(place.image, Path) and place.image.is_file():
        case = _open_file(place.image, place.series_uid, mu_water_per_mm, limit_bytes)
    else:
        from taskct.data.dicom.series import read_series

        case = read_series(place.image, series_uid=place.series_uid, limit_bytes=limit_bytes)
        case = replace(case, mu_water_per_mm=mu_water_per_mm)
    if not place.case_id:
        return case
    return replace(case, case_id=place.case_id, patient_id=case.patient_id if case.patient_id != case.case_id else "")


def _open_file(path: Path, series_uid: str | None, mu_water_per_mm: float, limit_bytes: int) -> Case:
    kind = kind_of(path)
    if kind == "dicom":
        from taskct.data.dicom.series import read_series

        case = read_series(path, series_uid=series_uid, limit_bytes=limit_bytes)
        return replace(case, mu_water_per_mm=mu_water_per_mm)
    if kind == "hdf5":
        return _open_hdf5(path)
    volume = VOLUME_READERS[kind](path, limit_bytes=limit_bytes)
    return case_from_volume(path, volume, format_name=format_name(kind), mu_water_per_mm=mu_water_per_mm)


def _open_hdf5(path: Path) -> Case:
    if not is_lodopab_image_file(path):
        raise UnsupportedDataError(
            f"{path}: an HDF5 file without images in LoDoPaB layout ('data' of n x 362 x 362); a scan opens with read_scan, "
            "measured projections with taskct.data.sets.measured"
        )
    cases = read_lodopab_cases(path)
    first = next(cases)
    if next(cases, None) is not None:
        raise InputError(f"{path}: holds many slices; use open_cases (all of them) or LodopabFiles(folder, part)[i] (one)")
    return first


def _open_folder(
    folder: Path, series_uid: str | None, mu_water_per_mm: float, limit_bytes: int, *, warn: bool
) -> tuple[Case, Path | None]:
    """A folder that is one case: a DICOM series, or one volume, with its label map or its folder of masks."""
    masks = folder / "segmentations"
    volumes = volume_files(folder)
    if not volumes:
        from taskct.data.dicom.series import read_series

        case = read_series(folder, series_uid=series_uid, limit_bytes=limit_bytes)
        return replace(case, mu_water_per_mm=mu_water_per_mm), None
    if any(is_label_map(v) for v in volumes):
        places = cases_of([folder], warn=warn)
        if len(places) == 1:
            case = _open_place(replace(places[0], case_id=""), mu_water_per_mm, limit_bytes)
            if isinstance(places[0].image, Path):
                case = replace(case, case_id=folder.resolve().name, patient_id="")
            return case, places[0].labels or (masks if masks.is_dir() else None)
    if len(volumes) > 1:
        names = ", ".join(v.name for v in volumes[:4]) + (", ..." if len(volumes) > 4 else "")
        raise InputError(f"{folder}: holds {len(volumes)} volumes ({names}); name one of them, or use open_cases for all")
    case = _open_file(volumes[0], None, mu_water_per_mm, limit_bytes)
    return replace(case, case_id=folder.resolve().name, patient_id=""), masks if masks.is_dir() else None


def _labelled(case: Case, labels: PathLike | None, names: Mapping[int, str] | None, resample: bool, limit_bytes: int) -> Case:
    if labels is None:
        return case
    from taskct.data.labels import read_labels

    values, found_names, notes = read_labels(labels, case, names=names, resample=resample, limit_bytes=limit_bytes)
    provenance = {**case.provenance, "labels": Path(labels).name}
    provenance["notes"] = [*case.provenance.get("notes", []), *notes]
    return replace(case, labels=values, label_names=found_names, provenance=provenance)


def _labels_of(labels: Path, place: CasePlace, *, count: int) -> Path:
    """The labels of one of `count` cases: a label file serves one case; in a folder, the same file name or the case's id."""
    folder = existing_path(labels, what="labels")
    if folder.is_file():
        if count > 1:
            raise InputError(f"{folder}: one label file for {count} cases; give a folder with label maps of the same names")
        return folder
    for name in (place.name.name, place.case_id, f"{place.case_id}.nii.gz"):
        if (folder / name).exists():
            return folder / name
    raise InputError(f"{folder}: has no labels for case {place.case_id} (looked for {place.name.name})")


def _lodopab_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if kind_of(path) == "hdf5" and is_lodopab_image_file(path) else []
    return sorted(path.glob("ground_truth_*_[0-9][0-9][0-9].hdf5"))
