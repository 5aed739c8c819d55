"""Every beam kind beside a grid that it sees: a new beam gets all projector tests by adding its name here."""

from __future__ import annotations

import numpy as np
import pytest

from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam

_FAN = {"views": 13, "cols": 50, "pixel_mm": 1.6, "source_iso_mm": 90.0, "source_detector_mm": 150.0}
_CONE = _FAN | {"views": 9, "cols": 34, "rows": 21, "pixel_mm": 2.1, "row_mm": 2.4}
_SLICE = Grid((22, 25), (1.3, 1.1), (-13.0, -14.2))  # neither square, nor even, nor centred
_VOLUME = Grid((11, 14, 13), (1.4, 1.2, 1.5), (-6.3, -8.1, -9.4))


def _free_poses(parallel: bool) -> VectorBeam:
    base = ConeBeam(**_CONE).poses()
    shake = np.random.default_rng(0)
    ray = base.detector_mm - base.source_mm
    return VectorBeam(
        rows=21,
        cols=34,
        detector_mm=base.detector_mm + shake.normal(0, 2, (9, 3)),
        col_step_mm=base.col_step_mm + shake.normal(0, 0.2, (9, 3)),
        row_step_mm=base.row_step_mm + shake.normal(0, 0.2, (9, 3)),
        source_mm=None if parallel else base.source_mm + shake.normal(0, 5, (9, 3)),
        direction=ray / np.linalg.norm(ray, axis=1, keepdims=True) if parallel else None,
    )


def _from_above() -> VectorBeam:
    """A C-arm that looks along z in its middle views: rays whose main axis is z."""
    angles = np.linspace(0, np.pi / 2, 5)
    zero, cos, sin = np.zeros(5), np.cos(angles), np.sin(angles)
    ray = np.stack([sin, cos, zero], axis=1)
    return VectorBeam(
        rows=19,
        cols=23,
        detector_mm=60 * ray,
        source_mm=-90 * ray,
        col_step_mm=2.0 * np.stack([zero, zero, zero + 1], axis=1),
        row_step_mm=2.0 * np.stack([cos, -sin, zero], axis=1),
    )


PAIRS: dict[str, tuple[Grid, Beam]] = {
    "parallel": (_SLICE, ParallelBeam(views=17, cols=41, pixel_mm=0.9, col_offset_mm=1.3)),
    "parallel-coarse": (_SLICE, ParallelBeam(views=8, cols=12, pixel_mm=3.7, arc_deg=360, start_deg=7)),
    "fan-flat": (_SLICE, FanBeam(**_FAN, col_offset_mm=2.2)),
    "fan-curved": (_SLICE, FanBeam(**_FAN, curved=True, start_deg=33)),
    "fan-short": (_SLICE, FanBeam(**_FAN, arc_deg=-215.0)),
    "parallel-3d": (_VOLUME, ParallelBeam(views=9, cols=31, rows=15, pixel_mm=1.0, row_mm=1.3)),
    "cone-flat": (_VOLUME, ConeBeam(**_CONE, row_offset_mm=1.5, col_offset_mm=-2.0)),
    "cone-curved": (_VOLUME, ConeBeam(**_CONE, curved=True)),
    "helix-flat": (_VOLUME, ConeBeam(**_CONE, pitch_mm=8.0, arc_deg=720)),
    "helix-curved": (_VOLUME, ConeBeam(**_CONE, pitch_mm=-8.0, arc_deg=540, curved=True)),
    "vector": (_VOLUME, _free_poses(parallel=False)),
    "vector-parallel": (_VOLUME, _free_poses(parallel=True)),
    "vector-from-above": (_VOLUME, _from_above()),
}


@pytest.fixture(params=list(PAIRS))
def pair(request: pytest.FixtureRequest) -> tuple[Grid, Beam]:
    """One grid and beam of each kind."""
    return PAIRS[request.param]
