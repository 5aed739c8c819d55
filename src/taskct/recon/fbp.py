"""Filtered back-projection of parallel, fan and circular cone scans."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.geometry import ConeBeam, FanBeam, ParallelBeam, TruncationWarning
from taskct.physics.filters import ramp_filter
from taskct.physics.projector import Projector
from taskct.recon.redundancy import IncompleteScanWarning, fan_weights, parallel_weights
from taskct.recon.scan import check_scan


def fbp(p: Tensor, A: Projector, *, window: str = "ram-lak", frequency_scale: float = 1.0) -> Tensor:
    """Filtered back-projection: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm.

    With views `db` apart, w the redundancy weights (`recon/redundancy`), R and D the distances of the source from the
    isocentre and the detector, h the ramp and window of `physics/filters`, and * along the columns:

        parallel      mu = db   sum_views   [ w p ] * h                                 Kak & Slaney 1988, eq. 3.28
        fan, curved   mu = db R sum_views   [ w p cos g ] * h_angular  /  L^2           eq. 3.101
        fan, flat     mu = db R^2 sum_views [ w p D / sqrt(D^2 + u^2) ] * h  /  U^2     eq. 3.85
        cone          the same with the cosine of the whole cone angle: `fdk`           Feldkamp et al. 1984, eq. 28

    L is a voxel's distance from the source, U its part along the detector's normal. Full, short and longer scans and
    offset detectors are weighed as they need; a scan that is too short is reconstructed with an IncompleteScanWarning.
    `A` may be a subset of evenly spaced views. Linear in p, differentiable to any order.

    `window` is one of physics.filters.WINDOWS, cut off at `frequency_scale` times Nyquist.
    Raises GeometryError for a helix, a VectorBeam and unevenly spaced views: sirt, cgls and tv_min take them all.

    >>> from taskct.geometry import Grid, ParallelBeam
    >>> A = Projector(Grid((32, 32), 1.0), ParallelBeam(views=60, cols=48, pixel_mm=1.0))
    >>> mu = torch.zeros(1, 1, 32, 32)
    >>> mu[..., 8:24, 8:24] = 0.02
    >>> bool((fbp(A(mu), A)[0, 0, 12:20, 12:20] - 0.02).abs().max() < 0.001)
    True
    """
    check_scan(p, A, who="fbp")
    beam = A.beam
    if not isinstance(beam, ParallelBeam | FanBeam | ConeBeam):
        raise GeometryError(
            f"fbp has no formula for the free poses of {type(beam).__name__}; "
            "use sirt, cgls or tv_min, or describe the scan as ParallelBeam, FanBeam or ConeBeam"
        )
    if isinstance(beam, ConeBeam) and beam.pitch_mm != 0:
        raise GeometryError(
            f"fbp and fdk reconstruct circular scans, got a helix of pitch_mm={beam.pitch_mm:g}; use sirt, cgls or tv_min"
        )
    cols_mm = (np.arange(beam.cols) - (beam.cols - 1) / 2) * beam.pixel_mm + beam.col_offset_mm
    views_rad, arc_rad, step_rad = _view_angles(A)
    _warn_offset(A, arc_rad)
    if isinstance(beam, ParallelBeam):
        weights = parallel_weights(views_rad, arc_rad, cols_mm)
        cosines, spacing = np.ones(beam.cols), {"pixel_mm": beam.pixel_mm}
    else:
        iso, far = beam.source_iso_mm, beam.source_detector_mm
        gammas = cols_mm / far if beam.curved else np.arctan(cols_mm / far)
        weights = fan_weights(views_rad, arc_rad, gammas if beam.arc_deg > 0 else -gammas)
        if beam.curved:
            cosines, spacing = _cosines(beam, gammas) * iso, {"pixel_rad": beam.pixel_mm / far}
        else:  # the detector as if it stood at the isocentre
            cosines, spacing = _cosines(beam, gammas) * iso**2, {"pixel_mm": beam.pixel_mm * iso / far}
    shape = (len(views_rad), 1, beam.cols) if A.grid.ndim == 3 else (len(views_rad), beam.cols)
    put = lambda a: torch.tensor(np.asarray(a), dtype=p.dtype, device=p.device)
    weighted = p * put(weights * step_rad).reshape(shape) * put(cosines)
    weighted, wide = _widen(weighted, A, arc_rad)
    return wide.voxel_backproject(ramp_filter(weighted, **spacing, window=window, frequency_scale=frequency_scale))


def _cosines(beam: FanBeam | ConeBeam, gammas: np.ndarray) -> np.ndarray:
    """Cosine of the angle between each ray and the central one: (C,) for a fan, (R, C) for a cone."""
    if isinstance(beam, FanBeam):
        return np.cos(gammas)
    far = beam.source_detector_mm
    rows_mm = (np.arange(beam.rows) - (beam.rows - 1) / 2) * (beam.row_mm or beam.pixel_mm) + beam.row_offset_mm
    in_plane_mm = np.full_like(gammas, far) if beam.curved else far / np.cos(gammas)
    return np.asarray(np.cos(gammas) * in_plane_mm / np.hypot(in_plane_mm, rows_mm[:, None]))


def _view_angles(A: Projector) -> tuple[np.ndarray, float, float]:
    """Angles counted from the first view, the arc they stand for and their spacing, all positive in the sense of rotation."""
    step = abs(A.beam.arc_rad) / A.beam.views  # type: ignore[union-attr]
    if step == 0:
        raise GeometryError("fbp needs views that turn about the patient, got arc_deg=0; use sirt, cgls or tv_min")
    jumps = np.diff(A.views)
    every = int(jumps[0]) if len(jumps) else A.beam.views
    if every <= 0 or (jumps != every).any():
        raise GeometryError(
            f"fbp needs evenly spaced views in the order of the scan, got a subset of {len(A.views)} that is not; "
            "take A.subset(slice(None, None, n)), or use sirt, cgls or tv_min"
        )
    step *= every
    return step * np.arange(len(A.views)), step * len(A.views), step


def _warn_offset(A: Projector, arc_rad: float) -> None:
    """An offset detector sees its wide field only in a full turn."""
    offset = abs(A.beam.col_offset_mm) > A.beam.pixel_mm  # type: ignore[union-attr]
    short_mm = _short_side_mm(A)
    cut_mm = A.grid.inscribed_radius_mm - short_mm
    if offset and arc_rad < 2 * np.pi - 1e-6 and cut_mm > 0.5 * max(A.grid.spacing_mm[-2:]):
        warnings.warn(
            f"the detector is offset and the scan covers {np.rad2deg(arc_rad):.1f} deg: only the circle of {short_mm:.1f} mm "
            f"about the isocentre is exact, {cut_mm:.1f} mm less than the grid; a full turn would give the wide field",
            IncompleteScanWarning,
            stacklevel=3,
        )


def _widen(weighted: Tensor, A: Projector, arc_rad: float) -> tuple[Tensor, Projector]:
    """Zero columns on the short side of an offset detector: filtered rows reach there, and the wide field needs them."""
    beam = A.beam
    assert isinstance(beam, ParallelBeam | FanBeam | ConeBeam)
    missing = round(2 * abs(beam.col_offset_mm) / beam.pixel_mm)
    if missing == 0 or arc_rad < 2 * np.pi - 1e-6 or _short_side_mm(A) >= A.grid.radius_mm:
        return weighted, A
    left = beam.col_offset_mm > 0
    centre_mm = beam.col_offset_mm + (-0.5 if left else 0.5) * missing * beam.pixel_mm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # said already when A was made
        wide = Projector(A.grid, replace(beam, cols=beam.cols + missing, col_offset_mm=centre_mm), backend=A.backend)
    return torch.nn.functional.pad(weighted, (missing, 0) if left else (0, missing)), wide.subset(A.views)


def _short_side_mm(A: Projector) -> float:
    """Radius about the isocentre that the nearer end of the detector sees; negative if it does not reach across."""
    beam = A.beam
    assert isinstance(beam, ParallelBeam | FanBeam | ConeBeam)
    reach_mm = beam.cols * beam.pixel_mm / 2 - abs(beam.col_offset_mm)
    if isinstance(beam, ParallelBeam):
        return reach_mm
    angle = reach_mm / beam.source_detector_mm
    return float(beam.source_iso_mm * np.sin(angle if beam.curved else np.arctan(angle)))
