"""Write the tables of docs/reconstruction.md: accuracy on exact scans, and convergence of TV.

python docs/make_reconstruction_table.py      a few minutes; writes docs/reconstruction.md between its markers
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from page_tables import filled
from torch import Tensor

from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam
from taskct.phantoms.exact.ellipses import Ellipse, Ellipsoid, Phantom, ellipses
from taskct.physics.projector import Projector
from taskct.recon import TvProblem, fbp, tv_steps

PAGE = Path(__file__).with_name("reconstruction.md")
FAR = {"pixel_mm": 2.0, "source_iso_mm": 200.0, "source_detector_mm": 400.0}
PARALLEL = ParallelBeam(views=180, cols=96, pixel_mm=1.0)
FLAT = FanBeam(views=360, cols=96, **FAR)
CONE = ConeBeam(views=180, cols=68, rows=32, **FAR)
BEAMS: dict[str, Beam] = {
    "parallel, 180 deg": PARALLEL,
    "parallel, 270 deg": replace(PARALLEL, views=270, arc_deg=270.0),
    "parallel, wide field": replace(PARALLEL, views=360, cols=56, arc_deg=360.0, col_offset_mm=20.3),
    "fan, flat": FLAT,
    "fan, flat, short scan": replace(FLAT, views=240, arc_deg=208.0),
    "fan, flat, wide field": replace(FLAT, cols=58, col_offset_mm=40.0),
    "fan, curved": replace(FLAT, curved=True),
    "fan, curved, short scan": replace(FLAT, views=240, arc_deg=208.0, curved=True),
    "cone, flat": CONE,
    "cone, curved": replace(CONE, curved=True),
    "cone, flat, short scan": replace(CONE, arc_deg=200.0),
    "cone, flat, wide field": replace(CONE, cols=44, col_offset_mm=26.0),
}
PLACES = (((5.0, -7.0), 9.0), ((-9.0, 9.0), 6.5))  # centre (y, x) and radius in mm; 0.02/mm


def accuracy() -> str:
    """Error of the mean of two disks or balls off the centre, by window."""
    lines = ["| scan | ram-lak | hann, 0.641 |", "|---|---:|---:|"]
    for name, beam in BEAMS.items():
        cone = isinstance(beam, ConeBeam)
        bodies: tuple[Ellipsoid, ...]
        if cone:
            bodies = tuple(Ellipsoid(centre_mm=(1.5, *c), half_axes_mm=(r,) * 3, mu_per_mm=0.02) for c, r in PLACES)
        else:
            bodies = tuple(Ellipse(centre_mm=c, half_axes_mm=(r, r), mu_per_mm=0.02) for c, r in PLACES)
        grid = Grid((20, 44, 44), 1.0) if cone else Grid((44, 44), 1.0)
        A = Projector(grid, beam)
        p = Phantom(bodies).line_integrals(beam, dtype=torch.float64)
        cells = []
        for options in ({}, {"window": "hann", "frequency_scale": 0.641}):
            mu = fbp(p, A, **options)[0, 0]  # type: ignore[arg-type]
            errors = [float(mu[_inside(grid, b)].mean()) / 0.02 - 1 for b in bodies]
            cells.append(", ".join(f"{100 * e:+.2f} %" for e in errors))
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def convergence() -> str:
    """Distance of TV from its optimum, in HU, and the duality gap, over the steps of the method that serves each scan."""
    return "\n\n".join(
        [_steps_table(weighted=False, checks=(5, 10, 15, 20, 30)), _steps_table(weighted=True, checks=(30, 50, 100, 150, 200))]
    )


def _steps_table(*, weighted: bool, checks: tuple[int, ...]) -> str:
    head = " | ".join(f"{k} steps" for k in checks)
    first = "photons, weighted with counts" if weighted else "photons, no weights"
    lines = [f"| {first} | {head} | gap below 1 % after |", "|---|" + "---:|" * (len(checks) + 1)]
    beam = FanBeam(views=180, cols=192, pixel_mm=3.4, source_iso_mm=595.0, source_detector_mm=1085.6, curved=True)
    A = Projector(Grid((128, 128), 2.4), beam)
    clean = ellipses(seed=1, count=20, radius_mm=140.0).line_integrals(beam)
    for photons in (1e3, 1e4, 1e5):
        counts = torch.poisson(photons * torch.exp(-clean), generator=torch.Generator().manual_seed(0)).clamp(min=0.5)
        p = -torch.log(counts / photons)
        weights = counts if weighted else None
        *_, best = tv_steps(p, A, TvProblem(weights=weights, iterations=1500 if weighted else 200))
        cells, enough = [], 0
        for step in tv_steps(p, A, TvProblem(weights=weights, iterations=500 if weighted else 60)):
            if step.iteration in checks:
                away = float((step.mu - best.mu).square().mean().sqrt()) / 0.02 * 1000
                cells.append(f"{away:.2f} HU ({float(step.gap):.0e})")
            enough = enough or (step.iteration if float(step.gap) < 0.01 else 0)
        lines.append(f"| {photons:g} | {' | '.join(cells)} | {enough or 'more'} |")
    return "\n".join(lines)


def tables() -> dict[str, str]:
    """The tables of the page by the names of their markers."""
    return {
        "accuracy": accuracy(),
        "convergence": convergence(),
    }


def _inside(grid: Grid, body: Ellipsoid) -> Tensor:
    """Samples at least 2.5 mm inside a disk or ball."""
    axes = np.meshgrid(*grid.axes_mm(), indexing="ij")
    centre = body.centre_mm[-grid.ndim :]
    distance = np.sqrt(sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)))
    return torch.tensor(distance < body.half_axes_mm[-1] - 2.5)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE, tables()), encoding="utf-8")
