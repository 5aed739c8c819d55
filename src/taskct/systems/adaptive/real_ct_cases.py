"""Real livers, cleaned of table and arms, and slices of them with lesions put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from taskct.core.units import to_hu
from taskct.data.case import AIR_HU, Case
from taskct.data.classes import with_classes
from taskct.data.common_grid import onto_common_grid
from taskct.data.open import open_case
from taskct.evaluation.reading import LesionPair
from taskct.geometry import Grid
from taskct.phantoms.abdomen import CohortSettings
from taskct.phantoms.lesions import insert_lesion
from taskct.phantoms.patient import make_patient

MARGIN_MM = 3.0  # between a lesion and the surface of the liver


@dataclass(frozen=True, eq=False)
class RealPatient:
    """A patient: `case` with labels 1 liver and 2 tumour, what is known about the scan, and whether the liver is labelled."""

    name: str
    about: str
    case: Case
    labelled: bool = True


def read_subjects(data: Path) -> list[RealPatient]:
    """Real CT, and two built-in patients without tumours beside it."""
    labels = "labels_totalsegmentator.nii.gz"
    places: list[tuple[str, str, Path, Path | None, dict[str, list[str | int]]]] = [
        ("Siemens, portal venous", "20 slices of 2 mm; arms at the sides", data / "abdomen_totalseg_siemens20" / "ct.nii.gz",
         data / "abdomen_totalseg_siemens20" / labels, {"liver": [5]}),
        ("no contrast medium, 3 mm", "30 slices of 3 mm voxels", data / "abdomen_totalseg_3mm" / "ct.nii.gz",
         data / "abdomen_totalseg_3mm" / labels, {"liver": [5]}),
        ("no contrast medium, 3 slices", "3 slices of 1 mm", data / "dicom_seg_liver_3slice",
         data / "dicom_seg_liver_3slice" / "liver.dcm", {"liver": [1]}),
        ("GE, liver metastases", "41 slices of 5 mm, no labels", data / "abdomen_crlm1004" / "ct.nii.gz", None, {}),
    ]  # fmt: skip
    found = []
    for name, about, path, label, numbers in places:
        case = open_case(path, labels=label)
        case = with_classes(case, {**numbers, "tumour": []}) if numbers else case
        found.append(RealPatient(name, about, body_only(replace(case, case_id=name, patient_id=name)), bool(numbers)))
    for number in (8, 9):  # test patients of every cohort
        made = make_patient(
            0, number, shape=(16, 256, 256), spacing_mm=(2.5, 1.5, 1.5), settings=CohortSettings(healthy_share=1)
        )
        case = replace(made.case, case_id=f"built-in {number}", patient_id=f"built-in {number}", provenance={})
        found.append(RealPatient(f"built-in {number}", "16 slices of 2.5 mm", case))
    return found


def body_only(case: Case) -> Case:
    """The trunk in the middle of the image; table and arms become air, as the networks never saw any."""
    from scipy.ndimage import binary_dilation, binary_fill_holes, binary_opening, label

    opened = binary_opening(case.hu.numpy() > -300, structure=np.ones((1, 5, 5)))
    pieces, _ = label(opened)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    trunk = np.stack([binary_fill_holes(one) for one in pieces == sizes.argmax()])
    trunk = binary_dilation(trunk, structure=np.ones((1, 3, 3)), iterations=max(1, round(3 / case.spacing_mm[1])))
    at = np.argwhere(trunk.any(0))
    shift = [round((n - 1) / 2 - (lo + hi) / 2) for n, lo, hi in zip(case.hu.shape[1:], at.min(0), at.max(0), strict=True)]
    hu = torch.where(torch.from_numpy(trunk), case.hu, torch.tensor(AIR_HU))
    assert case.affine_mm is not None
    affine = case.affine_mm.copy()
    affine[:3, 3] -= affine[:3, 1] * shift[0] + affine[:3, 2] * shift[1]
    labels = None if case.labels is None else torch.roll(case.labels, shift, (1, 2))
    return replace(case, hu=torch.roll(hu, shift, (1, 2)), labels=labels, affine_mm=affine)


def onto(case: Case, grid: Grid, slices: Sequence[int]) -> Case:
    """Some slices on the networks' grid, as a case."""
    mu, labels = onto_common_grid(case, grid, slices)
    return Case(
        to_hu(mu[:, 0]),
        (case.spacing_mm[0], grid.spacing_mm[0], grid.spacing_mm[1]),
        case.case_id,
        case.patient_id,
        labels=labels,
        label_names=case.label_names,
    )


def places_mm(case: Case, radius_mm: float, most: int) -> list[tuple[float, float, float]]:
    """Places in the liver for lesions of a radius, apart from one another and from its surface: the same ones each time."""
    from scipy.ndimage import distance_transform_edt

    assert case.labels is not None and case.affine_mm is not None
    liver = np.pad((case.labels == 1).numpy(), ((0, 0), (1, 1), (1, 1)))  # slices continue above and below
    depth = distance_transform_edt(liver, sampling=case.spacing_mm)[:, 1:-1, 1:-1]
    fits = np.argwhere(depth > radius_mm + MARGIN_MM)
    found: list[np.ndarray] = []
    for at in fits[np.random.default_rng(7).permutation(len(fits))]:
        gaps = [np.linalg.norm((at - other) * case.spacing_mm) for other in found]
        if not gaps or min(gaps) > 2 * radius_mm:
            found.append(at)
        if len(found) == most:
            break
    return [tuple(float(v) for v in (case.affine_mm @ [*at, 1.0])[:3]) for at in found]  # type: ignore[misc]


def pairs_of(case: Case, grid: Grid, *, radius_mm: float, contrast_hu: float, most: int) -> list[LesionPair]:
    """One slice of the case without and with each lesion: put in on the scanner's own pixels, then on the networks' grid."""
    found = []
    for number, place in enumerate(places_mm(case, radius_mm, most)):
        made = insert_lesion(case, centre_mm=place, radius_mm=radius_mm, contrast_hu=contrast_hu, seed=number)
        assert case.affine_mm is not None
        k = int(np.linalg.solve(case.affine_mm, [*place, 1.0])[0].round())
        name = f"{case.case_id}, place {number}"
        one, other = (replace(onto(c, grid, [k]), case_id=name) for c in (case, made))
        found.append(LesionPair(one, other))
    return found


def group_of(subject: RealPatient) -> str:
    """Which line of the tables a subject belongs to."""
    if subject.name.startswith("built-in"):
        return "built-in"
    return "no contrast medium" if subject.name.startswith("no contrast") else "portal venous"
