"""Which cases lie in a folder: the layouts of public data sets, or any folder of files and sub-folders."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskct.core.errors import FileFormatError
from taskct.data.chaos import CHAOS_LABELS
from taskct.data.dicom.parse import looks_like_dicom
from taskct.data.formats import promised_kind, volume_files
from taskct.data.volume import stem

LITS_LABELS = {1: "liver", 2: "liver tumour"}
_MOST_JSON_BYTES = 2**20
_LABEL_WORD = re.compile(r"(^|[-_. ])(labels?|seg|segmentations?|masks?)(?=$|[-_. ])", re.IGNORECASE)


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


def find_cases(folder: Path) -> list[CasePlace]:
    """The cases of a folder, by the first layout that fits; empty when there are none.

    MSD (imagesTr, labelsTr, dataset.json), LiTS (volume-N, segmentation-N), CHAOS (N/DICOM_anon, N/Ground),
    TotalSegmentator (sNNNN/ct.nii.gz, segmentations/), else every volume file and every CT series below the folder. There a
    file that calls itself labels, seg, segmentation or mask is the label map of the CT beside it (`_with_labels`).
    """
    for layout in (_msd, _lits, _chaos, _totalsegmentator):
        found = layout(folder)
        if found:
            return found
    return _anything(folder)


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
    if path.stat().st_size > _MOST_JSON_BYTES:
        raise FileFormatError(f"{path}: {path.stat().st_size} bytes, too large for a description")
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
        return {int(number): str(name) for number, name in labels.items() if int(number) != 0}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"{path}: expected a table of labels as in the Medical Segmentation Decathlon") from error


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


def _anything(folder: Path) -> list[CasePlace]:
    found: list[CasePlace] = []
    for place in [folder, *_folders_below(folder)]:
        found += _with_labels(volume_files(place))
        dicom = [
            f for f in sorted(place.iterdir()) if _is_file(f) and promised_kind(f) in (None, "dicom") and looks_like_dicom(f)
        ]
        found += _series(place, dicom)
    return found


def _with_labels(files: list[Path]) -> list[CasePlace]:
    """The volumes of one folder: `a.nii` with `a_labels.nii`, or a single volume with a single label map of any name.

    Label maps of no volume are left out; where all files call themselves label maps, none is beside a CT, and all are listed.
    """
    masks = [f for f in files if _LABEL_WORD.search(stem(f))]
    images = [f for f in files if f not in masks]
    if not images:
        return [CasePlace(f, stem(f)) for f in files]
    if len(images) == len(masks) == 1:
        return [CasePlace(images[0], stem(images[0]), masks[0])]
    of = {_LABEL_WORD.sub("", stem(f)): f for f in masks}
    return [CasePlace(f, stem(f), of.get(stem(f))) for f in images]


def _series(folder: Path, files: list[Path]) -> list[CasePlace]:
    """One place per CT series among the DICOM files of one folder."""
    from taskct.data.dicom.scan import scan

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
