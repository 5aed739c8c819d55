"""Reconstruct measured scans and draw the figures of docs/data.md.

    python docs/make_measured_figures.py DATA [--only tooth|htc]

DATA holds `raw_tomopy_tooth/tooth.h5` (github.com/tomopy/tomopy) and `raw_htc2022_fanbeam/*.mat` (Helsinki Tomography
Challenge 2022, zenodo 7418878, CC BY 4.0). Writes docs/figures/measured_*.png.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from torch import Tensor

from taskct.data.sets.measured import MeasuredScan, read_dxchange, read_htc2022
from taskct.geometry import Grid
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.redundancy import IncompleteScanWarning
from taskct.recon.sirt import sirt
from taskct.recon.tv_min import ConvergenceWarning, tv_min

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FIGURES = Path(__file__).parent / "figures"
INK = {"cmap": "gray", "interpolation": "nearest"}


def tooth(folder: Path) -> None:
    """FBP with the axis where it was found, and with the axis in the middle of the detector: what a wrong axis does."""
    path = folder / "raw_tomopy_tooth" / "tooth.h5"
    scan = read_dxchange(path, pixel_mm=1.0)
    found = (scan.p.shape[-1] - 1) / 2 - scan.beam.col_offset_mm
    wrong = read_dxchange(path, pixel_mm=1.0, axis_col=found - 3)
    grid = Grid((290, 272), 1.0, (-154.0, -136.0))  # the tooth lies beside the axis
    panels = {
        f"FBP, axis found at column {found:.2f}": fbp(scan.p[:1], Projector(grid, scan.beam), window="hann"),
        "FBP, axis 3 columns off": fbp(wrong.p[:1], Projector(grid, wrong.beam), window="hann"),
    }
    figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
    axes[0].imshow(scan.p[0, 0], aspect="auto", **INK)
    axes[0].set(title="p = -ln((counts - dark) / (flat - dark))", xlabel="column", ylabel="view")
    for ax, (name, mu) in zip(axes[1:], panels.items(), strict=True):
        _show(ax, mu, name, high=0.014)
    _save(figure, "measured_tooth.png")


def htc(folder: Path) -> None:
    """Every disc by FBP, by SIRT with mu >= 0, and by TV from there: what a limited angle leaves to the prior."""
    files = sorted((folder / "raw_htc2022_fanbeam").glob("*.mat"))
    figure, axes = plt.subplots(3, len(files), figsize=(2.4 * len(files), 7.6), layout="constrained")
    for ax, path in zip(axes.T, files, strict=True):
        scan = read_htc2022(path)
        grid = scan.grid.resized((192, 192))
        A = Projector(grid, scan.beam)
        sirt_mu = sirt(scan.p, A, iterations=200, nonnegative=True, progress=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IncompleteScanWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)  # a limited angle closes the duality gap very slowly
            fbp_mu = fbp(scan.p, A, window="hann")
            tv_mu = tv_min(scan.p, A, iterations=300, noise_std=0.01, start=sirt_mu, progress=False)
        panels = {f"{path.stem}\n{_arc(scan)}, FBP": fbp_mu, "SIRT, 200 iterations": sirt_mu, "TV, 300 iterations": tv_mu}
        for place, (name, mu) in zip(ax, panels.items(), strict=True):
            _show(place, mu, name, high=0.05)
            print(f"{path.stem}: {name.splitlines()[-1]}: residual {float((A(mu) - scan.p).norm() / scan.p.norm()):.4f}")
    _save(figure, "measured_htc2022.png")


def _arc(scan: MeasuredScan) -> str:
    span = np.rad2deg(scan.angles_rad[-1] - scan.angles_rad[0])
    return f"{len(scan.angles_rad)} views over {span:.0f} deg"


def _show(ax: plt.Axes, mu: Tensor, title: str, *, high: float) -> None:
    ax.imshow(mu[0, 0], vmin=0, vmax=high, **INK)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()


def _save(figure: plt.Figure, name: str) -> None:
    FIGURES.mkdir(exist_ok=True)
    for dpi in (110, 90, 75, 60, 50):
        figure.savefig(FIGURES / name, dpi=dpi)
        if (FIGURES / name).stat().st_size <= 200_000:
            break
    print(f"{FIGURES / name}: {(FIGURES / name).stat().st_size // 1000} kB")


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("data", type=Path)
    words.add_argument("--only", choices=("tooth", "htc"))
    asked = words.parse_args()
    if asked.only != "htc":
        tooth(asked.data)
    if asked.only != "tooth":
        htc(asked.data)
