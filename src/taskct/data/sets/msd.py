"""The Medical Segmentation Decathlon: imagesTr, labelsTr and dataset.json; of its lungs, cancer and nothing else is known."""

from __future__ import annotations

from pathlib import Path

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

    What dataset.json lists and is not there, images without labels and labels without an image are named and counted.
    """
    images, labels = folder / "imagesTr", folder / "labelsTr"
    if not (images.is_dir() and labels.is_dir()):
        return FoundPlaces()
    about = read_json(folder / "dataset.json", limit_bytes=_MOST_JSON_BYTES) if (folder / "dataset.json").is_file() else {}
    names, listed = _names_and_listed(folder / "dataset.json", about)
    lung = str(about.get("name", "")).strip().lower() == "lung" and names == {1: CANCER}
    marks = PieceMarks({1: CANCER}, set_name="msd-lung") if lung else None
    files = volume_files(images)
    places = [
        CasePlace(f, stem(f), labels / f.name if (labels / f.name).exists() else None, names, marks=marks, may_be_empty=lung)
        for f in files
    ]
    there = {f.name for f in files}
    left_out = [
        *_missing(f"{folder / 'dataset.json'}: lists", sorted(set(listed) - there), "that imagesTr does not have"),
        *_missing(f"{images}: has", [p.name.name for p in places if p.labels is None], "without a label map"),
        *_missing(f"{labels}: has", [f.name for f in volume_files(labels) if f.name not in there], "without an image"),
    ]
    return FoundPlaces(tuple(places), tuple(left_out))


def _names_and_listed(path: Path, about: dict[str, object]) -> tuple[dict[int, str], list[str]]:
    if not about:
        return {}, []
    with parsing(path, "a description with a table of labels, as in the Medical Segmentation Decathlon"):
        names = {int(number): str(name) for number, name in about["labels"].items() if int(number) != 0}  # type: ignore[attr-defined]
        training = about.get("training", [])
        listed = [str(entry["image"]).rsplit("/", 1)[-1] for entry in training]  # type: ignore[attr-defined]
    return names, listed


def _missing(start: str, names: list[str], end: str) -> list[str]:
    if not names:
        return []
    listed = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return [f"{start} {len(names)} file(s) {end}: {listed}"]
