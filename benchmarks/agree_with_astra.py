"""Do our sinograms agree with ASTRA's? Prints one line per geometry; writes benchmarks/results/agree_with_astra.csv.

ASTRA is GPLv3 and never a dependency: it runs in a second environment, as a process that reads and writes arrays.

    python benchmarks/agree_with_astra.py --peer-python .venv-peers/bin/python
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from taskct.geometry import FanBeam, Grid, ParallelBeam
from taskct.physics.projector import Projector

# ASTRA's y axis points up, from the last row to the first, so its angles run the other way.
ASTRA = """
import sys, numpy as np, astra
z = np.load(sys.argv[1])
h, w, s = int(z["h"]), int(z["w"]), float(z["spacing"])
grid = astra.create_vol_geom(h, w, -w * s / 2, w * s / 2, -h * s / 2, h * s / 2)
kind = str(z["kind"])
if kind == "parallel":
    beam, name = astra.create_proj_geom("parallel", float(z["pixel"]), int(z["cols"]), z["angles"]), str(z["model"])
else:
    beam = astra.create_proj_geom("fanflat", float(z["pixel"]), int(z["cols"]), z["angles"], float(z["so"]), float(z["od"]))
    name = str(z["model"]) + "_fanflat"
number, sinogram = astra.create_sino(z["image"], astra.create_projector(name, beam, grid))
np.save(sys.argv[2], sinogram)
"""


def image_of_ellipses(size: int) -> np.ndarray:
    """A smooth test object: blurred ellipses, so that pixel models differ as little as they can."""
    from scipy.ndimage import gaussian_filter

    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    image = 0.02 * ((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1) + 0.01 * (((x - 0.3) / 0.1) ** 2 + ((y + 0.2) / 0.2) ** 2 < 1)
    return gaussian_filter(image, 1.5)


def theirs(peer: str, folder: Path, **facts: object) -> np.ndarray:
    """ASTRA's sinogram (V, C) from its own environment."""
    np.savez(folder / "in.npz", **facts)
    subprocess.run([peer, "-c", ASTRA, str(folder / "in.npz"), str(folder / "out.npy")], check=True)
    return np.load(folder / "out.npy")


def main() -> None:
    """Compare parallel and fan beams under ASTRA's pixel models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--out", default="benchmarks/results/agree_with_astra.csv")
    options = parser.parse_args()
    size, spacing, rows = 256, 1.1, []
    image = image_of_ellipses(size)
    mu = torch.tensor(image, dtype=torch.float32)[None, None]
    parallel = ParallelBeam(views=180, cols=400, pixel_mm=1.0)
    fan = FanBeam(views=180, cols=420, pixel_mm=1.7, source_iso_mm=500.0, source_detector_mm=850.0)
    with tempfile.TemporaryDirectory() as name:
        for beam, models in ((parallel, ("linear", "line", "strip")), (fan, ("line", "strip"))):
            ours = Projector(Grid((size, size), spacing), beam)(mu)[0, 0].numpy()
            facts = {"image": image, "h": size, "w": size, "spacing": spacing, "pixel": beam.pixel_mm, "cols": beam.cols}
            if isinstance(beam, FanBeam):
                facts |= {"kind": "fan", "so": beam.source_iso_mm, "od": beam.source_detector_mm - beam.source_iso_mm}
                # ASTRA's source stands at (R sin a, -R cos a); ours, with y turned up, at (R sin t, R cos t): a = pi - t
                facts["angles"] = np.pi - beam.angles_rad
            else:
                facts |= {"kind": "parallel", "angles": -beam.angles_rad}
            for model in models:
                peer = theirs(options.peer_python, Path(name), model=model, **facts)
                if isinstance(beam, FanBeam):
                    peer = peer[:, ::-1]
                error = float(np.linalg.norm(ours - peer) / np.linalg.norm(peer))
                rows.append({"beam": facts["kind"], "astra_model": model, "relative_difference": f"{error:.3g}"})
                print(*rows[-1].values(), sep="\t")
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    with open(options.out, "w", newline="") as f:
        table = csv.DictWriter(f, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
