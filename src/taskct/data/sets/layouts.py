"""Which cases lie in a folder: the layouts of public data sets, or any folder of files and sub-folders."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from taskct.core.open_files import parsing, read_json
from taskct.data.dicom.parse import looks_like_dicom
from taskct.data.formats import promised_kind, volume_files
from taskct.data.sets.chaos import CHAOS_LABELS
from taskct.data.sets.label_files import LABEL_FOLDERS, is_label_map, owners, warn_of_label_files
from taskct.data.volume import stem

LITS_LABELS = {1: "liver", 2: "liver tumour"}
_MOST_JSON_BYTES = 2**20


@dataclass(frozen=True)
class CasePlace:
    """Where one case lies: an image file, a folder or files of a DICOM series, and what labels it."""

    image: Path | tuple[Path, ...]
    case_id: str
    labels: Path | None = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    series_uid: str | None = None

    @property
    def name(self) -> Path:
        """One path for messages."""
        return self.image if isinstance(self.image, Path) else self.image[0].parent


def find_cases(folder: Path, *, warn: bool = True) -> list[CasePlace]:
    """The cases of a folder, by the first layout that fits; empty when there are none.

    MSD (imagesTr, labelsTr, dataset.json), LiTS (volume-N, segmentation-N), CHAOS (N/DICOM_anon, N/Ground),
    TotalSegmentator (sNNNN/ct.nii.gz, segmentations/), else every volume file and every CT series below the folder. A
    file there that calls itself labels, seg, segmentation or mask, or lies in a folder labels, masks or segmentations, is the
    label map of the CT of its name (`label_files.owners`), or of the one series that it lies with. A CT with several stays
    unlabelled; that, and label maps that belong to no CT, are warned of unless `warn` is False.
    """
    for layout in (_msd, _lits, _chaos, _totalsegmentator):
        found = layout(folder)
        if found:
            return found
    return cases_of([folder, *_folders_below(folder)], warn=warn)


def _msd(folder: Path) -> list[CasePlace]:
    images, labels = folder / "imagesTr", folder / "labelsTr"
    if not (images.is_dir() and labels.is_dir()):
        return []
    names = _msd_names(folder / "dataset.json")
    return [
        CasePlace(image, stem(image), labels / image.name if (labels / image.name).exists() else None, names)
        for image in volume_files(images)
    ]


def _msd_names(path: Path) -> dict[int, str]:
    if not path.is_file():
        return {}
    about = read_json(path, limit_bytes=_MOST_JSON_BYTES)
    with parsing(path, "a description with a table of labels, as in the Medical Segmentation Decathlon"):
        return {int(number): str(name) for number, name in about["labels"].items() if int(number) != 0}


def _lits(folder: Path) -> list[CasePlace]:
    """Volumes and segmentations may lie in one folder or in two below it."""
    files = [f for f in _files_below(folder) if promised_kind(f) == "nifti"]
    volumes = {m[1]: f for f in files if (m := re.fullmatch(r"volume-(\d+)\.nii(\.gz)?", f.name))}
    masks = {m[1]: f for f in files if (m := re.fullmatch(r"segmentation-(\d+)\.nii(\.gz)?", f.name))}
    if not volumes:
        return []
    return [CasePlace(volumes[n], f"volume-{n}", masks.get(n), LITS_LABELS) for n in sorted(volumes, key=int)]


def _chaos(folder: Path) -> list[CasePlace]:
    series = sorted((d for d in _folders_below(folder) if d.name == "DICOM_anon"), key=lambda d: (len(str(d)), str(d)))
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


def cases_of(folders: list[Path], *, warn: bool = True) -> list[CasePlace]:
    """Volumes and series right in these folders, the first of which holds the others, each with its label map."""
    cases: list[CasePlace] = []
    maps: dict[int, list[Path]] = {}
    loose: list[Path] = []
    apart: list[Path] = []
    for place in folders:
        files, dicom = volume_files(place), _dicom_files(place)
        if place != folders[0] and place.name.lower() in LABEL_FOLDERS and not dicom:
            apart.append(place)
            continue
        masks = [f for f in files if is_label_map(f)]
        own = [CasePlace(f, stem(f)) for f in files if f not in masks] + _series(place, dicom)
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


def _dicom_files(folder: Path) -> list[Path]:
    files = (f for f in sorted(folder.iterdir()) if _is_file(f) and promised_kind(f) in (None, "dicom"))
    return [f for f in files if looks_like_dicom(f)]


def _series(folder: Path, files: list[Path]) -> list[CasePlace]:
    """One place per CT series among the DICOM files of one folder."""
    from taskct.data.dicom.find import scan

    if not files:
        return []
    found = scan(files)
    if found.damaged:
        return [CasePlace(tuple(files), folder.name)]  # reading it says what is damaged
    series = [s for s in found.series if s.slice_files]
    return [
        CasePlace(
            tuple(f.path for f in s.files),
            folder.resolve().name if len(series) == 1 else f"{folder.resolve().name}-{number}",
            series_uid=s.uid,
        )
        for number, s in enumerate(series, start=1)
    ]


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.stat().st_size > 0


def _files_below(folder: Path) -> list[Path]:
    return [f for d in [folder, *_folders_below(folder)] for f in sorted(d.iterdir()) if _is_file(f)]


def _folders_below(folder: Path) -> list[Path]:
    return sorted(Path(root, name) for root, names, _ in os.walk(folder) for name in names if not name.startswith("."))
