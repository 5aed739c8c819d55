"""Which cases lie in a folder: the layouts of public data sets, or any folder of files and sub-folders."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from taskct.core.errors import InputError
from taskct.data.dicom.parse import looks_like_dicom
from taskct.data.formats import promised_kind, volume_files
from taskct.data.sets.case_place import CasePlace, FoundPlaces
from taskct.data.sets.chaos import CHAOS_LABELS
from taskct.data.sets.covid19_ct_seg import covid19_places
from taskct.data.sets.ircad import ircad_patients
from taskct.data.sets.label_files import (
    LABEL_FOLDERS,
    SkippedCaseWarning,
    is_label_map,
    listed,
    owners,
    warn_of_label_files,
)
from taskct.data.sets.lidc import lidc_places
from taskct.data.sets.luna16 import luna16_places
from taskct.data.sets.msd import msd_places
from taskct.data.volume import stem

LITS_LABELS = {1: "liver", 2: "liver tumour"}
_LOOKED_AT = 20  # files of a folder that may tell that there is DICOM in it
_TEST_FOLDERS = ("imagesTs",)  # of MSD: images whose labels are kept secret


def find_cases(folder: Path, *, warn: bool = True) -> list[CasePlace]:
    """The cases of a folder, by the first layout that fits; empty when there are none.

    MSD (imagesTr, labelsTr, dataset.json), LiTS (volume-N, segmentation-N), CHAOS (N/DICOM_anon, N/Ground), 3D-IRCADb
    (PATIENT_DICOM, MASKS_DICOM), TotalSegmentator (sNNNN/ct.nii.gz, segmentations/), else every volume file and every CT
    series below the folder; what a known layout leaves out is warned of. A
    file there that calls itself labels, seg, segmentation or mask, or lies in a folder labels, masks or segmentations, is the
    label map of the CT of its name (`label_files.owners`), or of the one series that it lies with. A CT with several stays
    unlabelled; that, and label maps that belong to no CT, are warned of unless `warn` is False.
    """
    for layout in LAYOUTS:
        found = layout(folder)
        if found.places:
            if warn:
                _warn_of_others(folder, list(found.places), found.left_out)
            return list(found.places)
    return cases_of([folder, *folders_below(folder)], warn=warn)


def _warn_of_others(folder: Path, found: list[CasePlace], left_out: tuple[str, ...]) -> None:
    """One warning for the volumes and DICOM series of a known layout that are not cases of it, and what it left out itself."""
    for sentence in left_out:
        warnings.warn(sentence, SkippedCaseWarning, stacklevel=4)
    used = {p for case in found for p in ((case.image,) if isinstance(case.image, Path) else case.image)}
    used |= {case.labels for case in found if case.labels is not None}
    others = []
    for place in [folder, *folders_below(folder)]:
        if {place, *place.parents} & used or place.name in _TEST_FOLDERS:
            continue
        others += [f for f in volume_files(place) if f not in used and not is_label_map(f)]
        dicom = [f for f in sorted(place.iterdir()) if _may_be_dicom(f) and f not in used]
        others += [place] * any(looks_like_dicom(f) for f in dicom[:_LOOKED_AT])
    others = [other for other in others if not any(words.startswith(f"{other}:") for words in left_out)]
    if others:
        warnings.warn(
            f"{folder}: left out, not cases of the layout found here: {listed(others)}; open them by their own paths",
            SkippedCaseWarning,
            stacklevel=4,
        )


def _lits(folder: Path) -> FoundPlaces:
    """Volumes and segmentations may lie in one folder or in two below it; those that lack the other are named.

    A folder without any segmentation is one of test volumes, whose labels the challenge keeps: nothing is missing there.
    """
    files = [f for f in _files_below(folder) if promised_kind(f) == "nifti"]
    volumes = _numbered(files, r"volume-(\d+)\.nii(\.gz)?")
    masks = _numbered(files, r"segmentation-(\d+)\.nii(\.gz)?")
    if not volumes:
        return FoundPlaces()
    places = [CasePlace(volumes[n], f"volume-{n}", masks.get(n), LITS_LABELS) for n in sorted(volumes, key=int)]
    if not masks:
        return FoundPlaces(tuple(places))
    alone = {
        "volume-N without segmentation-N": [volumes[n] for n in volumes if n not in masks],
        "segmentation-N without volume-N": [masks[n] for n in masks if n not in volumes],
    }
    below = {what: [file.relative_to(folder) for file in files] for what, files in alone.items() if files}
    gaps = [f"{folder}: has {what}: {listed(files)}" for what, files in below.items()]
    return FoundPlaces(tuple(places), tuple(gaps))


def _numbered(files: list[Path], pattern: str) -> dict[str, Path]:
    """Files by the number in their name; InputError when two have one number, since either could be meant."""
    found: dict[str, Path] = {}
    for file in files:
        if match := re.fullmatch(pattern, file.name):
            if match[1] in found:
                raise InputError(f"{file}: has the number of {found[match[1]]}; keep one of the two")
            found[match[1]] = file
    return found


def _ircad(folder: Path) -> list[CasePlace]:
    return [CasePlace(ct, ct.parent.resolve().name, masks) for ct, masks in ircad_patients([folder, *folders_below(folder)])]


def _chaos(folder: Path) -> list[CasePlace]:
    series = sorted((d for d in folders_below(folder) if d.name == "DICOM_anon"), key=lambda d: (len(str(d)), str(d)))
    found = []
    for place in series:
        ground = place.parent / "Ground"
        found.append(CasePlace(place, f"chaos-{place.parent.name}", ground if ground.is_dir() else None, CHAOS_LABELS))
    return found


def _totalsegmentator(folder: Path) -> list[CasePlace]:
    cases = [folder] if (folder / "ct.nii.gz").is_file() else sorted(d for d in folder.iterdir() if d.is_dir())
    found = []
    for case in cases:
        if (case / "ct.nii.gz").is_file() and (case / "segmentations").is_dir():
            found.append(CasePlace(case / "ct.nii.gz", case.name, case / "segmentations"))
    return found


def _plain(find: Callable[[Path], list[CasePlace]]) -> Callable[[Path], FoundPlaces]:
    return lambda folder: FoundPlaces(tuple(find(folder)))


LAYOUTS: tuple[Callable[[Path], FoundPlaces], ...] = (
    msd_places,
    luna16_places,
    covid19_places,
    _lits,
    _plain(_chaos),
    _plain(_ircad),
    _plain(_totalsegmentator),
    lidc_places,
)


def cases_of(folders: list[Path], *, warn: bool = True) -> list[CasePlace]:
    """Volumes and series right in these folders, the first of which holds the others, each with its label map."""
    cases: list[CasePlace] = []
    maps: dict[int, list[Path]] = {}
    loose: list[Path] = []
    apart: list[Path] = []
    for place in folders:
        files, dicom = volume_files(place), _series(place)
        if place != folders[0] and place.name.lower() in LABEL_FOLDERS and not dicom:
            apart.append(place)
            continue
        masks = [f for f in files if is_label_map(f)]
        own = [CasePlace(f, stem(f)) for f in files if f not in masks]
        if own and dicom:
            own, dicom = (
                [replace(v, other_form=dicom[0].name) for v in own],
                [replace(d, other_form=own[0].name) for d in dicom],
            )
        own += dicom
        if not own:  # beside no CT: whatever they call themselves, they may be CT
            own, masks = [CasePlace(f, stem(f)) for f in masks], []
        loose += _given([len(cases) + k for k in range(len(own))], own, masks, maps)
        cases += own
    for place in apart:
        masks = volume_files(place)
        near = [k for k, case in enumerate(cases) if place.parent in (case.name, *case.name.parents)]
        if near:
            loose += _given(near, [cases[k] for k in near], masks, maps)
        else:
            cases += [CasePlace(f, stem(f)) for f in masks]
    cases, maps, images_of_masks = _without_mask_series(cases, maps)
    if warn and images_of_masks:
        warnings.warn(
            f"left out: {listed(images_of_masks)}, series that hold masks and not CT; give their folder as labels=...",
            SkippedCaseWarning,
            stacklevel=4,
        )
    if warn:
        warn_of_label_files(loose, {str(cases[k].name): m for k, m in maps.items() if len(m) > 1})
    return [replace(c, labels=maps[k][0]) if len(maps.get(k, ())) == 1 else c for k, c in enumerate(cases)]


def _given(numbers: list[int], cases: list[CasePlace], masks: list[Path], maps: dict[int, list[Path]]) -> list[Path]:
    """Note in `maps` which case each label map belongs to -> the maps that belong to none of these cases."""
    if len(cases) == len(masks) == 1 and not isinstance(cases[0].image, Path):  # beside one series lies its label map
        found = {masks[0]: 0}
    else:
        found = owners([case.case_id for case in cases], masks)
    for path, k in found.items():
        maps.setdefault(numbers[k], []).append(path)
    return [path for path in masks if path not in found]


def _without_mask_series(
    cases: list[CasePlace], maps: dict[int, list[Path]]
) -> tuple[list[CasePlace], dict[int, list[Path]], list[Path]]:
    """The cases without those of several series that hold masks, their label maps, and the folders left out."""
    from taskct.data.dicom.find import scan
    from taskct.data.dicom.mask_series import is_mask_series

    series = [k for k, case in enumerate(cases) if not isinstance(case.image, Path)]
    if len(series) < 2:
        return cases, maps, []
    masks = set()
    for k in series:
        if cases[k].error is not None:
            continue
        found = scan(cases[k].image)
        if not found.damaged and all(is_mask_series(s) for s in found.series if s.slice_files):
            masks.add(k)
    if len(masks) == len(series):
        return cases, maps, []
    kept = [k for k in range(len(cases)) if k not in masks]
    return [cases[k] for k in kept], {kept.index(k): m for k, m in maps.items() if k in kept}, [cases[k].name for k in masks]


def _series(folder: Path) -> list[CasePlace]:
    """One place per CT series among the files right in one folder; what lies beside it unread is noted."""
    from taskct.data.dicom.find import scan_folder
    from taskct.data.dicom.label_objects import label_objects, not_read_note
    from taskct.data.dicom.lost_files import companions_note

    if not any(_may_be_dicom(f) for f in folder.iterdir()):
        return []
    found = scan_folder(folder)
    if found.damaged:
        return [CasePlace(tuple(found.paths), folder.name, error=found.damaged[0][1])]
    series = [s for s in found.series if s.slice_files]
    volumes = set(volume_files(folder))
    companions = companions_note([p for p in found.companions if p not in volumes], {folder})
    return [
        CasePlace(
            tuple(f.path for f in s.files),
            folder.resolve().name if len(series) == 1 else f"{folder.resolve().name}-{number}",
            series_uid=s.uid,
            notes=(*companions, *not_read_note(label_objects(found), s.uid)),
        )
        for number, s in enumerate(series, start=1)
    ]


def _may_be_dicom(path: Path) -> bool:
    return promised_kind(path) in (None, "dicom") and not path.name.startswith(".") and path.is_file()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.stat().st_size > 0


def _files_below(folder: Path) -> list[Path]:
    return [f for d in [folder, *folders_below(folder)] for f in sorted(d.iterdir()) if _is_file(f)]


def folders_below(folder: Path) -> list[Path]:
    """Every folder below one, without the hidden ones, by path."""
    return sorted(Path(root, name) for root, names, _ in os.walk(folder) for name in names if not name.startswith("."))
