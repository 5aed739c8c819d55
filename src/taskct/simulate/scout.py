"""What is known before the scan: a two-view scout, a scan of very low dose, an earlier scan."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.geometry import VectorBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.simulate.noisy_scan import add_noise

SCOUT_PHOTONS = 65536.0  # per pixel and view; two views of it are nothing beside a scan's hundreds


SMOOTH_COLS = 9
"""Columns over which a scout's counts are averaged before anything is read off it: 12 mm of a clinical detector, 36 mm of that
of the experiments. The longest path is a maximum, and that of a noisy line is too long; of 1, 5, 9, 13 and 21 columns, 9 bring
the rule a = 0.5 about as near to a scout without noise as any (benchmarks/scout_smoothing.py)."""


def smooth_scout(scout: Tensor, cols: int = SMOOTH_COLS) -> Tensor:
    """A scout (..., C) whose counts were averaged over `cols` neighbouring columns, dimensionless; 1 leaves it as it is.

    Counts, not logarithms, are averaged: the mean of logarithms of few photons is biased. At the edges the window is smaller.
    """
    if cols < 1 or cols % 2 == 0:
        raise GeometryError(f"smooth_scout expects an odd number of columns from 1 on, got {cols!r}")
    if cols == 1:
        return scout
    share = torch.exp(-scout.double()).reshape(-1, 1, scout.shape[-1])  # counts over those in air
    mean = torch.nn.functional.avg_pool1d(share, cols, stride=1, padding=cols // 2, count_include_pad=False)
    return -mean.log().reshape(scout.shape).to(scout.dtype)


def scout_share(photons: float | None, views: int) -> float:
    """The dose of a scout of two views in photons per pixel of each of a scan's `views`: what it adds to their mean.

    >>> scout_share(65536.0, 160)
    819.2
    """
    return 0.0 if photons is None else 2 * photons / views


def scout_views(A: Projector) -> tuple[int, int]:
    """The views of A, counted as in p, that look from the front and from the side.

    Raises GeometryError for a VectorBeam, whose views have no such angle, and when no view is within 10 degrees.
    """
    angles = view_angles_rad(A).numpy()
    found = []
    for wanted, name in ((0.0, "the front"), (math.pi / 2, "the side")):
        off = np.abs((angles - wanted + math.pi / 2) % math.pi - math.pi / 2)
        if off.min() > math.radians(10):
            raise GeometryError(f"a scout expects views from the front and from the side; none is within 10 degrees of {name}")
        found.append(int(off.argmin()))
    return found[0], found[1]


def view_angles_rad(A: Projector) -> Tensor:
    """Angle of each view of A, (V,) float64; 0 looks from the front (or the back)."""
    if isinstance(A.beam, VectorBeam):
        raise GeometryError("a VectorBeam has no angles of views; a scout needs a circular beam")
    return torch.from_numpy(np.asarray(A.beam.angles_rad, dtype=np.float64)[np.asarray(A.views)])


def take_scout(
    p: Tensor,
    A: Projector,
    *,
    photons: float | None = SCOUT_PHOTONS,
    seed: int | torch.Generator = 0,
    case_id: str = "",
    electronic_std: float = 0.0,
) -> Tensor:
    """Frontal and lateral scout of a patient: noise-free p of his slices or volume -> (2, rows, C), dimensionless.

    p is (S, 1, V, C), a row per slice, or (1, 1, V, R, C), a row per detector row. The noise is exact Poisson of `photons`;
    None leaves it out.
    """
    views = list(scout_views(A))
    if p.ndim == 5 and len(p) != 1:
        raise GeometryError(f"a scout of volumes is taken one at a time, got {len(p)}")
    lines = p[:, 0, views].transpose(0, 1) if p.ndim == 4 else p[0, 0, views]  # (2, rows, C)
    if photons is None:
        return lines.clone()
    return add_noise(
        lines[None, None].flatten(2, 3),  # (1, 1, 2 rows, C)
        Dose(photons, electronic_std=electronic_std),
        seed=seed,
        case_id=case_id,
        items=["scout"],
    )[0, 0].reshape(lines.shape)
