"""The Medical Segmentation Decathlon: imagesTr, labelsTr and dataset.json; of its lungs, cancer and nothing else is known."""

from __future__ import annotations

import re
from pathlib import Path

from taskct.core.names import plural
from taskct.core.open_files import parsing, read_json
from taskct.data.formats import volume_files
from taskct.data.sets.case_place import CasePlace, FoundPlaces
from taskct.data.sets.piece_marks import PieceMarks
from taskct.data.volume import stem

CANCER = "cancer"
_MOST_JSON_BYTES = 2**20
_MOST_NAMED = 3


def msd_places(folder: Path) -> FoundPlaces:
    """The training cases of one task. Those of Task06 (lung) carry marks: cancer, by its connected pieces.

    The same set as nnU-Net stores it is read alike: images end in _0000 (their one channel), and dataset.json may name labels
    the other way round, {"liver": 1}. What dataset.json lists and is not there, images without labels and labels without an
    image are named and counted.
    """
    images, labels = folder / "imagesTr", folder / "labelsTr"
    if not (images.is_dir() and labels.is_dir()):
        return FoundPlaces()
    about = read_json(folder / "dataset.json", limit_bytes=_MOST_JSON_BYTES) if (folder / "dataset.json").is_file() else {}
    names, listed = _names_and_listed(folder / "dataset.json", about)
    lung = str(about.get("name", "")).strip().lower() == "lung" and names == {1: CANCER}
    marks = PieceMarks({1: CANCER}, set_name="msd-lung") if lung else None
    files = volume_files(images)
    own = {f: _without_channel(f.name, {other.name for other in files}) for f in files}
    places = [
        CasePlace(f, stem(Path(own[f])), labels / own[f] if (labels / own[f]).exists() else None, names, marks=marks,
                  may_be_empty=lung)
        for f in files
    ]  # fmt: skip
    there = {*own.values(), *(f.name for f in files)}
    left_out = [
        *_missing(f"{folder / 'dataset.json'}: lists", sorted(set(listed) - there), "that imagesTr does not have"),
        *_missing(f"{images}: has", [p.name.name for p in places if p.labels is None], "without a label map"),
        *_missing(f"{labels}: has", [f.name for f in volume_files(labels) if f.name not in there], "without an image"),
    ]
    return FoundPlaces(tuple(places), tuple(left_out))


def _without_channel(name: str, others: set[str]) -> str:
    """The name of an image without nnU-Net's _0000; an image of several channels keeps it, and has no label map then.

    >>> _without_channel("liver_3_0000.nii.gz", set()), _without_channel("a_0000.nii", {"a_0001.nii"})
    ('liver_3.nii.gz', 'a_0000.nii')
    """
    match = re.fullmatch(r"(.+)_0000(\.[^_]+)", name)
    if match is None or f"{match[1]}_0001{match[2]}" in others or match[1] + match[2] in others:
        return name
    return match[1] + match[2]


def _names_and_listed(path: Path, about: dict[str, object]) -> tuple[dict[int, str], list[str]]:
    if not about:
        return {}, []
    with parsing(path, "a description with a table of labels, as in the Medical Segmentation Decathlon"):
        pairs = [(k, v) if str(k).isdigit() else (v, k) for k, v in about["labels"].items()]  # type: ignore[attr-defined]
        names = {int(number): str(name) for number, name in pairs if int(number) != 0}
        training = about.get("training", [])
        listed = [str(entry["image"]).rsplit("/", 1)[-1] for entry in training]  # type: ignore[attr-defined]
    return names, listed


def _missing(start: str, names: list[str], end: str) -> list[str]:
    if not names:
        return []
    listed = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return [f"{start} {plural(len(names), 'file')} {end}: {listed}"]
