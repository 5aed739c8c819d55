"""Writes docs/figures/skull-gallery.png: built-in skulls of several ages and kinds, and slices of a real head.

python docs/make_skull_gallery.py [head_vtk_headsq_lowres/ct_raw_units.nii.gz]

The real head is VTK's headsq (Kitware, BSD-3-Clause; see docs/skull-gallery.md), 3.2 x 3.2 x 1.5 mm, in units about 1000 above
HU. Of it only axial slices above the face are shown.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from taskct import open_case
from taskct.evaluation import window_named
from taskct.phantoms.patient import make_patient
from taskct.phantoms.skull import SkullSettings
from taskct.report.pictures import to_grey

OUT = Path(__file__).parent / "figures" / "skull-gallery.png"
SKULLS = [
    (0, "none", 128),
    (3, "sagittal", 128),
    (6, "coronal", 128),
    (8, "metopic", 128),
    (10, "positional", 128),
    (12, "none", 256),
    (24, "none", 128),
    (240, "none", 128),
]  # age in months, kind, voxels a side
HEIGHTS = (0.80, 0.66, 0.46)  # share of the volume's height
REAL_SLICES = (0, 5, 10)  # the scan begins at its widest part of the vault and runs down


def main() -> None:
    """A row per skull: three axial slices, the sagittal and the coronal one, and the mean along x (a lateral radiograph)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    real = sys.argv[1:]
    rows = len(SKULLS) + len(real)
    figure, axes = pyplot.subplots(rows, 6, figsize=(11, 1.95 * rows), layout="constrained")
    for row, (age, kind, size) in zip(axes, SKULLS, strict=False):
        chosen = SkullSettings(age_months=(age, age), kinds={kind: 1.0}, pose=False)
        case = make_patient(1, age + 1, site="skull", shape=(size,) * 3, settings=chosen).case
        hu = case.hu.numpy()
        middle = size // 2
        pictures = [hu[int(h * size)] for h in HEIGHTS] + [hu[::-1, :, middle], hu[::-1, middle]]
        named = ("" if kind == "none" else f", {kind}") + ("" if size == 128 else f", {size} voxels a side")
        show(row, pictures, f"{age} months{named}", 1.0)
        row[5].imshow(np.clip(hu, -1000, 2000).mean(2)[::-1], cmap="gray")
    for path, row in zip(real, axes[len(SKULLS) :], strict=True):
        case = open_case(path)
        hu = case.hu.numpy() - 1000
        show(row, [hu[k, ::-1] for k in REAL_SLICES], "VTK headsq (adult)", 1.0)  # its rows run from back to face
    for place in axes.flat:
        place.set_axis_off()
    figure.savefig(OUT, dpi=80)


def show(row: np.ndarray, pictures: list[np.ndarray], title: str, aspect: float) -> None:
    """Slices in the bone window, the first one with a title."""
    import torch

    for place, picture in zip(row, pictures, strict=False):
        grey = to_grey(torch.from_numpy(np.ascontiguousarray(picture)).float(), window_named("bone"))
        place.imshow(grey, cmap="gray", vmin=0, vmax=255, aspect=aspect)
    row[0].set_title(title, fontsize=9, loc="left")


if __name__ == "__main__":
    main()
