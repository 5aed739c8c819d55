"""Writes docs/figures/chest-gallery.jpg and -real.jpg: built-in chests of every kind beside a real one, in two windows.

python docs/make_chest_gallery.py chest_lidc0314_nodule/ct.nii.gz

The real chest is patient 0314 of LIDC-IDRI (CC BY 3.0; see docs/chest-gallery.md). A minute on one core.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct import open_case
from taskct.data.case import Case
from taskct.data.lungs import find_lungs
from taskct.evaluation import window_named
from taskct.phantoms.chest import ChestSettings, insert_nodule
from taskct.phantoms.chest.chest_anatomy import ChestAnatomy
from taskct.phantoms.chest.nodules import GLASS, PART_SOLID, SOLID
from taskct.phantoms.painting.fields import Axes
from taskct.report.pictures import to_grey

FIGURES = Path(__file__).parent / "figures"
WINDOWS = ("lung", "soft tissue")
AXES = Axes.centred((360, 440), (0.9, 0.9))
NONE = ChestSettings(nodule_share=0, infection_share=0, effusion_share=0, distractors=False)
NODULES = replace(NONE, nodule_share=1.0, diameter_mm=(14.0, 22.0), most_nodules=2)
REAL_SLICES = (85, 62, 42, 8)  # of 90, from the carina down to the heart
INSERTED = ((SOLID, 14.0), (PART_SOLID, 16.0), (GLASS, 16.0))


def built_in() -> list[tuple[str, np.ndarray]]:
    """A name and a slice of each kind, at the height where most of it is seen."""
    found = [(f"healthy, z {z} mm", ChestAnatomy(0, 7, NONE).paint(float(z), AXES).hu) for z in (60, 20, -20, -60)]
    for name, solid, part in ((SOLID, 1.0, 0.0), (PART_SOLID, 0.0, 1.0), (GLASS, 0.0, 0.0)):
        model = ChestAnatomy(0, 12, replace(NODULES, solid=solid, part_solid=part))
        found.append((name, model.paint(model.disease.nodules[0].centre_mm[0], AXES).hu))
    kinds: list[tuple[str, Any, Any]] = [
        ("infection", replace(NONE, infection_share=1.0), lambda m: m.disease.infection),
        ("effusion", replace(NONE, effusion_share=1.0), lambda m: m.disease.effusions),
        ("emphysema", replace(NONE, distractors=True), lambda m: m.disease.bullae),
    ]
    for name, settings, has in kinds:
        model = next(m for m in (ChestAnatomy(0, n, settings) for n in range(20, 60)) if has(m))
        z = -30.0 if name == "effusion" else max(has(model), key=lambda one: one.radius_mm).centre_mm[0]
        found.append((name, model.paint(float(z), AXES).hu))
    return found


def with_nodules(case: Case) -> tuple[Case, list[tuple[str, int, tuple[slice, slice]]]]:
    """The real chest with one nodule of each kind in its left lung, and where each is seen."""
    mask = find_lungs(case).mask
    affine = case.affine_mm
    assert affine is not None
    shown = []
    for k, (kind, diameter) in enumerate(INSERTED):
        z = (20, 42, 66)[k]
        rows, cols = np.nonzero((mask[z] == 2).numpy())
        y, x = int(np.quantile(rows, (0.62, 0.3, 0.55)[k])), int(np.quantile(cols, (0.7, 0.6, 0.65)[k]))
        centre = tuple(float(v) for v in (affine @ [z, y, x, 1.0])[:3])
        case = insert_nodule(case, centre_mm=centre, diameter_mm=diameter, kind=kind, seed=4, lungs=mask)  # type: ignore[arg-type]
        shown.append((kind, z, (slice(y - 50, y + 50), slice(x - 50, x + 50))))
    return case, shown


def draw(pictures: list[tuple[str, np.ndarray]], path: Path, *, columns: int) -> None:
    """Pictures in both windows, pairs of rows."""
    from matplotlib import pyplot

    rows = -(-len(pictures) // columns)
    figure, axes = pyplot.subplots(
        2 * rows, columns, figsize=(2.75 * columns, 4.5 * rows), layout="constrained", squeeze=False
    )
    for place in axes.flat:
        place.set_axis_off()
    for k, (name, hu) in enumerate(pictures):
        for w, window in enumerate(WINDOWS):
            place = axes[2 * (k // columns) + w][k % columns]
            grey = to_grey(torch.from_numpy(np.ascontiguousarray(hu)).float(), window_named(window))
            place.imshow(grey, cmap="gray", vmin=0, vmax=255)
            if w == 0:
                place.set_title(name, fontsize=9)
    figure.savefig(path, dpi=88, pil_kwargs={"quality": 82})
    pyplot.close(figure)


def main() -> None:
    """Both figures; the second one only where the real chest is named."""
    import matplotlib

    matplotlib.use("Agg")
    draw(built_in(), FIGURES / "chest-gallery.jpg", columns=5)
    for path in sys.argv[1:]:
        case = open_case(path)
        inside = (slice(90, 430), slice(40, 460))
        pictures = [(f"LIDC-IDRI-0314, slice {k}", case.hu[k][inside].numpy()) for k in REAL_SLICES]
        made, shown = with_nodules(case)
        pictures += [(f"{kind}, inserted", made.hu[z][box].numpy()) for kind, z, box in shown]
        pictures.append(("the real nodule", case.hu[44][194:294, 134:234].numpy()))
        draw(pictures, FIGURES / "chest-gallery-real.jpg", columns=4)


if __name__ == "__main__":
    main()
