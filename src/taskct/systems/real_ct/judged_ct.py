"""The CT that the networks are judged on, and the rule by which regions and places for lesions are drawn on the full dose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taskct.data.open import open_case
from taskct.evaluation.windows import Window

ABDOMEN = Window(50, 350, "abdomen")


@dataclass(frozen=True, kw_only=True)
class JudgedCT:
    """A CT of the data folder: its file, whether training saw the patient, slices that are judged and that tune TV.

    `window` is that of its pictures; None where no picture is published, as a face could be recognised.
    """

    path: str
    about: str
    licence: str
    seen: bool
    slices: tuple[int, ...]
    tuned_on: tuple[int, ...]
    window: Window | None = ABDOMEN

    def slice_of(self, data: Path, number: int) -> tuple[np.ndarray, float]:
        """HU (Y, X) of a slice, air where the scanner wrote none, and the pixel in mm."""
        case = open_case(data / self.path)
        return case.hu[number].clamp(-1000, 3500).numpy(), float(case.spacing_mm[1])


JUDGED: Mapping[str, JudgedCT] = {
    "abdomen_crlm1004": JudgedCT(
        path="abdomen_crlm1004/ct.nii.gz", about="abdomen, portal venous, GE, .80 mm", licence="CC BY 4.0", seen=False,
        slices=(24,), tuned_on=(12,),
    ),
    "chest_lidc0314_nodule": JudgedCT(
        path="chest_lidc0314_nodule/ct.nii.gz", about="chest, Philips, sharp kernel, .78 mm", licence="CC BY 3.0", seen=False,
        slices=(84,), tuned_on=(45,), window=Window(-400, 1500, "lung and soft tissue"),
    ),
    "head_invesalius_cranium": JudgedCT(
        path="head_invesalius_cranium/ct.nii.gz", about="head, .96 mm", licence="GPL-2, for the test alone", seen=False,
        slices=(60,), tuned_on=(75,), window=None,
    ),
    "abdomen_totalseg_siemens20": JudgedCT(
        path="abdomen_totalseg_siemens20/ct.nii.gz", about="abdomen, portal venous, Siemens, .98 mm", licence="Apache-2.0",
        seen=True, slices=(19,), tuned_on=(12,),
    ),
    "dicom_seg_liver_3slice": JudgedCT(
        path="dicom_seg_liver_3slice", about="abdomen, no contrast medium, GE, .81 mm", licence="BSD-3-Clause", seen=True,
        slices=(1,), tuned_on=(0,),
    ),
    "abdomen_totalseg_3mm": JudgedCT(
        path="abdomen_totalseg_3mm/ct.nii.gz", about="abdomen, 3 mm pixels", licence="Apache-2.0", seen=True, slices=(15,),
        tuned_on=(7,),
    ),
}  # fmt: skip

REGIONS = {
    "lung": (-950.0, -650.0),
    "fat": (-130.0, -70.0),
    "soft tissue": (10.0, 80.0),
    "enhanced": (80.0, 200.0),
    "bone": (250.0, 2000.0),
}
DIAMETERS_MM = (4.0, 8.0, 12.0)
CONTRAST_HU = -30.0
_SMOOTH_MM, _NEAR_MM = 3.0, 4.0
_EVEN_HU = {"lung": 120.0, "bone": 400.0}  # largest difference of the smoothed image within 4 mm; 40 HU elsewhere
_APART_MM = 20.0
_MOST_PLACES = 24


def body_of(hu: np.ndarray) -> np.ndarray:
    """The largest connected part above -300 HU, opened by 5 x 5 pixels, its holes filled: (Y, X) bool."""
    from scipy.ndimage import binary_fill_holes, binary_opening, label

    pieces, count = label(binary_opening(hu > -300, np.ones((5, 5))))
    if count == 0:
        return np.zeros(hu.shape, bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(binary_fill_holes(pieces == sizes.argmax()))


def regions_of(hu: np.ndarray, pixel_mm: float) -> dict[str, np.ndarray]:
    """Masks of the regions of a full-dose slice, those of 300 pixels and more.

    A pixel belongs to a region where the image, smoothed by a Gaussian of 3 mm, lies in the region's range and differs by at
    most 40 HU (lung 120, bone 400) within 4 mm; inside the body. The rule sees the full dose alone.
    """
    smooth, spread = _smoothed(hu, pixel_mm)
    body = body_of(hu)
    found = {}
    for name, (low, high) in REGIONS.items():
        mask = body & (smooth >= low) & (smooth < high) & (spread < _EVEN_HU.get(name, 40.0))
        if mask.sum() >= 300:
            found[name] = mask
    return found


def lesion_places(hu: np.ndarray, pixel_mm: float, *, seed: int = 0) -> list[tuple[int, int, float]]:
    """(y, x, diameter in mm) of lesions, 20 mm apart and 8 mm inside even soft tissue, of the three sizes in turn."""
    from scipy.ndimage import distance_transform_edt

    smooth, spread = _smoothed(hu, pixel_mm)
    soft = body_of(hu) & (smooth > 0) & (smooth < 200) & (spread < 60)
    deep = distance_transform_edt(soft) * pixel_mm
    order = np.argwhere(deep > 8.0)
    order = order[np.random.default_rng(seed).permutation(len(order))]
    found: list[tuple[int, int, float]] = []
    for y, x in order:
        if all(np.hypot(y - a, x - b) * pixel_mm > _APART_MM for a, b, _ in found):
            found.append((int(y), int(x), DIAMETERS_MM[len(found) % len(DIAMETERS_MM)]))
        if len(found) == _MOST_PLACES:
            break
    return found


def with_lesions(hu: np.ndarray, pixel_mm: float, places: list[tuple[int, int, float]]) -> np.ndarray:
    """The slice with discs of -30 HU whose edge is one pixel wide."""
    made = hu.copy()
    for y, x, diameter in places:
        made += CONTRAST_HU * np.clip((diameter / 2 - distance_mm(hu.shape, pixel_mm, y, x)) / pixel_mm + 0.5, 0, 1)
    return made.astype(np.float32)


def distance_mm(shape: tuple[int, ...], pixel_mm: float, y: int, x: int) -> np.ndarray:
    """Distance of every pixel from one of them."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(rows - y, cols - x) * pixel_mm)


def _smoothed(hu: np.ndarray, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """The image smoothed by 3 mm, and its largest difference within 4 mm."""
    from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

    smooth = gaussian_filter(hu, _SMOOTH_MM / pixel_mm)
    size = 2 * round(_NEAR_MM / pixel_mm) + 1
    return smooth, maximum_filter(smooth, size) - minimum_filter(smooth, size)
