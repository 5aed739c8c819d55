"""Figures of the cohort: `python -m taskct.phantoms.abdomen.gallery docs/figures [--beside CT.nii.gz ...]`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.files import atomic_path
from taskct.phantoms.abdomen.abdomen_anatomy import AbdomenAnatomy
from taskct.phantoms.abdomen.abdomen_ranges import CohortSettings
from taskct.phantoms.abdomen.abdomen_site import labels_from_organs
from taskct.phantoms.abdomen.intensities import Organ
from taskct.phantoms.body import plain_name
from taskct.phantoms.painting.fields import Axes

WINDOWS = {"soft tissue 40/400": (-160.0, 240.0), "liver 60/160": (-20.0, 140.0)}
_SEED = 0


def draw_patients(path: Path, *, first: int = 0, count: int = 15, noise_hu: float = 10.0, overwrite: bool = False) -> None:
    """Write a sheet of `count` patients, one slice each at rising heights, in two windows, tumours outlined in the second."""
    figure, panels = _sheet(count)
    axes = Axes.centred((240, 330), (1.25, 1.25))
    for i in range(count):
        model = AbdomenAnatomy(_SEED, first + i, CohortSettings(noise_hu=noise_hu))
        low, high = model.extent_mm
        canvas = model.paint(low + (high - low) * (0.12 + 0.8 * (i * 0.382 % 1)), axes)
        _show(panels, i, canvas.hu, f"abdomen-{first + i:04d}, {model.habitus.width_mm:.0f} mm wide")
        labels = labels_from_organs(canvas.organ)
        panel = panels[2 * (i // 5) + 1, i % 5]
        for label, colour in ((1, "deepskyblue"), (2, "red")):
            if (labels == label).any():
                panel.contour(labels >= label, [0.5], colors=colour, linewidths=0.6)
    _save(figure, path, overwrite=overwrite)


def draw_beside(
    path: Path, scans: Sequence[Path], *, first: int = 20, noise_hu: float = 10.0, overwrite: bool = False
) -> None:
    """Write a sheet with one or two slices of each real scan (NIfTI) first and built-in patients after them."""
    images = [pair for scan in scans for pair in _real_slices(scan)][:6]
    figure, panels = _sheet(15)
    axes = Axes.centred((232, 320), (1.25, 1.25))
    for i in range(15 - len(images)):
        model = AbdomenAnatomy(_SEED, first + i, CohortSettings(noise_hu=noise_hu))
        low, high = model.extent_mm
        canvas = model.paint(low + (high - low) * (0.15, 0.35, 0.5, 0.65, 0.8)[i % 5], axes)
        images.append((canvas.hu, f"built in: {first + i}"))
    for i, (hu, title) in enumerate(images):
        _show(panels, i, hu, title)
    _save(figure, path, overwrite=overwrite)


def draw_histograms(path: Path, *, patients: int = 40, overwrite: bool = False) -> None:
    """Write the distributions of organ HU, and of the tumours' radius and contrast."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    models = [AbdomenAnatomy(_SEED, n, CohortSettings()) for n in range(patients)]
    shown = (Organ.LIVER, Organ.SPLEEN, Organ.KIDNEY, Organ.AORTA, Organ.LIVER_VESSEL, Organ.PANCREAS, Organ.MUSCLE)
    left.boxplot([[m.tones[organ] for m in models] for organ in shown], orientation="horizontal")
    left.set_yticks(range(1, len(shown) + 1), [plain_name(organ) for organ in shown])
    left.set_xlabel("mean HU of a patient's organ")
    lesions = [one for m in models for one in m.lesions]
    middle.scatter([one.radius_mm for one in lesions], [one.contrast_hu for one in lesions], s=6)
    middle.set_xlabel("tumour radius (mm)")
    middle.set_ylabel("contrast to the liver (HU)")
    right.scatter([m.habitus.width_mm for m in models], [m.liver_volume_ml for m in models], s=8)
    right.set_xlabel("lateral width (mm)")
    right.set_ylabel("liver volume (ml)")
    _save(figure, path, overwrite=overwrite)


def _sheet(count: int) -> tuple[Any, np.ndarray]:
    from matplotlib.figure import Figure

    rows = 2 * -(-count // 5)
    figure = Figure(figsize=(15, 2.25 * rows), layout="constrained")
    panels = np.asarray(figure.subplots(rows, 5))
    for panel in panels.flat:
        panel.axis("off")
    return figure, panels


def _show(panels: np.ndarray, i: int, hu: np.ndarray, title: str) -> None:
    for row, (low, high) in enumerate(WINDOWS.values()):
        panels[2 * (i // 5) + row, i % 5].imshow(hu, cmap="gray", vmin=low, vmax=high)
    panels[2 * (i // 5), i % 5].set_title(title, fontsize=8)


def _real_slices(scan: Path) -> list[tuple[np.ndarray, str]]:
    from taskct.data.open import open_case

    case = open_case(scan)
    found = []
    for share in (0.4, 0.62):
        hu = case.hu[int(share * (len(case.hu) - 1))].numpy()
        body = np.argwhere(hu > -300)
        y, x = body.mean(0).astype(int)
        reach = int(145 / case.spacing_mm[1]), int(200 / case.spacing_mm[2])
        padded = np.pad(hu, max(reach), constant_values=-1000)
        y, x = y + max(reach), x + max(reach)
        found.append((padded[y - reach[0] : y + reach[0], x - reach[1] : x + reach[1]], f"real: {scan.parent.name}"))
    return found


def _save(figure: Any, path: Path, *, overwrite: bool) -> None:
    with atomic_path(path, overwrite=overwrite) as part:
        figure.savefig(part, dpi=72, format="png")


def main() -> None:
    """Write all figures of docs/cohort.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="real CT (NIfTI) to show beside the patients")
    asked = parser.parse_args()
    draw_patients(asked.folder / "cohort_patients.png", overwrite=True)
    draw_histograms(asked.folder / "cohort_distributions.png", overwrite=True)
    if asked.beside:
        draw_beside(asked.folder / "cohort_beside_real.png", asked.beside, overwrite=True)


if __name__ == "__main__":
    main()
