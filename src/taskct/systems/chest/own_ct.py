"""`taskct chest CT`: a user's chest CT through a chest network -> findings, lesions, areas, and a page with its limits."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from taskct.core.csv_cells import csv_text
from taskct.core.errors import InputError, TaskctError
from taskct.core.files import atomic_folder, refuse_existing, refuse_others, write_text
from taskct.data.case import Case
from taskct.data.chest_cavity import chest_cavity
from taskct.data.lungs import SIDES, find_lungs
from taskct.models.model_folder import SavedModel, open_model
from taskct.models.package_models import shipped_models
from taskct.systems.chest.chest_classes import AREAS
from taskct.systems.chest.chest_net import TABLE, ChestReader, reader_of
from taskct.systems.chest.ct_limits import facts_of_ct, outside_of_training
from taskct.systems.chest.own_chest import OwnChest
from taskct.systems.chest.own_crops import OwnCrops
from taskct.systems.chest.own_lesions import inside, read_crops_of_ct
from taskct.systems.chest.own_page import own_page

PathLike = str | os.PathLike[str]
MASKS = ("auto", "seg", "nifti")
FINDINGS_CSV, LESIONS_CSV, PAGE = "findings.csv", "lesions.csv", "report.html"
LUNGS, AREAS_SEG, AREAS_NIFTI = "lungs.nii.gz", "areas.dcm", "areas.nii.gz"
FILES = (FINDINGS_CSV, LESIONS_CSV, LUNGS, AREAS_SEG, AREAS_NIFTI, PAGE)
LESION_COLUMNS = (
    "case", "kind", "score", "side", "x_min_mm", "y_min_mm", "z_min_mm", "x_max_mm", "y_max_mm", "z_max_mm", "diameter_mm",
)  # fmt: skip
MOST_READERS = 16  # of a map of votes


def read_chest(case: Case, *, network: PathLike | None = None, votes: Tensor | None = None) -> OwnChest:
    """A chest CT through a network: its lungs are found, cropped and read slice by slice.

    `network` is a name of `taskct models` or the folder of a run of the chest system; the one of the package by default.
    `votes` (Z, Y, X) counts readers who marked each sample. Raises InputError where no network is there, UnsupportedDataError
    for a CT without lungs.
    """
    return _read(case, *open_chest_network(network), votes=votes)


def _read(case: Case, reader: ChestReader, about: SavedModel, *, votes: Tensor | None) -> OwnChest:
    lungs = find_lungs(case)
    crops = OwnCrops.of(case, lungs, pixel_mm=reader.config.pixel_mm, slice_mm=reader.config.slice_mm)
    answers, left_out = inside(read_crops_of_ct(reader, crops), chest_cavity(case, lungs), case.spacing_mm)
    outside = outside_of_training(facts_of_ct(case, lungs), lungs)
    trained_on, limits = words_of_network(about)
    return OwnChest(case, lungs, answers, tuple(outside), trained_on, limits, about.name, votes, left_out)


def read_own_chest(
    ct: PathLike,
    out: PathLike,
    *,
    network: PathLike | None = None,
    votes: PathLike | None = None,
    masks: str = "auto",
    series_uid: str | None = None,
    untilt: bool = False,
    overwrite: bool = False,
) -> OwnChest:
    """Read a CT and write what was found into the folder `out`, which appears whole or not at all.

    With `overwrite` a folder of an earlier reading is replaced, and no other one.

    findings.csv   score of each finding, and where it is highest
    lesions.csv    boxes in LPS mm with scores, as `open_marked` reads them
    areas          a DICOM SEG (areas.dcm) on a DICOM series, else areas.nii.gz; `masks` "seg" or "nifti" chooses
    lungs.nii.gz   the lungs as they were found
    report.html    the page
    """
    from taskct.data.open import open_case
    from taskct.data.padding import refuse_label_map

    if masks not in MASKS:
        raise InputError(f"masks expects one of {', '.join(MASKS)}, got {masks!r}")
    refuse_existing(out, overwrite=overwrite, folder=True)
    refuse_others(out, FILES, sources=[ct] if votes is None else [ct, votes])
    reader, about = open_chest_network(network)  # before the CT is read
    case = open_case(ct, series_uid=series_uid, untilt=untilt)
    refuse_label_map(ct, case.hu.numpy())
    dicom = case.provenance.get("format") == "DICOM"
    if masks == "seg" and not dicom:
        raise InputError(f"{ct}: not a DICOM series, so no SEG can refer to it; take masks='nifti' (--masks nifti)")
    readers = None if votes is None else _votes(votes, case)
    found = _read(case, reader, about, votes=readers)
    with atomic_folder(out, overwrite=overwrite) as folder:
        write_own_chest(found, folder, seg_of=Path(ct) if dicom and masks != "nifti" else None)
    return found


def _votes(votes: PathLike, case: Case) -> Tensor:
    """How many readers marked each sample of the case; a map of zeros says that no reader marked anything."""
    from taskct.data.labels import read_labels

    counts = read_labels(votes, case, may_be_empty=True)[0]
    if int(counts.max()) > MOST_READERS:
        raise InputError(
            f"{votes}: expected how many readers marked each sample, 0 to {MOST_READERS}, got {int(counts.max())}; "
            "a mask of one reader has 1 where the reader marked"
        )
    return counts


def open_chest_network(network: PathLike | None) -> tuple[ChestReader, SavedModel]:
    """The network of a name or a run, and what is known of it; the first chest network of the package for None."""
    if network is None:
        ours = [name for name, folder in shipped_models().items() if TABLE in _config(folder)]
        if not ours:
            raise InputError(
                "no chest network comes with this taskct yet; name one: --network RUN, a network of taskct reproduce chest"
            )
        network = ours[0]
    about = open_model(network, own=True)
    return reader_of(about), about


def words_of_network(about: SavedModel) -> tuple[str, tuple[str, ...]]:
    """What a network was trained on, and where it ends: by its card, else by what the chest system trains on."""
    card = about.card
    if card is not None and card.training_data:
        sources = "; ".join(f"{d.name}: {d.patients} patients, {d.images} images" for d in card.training_data)
        return f"Trained on {sources}.", (*_LIMITS, *card.limits)
    return "Trained on built-in chests: computed phantoms, no patients.", _LIMITS


_LIMITS = (
    "It was never tested on patients: how many lesions it misses or invents in real CT is not known.",
    "It knows nodules, infection (ground glass and consolidation) and effusions as they were computed, and nothing else: "
    "emphysema, fibrosis, tuberculosis, emboli, fractures and masses in the mediastinum have no name here.",
    "It is for research on reconstruction and dose. It is not a medical device: no decision about a patient may rest on it.",
)


def write_own_chest(found: OwnChest, folder: Path, *, seg_of: Path | None) -> list[Path]:
    """Write tables, masks and page; returns the files. `seg_of` is the DICOM series that a SEG refers to."""
    from taskct.data.nifti import write_nifti_labels

    write_text(folder / FINDINGS_CSV, csv_text(("finding", "score", "side", "z_mm", "slice"), _finding_rows(found)))
    write_text(folder / LESIONS_CSV, csv_text(LESION_COLUMNS, _lesion_rows(found)))
    lungs = replace(found.case, labels=found.lungs.labels, label_names={1: "right lung", 2: "left lung"}, marks=None)
    write_nifti_labels(lungs, folder / LUNGS)
    files, masks = (
        [folder / FINDINGS_CSV, folder / LESIONS_CSV, folder / LUNGS],
        "no area was seen: no mask was written",
    )
    if found.labels is not None and bool((found.labels > 0).any()):
        names = dict(enumerate(AREAS, start=1))
        marked = replace(found.case, labels=found.labels, label_names=names, marks=None)
        masks = _write_areas(marked, folder, seg_of, algorithm=found.network)
        files.append(folder / masks.split(":")[0])
    write_text(folder / PAGE, own_page(found, masks=masks))
    return [*files, folder / PAGE]


def _write_areas(marked: Case, folder: Path, seg_of: Path | None, *, algorithm: str) -> str:
    from taskct.data.dicom.write_seg import write_seg
    from taskct.data.nifti import write_nifti_labels

    if seg_of is not None:
        try:
            write_seg(
                marked,
                folder / AREAS_SEG,
                source=seg_of,
                algorithm=algorithm,
                description="taskct chest, research only",
                lesions=list(marked.label_names),
            )
            return f"{AREAS_SEG}: DICOM SEG on the series"
        except TaskctError as error:  # a series that no SEG can refer to
            write_nifti_labels(marked, folder / AREAS_NIFTI)
            return f"{AREAS_NIFTI}: NIfTI, since {error}"
    write_nifti_labels(marked, folder / AREAS_NIFTI)
    return f"{AREAS_NIFTI}: NIfTI"


def _finding_rows(found: OwnChest) -> list[dict[str, Any]]:
    return [
        {
            "finding": f.name,
            "score": f"{f.score:.3f}",
            "side": f.side,
            "z_mm": f"{world_mm(found.case, (f.z_mm, *_middle_mm(found, f.side)))[2]:.1f}",
            "slice": found.slice_at(f.z_mm),
        }
        for f in found.findings
    ]


def _lesion_rows(found: OwnChest) -> list[dict[str, Any]]:
    rows = []
    for one in found.lesions:
        ends = zip(one.low_mm, one.high_mm, strict=True)  # all eight corners: the axes of a CT may be turned
        places = np.stack([world_mm(found.case, place) for place in itertools.product(*ends)])
        corners = [f"{v:.2f}" for v in (*places.min(0), *places.max(0))]
        row = dict(zip(LESION_COLUMNS[4:10], corners, strict=True))
        facts = {"case": found.case.case_id, "kind": one.kind, "score": f"{one.score:.3f}", "side": one.side}
        rows.append({**facts, **row, "diameter_mm": f"{one.diameter_mm:.1f}"})
    return rows


def _middle_mm(found: OwnChest, side: str) -> tuple[float, float]:
    """The middle (y, x) of a lung in its slices, in mm from the case's first sample: a tilted slice has no one height."""
    box = next(box for number, box in found.lungs.boxes.items() if SIDES[number] == side)
    y, x = ((low + high - 1) / 2 * s for low, high, s in zip(box[1:3], box[4:6], found.case.spacing_mm[1:], strict=True))
    return y, x


def world_mm(case: Case, place_mm: Sequence[float]) -> np.ndarray:
    """LPS x, y, z of a place (z, y, x) in mm from the case's first sample."""
    assert case.affine_mm is not None
    index = [p / s for p, s in zip(place_mm, case.spacing_mm, strict=True)]
    return np.asarray((case.affine_mm @ [*index, 1.0])[:3][::-1])


def _config(folder: Path) -> dict[str, Any]:
    from taskct.core.runs import load_run

    return dict(load_run(folder).config)
