"""What filtered back-projection needs to know of a scanner, worked out once per projector: weights, spacing, padding."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.geometry import ConeBeam, FanBeam, ParallelBeam, TruncationWarning
from taskct.physics.kept import made_to_keep
from taskct.physics.projector import Projector
from taskct.recon.redundancy import IncompleteScanWarning, fan_weights, parallel_weights


@dataclass(frozen=True)
class FbpPlan:
    """The formulae of `fbp` for one projector: `factors` multiply p (V, [R,] C) before the filter of columns `spacing` apart.

    An offset detector is filtered with `pad` zero columns beside it, and back-projected by the projector `wide`.
    """

    factors: tuple[np.ndarray, ...]
    spacing: dict[str, float]
    pad: tuple[int, int] = (0, 0)
    wide: Projector | None = None
    said: tuple[Warning, ...] = ()
    _made: dict[tuple[torch.dtype, torch.device], tuple[Tensor, ...]] = field(default_factory=dict)

    def factors_like(self, p: Tensor) -> tuple[Tensor, ...]:
        """The factors in the dtype and on the device of p."""
        key = (p.dtype, p.device)
        if key not in self._made:
            make = lambda: tuple(torch.tensor(a, dtype=key[0], device=key[1]) for a in self.factors)
            self._made[key] = made_to_keep(make)
        return self._made[key]


_PLANS: WeakKeyDictionary[Projector, FbpPlan] = WeakKeyDictionary()


def fbp_plan(A: Projector) -> FbpPlan:
    """The plan of A, kept as long as A is; what it warns of is said every time.

    Raises GeometryError for a helix, a VectorBeam and unevenly spaced views.
    """
    if A not in _PLANS:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            plan = made_to_keep(lambda: _make(A))
        _PLANS[A] = replace(plan, said=tuple(w.message for w in heard if isinstance(w.message, Warning)))
    for message in _PLANS[A].said:
        warnings.warn(message, stacklevel=3)
    return _PLANS[A]


def _make(A: Projector) -> FbpPlan:
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
    _warn_offset(A, arc_rad, step_rad)
    if isinstance(beam, ParallelBeam):
        weights = parallel_weights(views_rad, arc_rad, cols_mm, step_rad=step_rad)
        cosines, spacing = np.ones(beam.cols), {"pixel_mm": beam.pixel_mm}
    else:
        iso, far = beam.source_iso_mm, beam.source_detector_mm
        gammas = cols_mm / far if beam.curved else np.arctan(cols_mm / far)
        weights = fan_weights(views_rad, arc_rad, gammas if beam.arc_deg > 0 else -gammas, step_rad=step_rad)
        if beam.curved:
            cosines, spacing = _cosines(beam, gammas) * iso, {"pixel_rad": beam.pixel_mm / far}
        else:  # the detector as if it stood at the isocentre
            cosines, spacing = _cosines(beam, gammas) * iso**2, {"pixel_mm": beam.pixel_mm * iso / far}
    pad, wide = _widen(A)
    return FbpPlan(_fewest(weights * step_rad, cosines, A.grid.ndim), spacing, pad, wide)


def _fewest(weights: np.ndarray, cosines: np.ndarray, dim: int) -> tuple[np.ndarray, ...]:
    """Redundancy weights (V, C) and cosines (C,) or (R, C) as few factors: most scans weigh all their views alike."""
    if np.ptp(weights, axis=0).max() == 0:
        return (weights[0] * cosines,)
    if cosines.ndim == 1:
        weights, cosines = weights * cosines, np.ones(())
    return (weights[:, None] if dim == 3 else weights, *([cosines] if cosines.ndim else []))


def _cosines(beam: FanBeam | ConeBeam, gammas: np.ndarray) -> np.ndarray:
    """Cosine of the angle between each ray and the central one: (C,) for a fan, (R, C) for a cone."""
    if isinstance(beam, FanBeam):
        return np.cos(gammas)
    far = beam.source_detector_mm
    rows_mm = (np.arange(beam.rows) - (beam.rows - 1) / 2) * (beam.row_mm or beam.pixel_mm) + beam.row_offset_mm
    in_plane_mm = np.full_like(gammas, far) if beam.curved else far / np.cos(gammas)
    return np.asarray(np.cos(gammas) * in_plane_mm / np.hypot(in_plane_mm, rows_mm[:, None]))


def _view_angles(A: Projector) -> tuple[np.ndarray, float, float]:
    """Angles counted from the start of the arc, half a spacing before the first view; the arc; the spacing; all positive."""
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
    return step * (np.arange(len(A.views)) + 0.5), step * len(A.views), step


def _warn_offset(A: Projector, arc_rad: float, step_rad: float) -> None:
    """An offset detector sees its wide field only in a full turn."""
    offset = abs(A.beam.col_offset_mm) > A.beam.pixel_mm  # type: ignore[union-attr]
    short_mm = _short_side_mm(A)
    cut_mm = A.grid.inscribed_radius_mm - short_mm
    if offset and arc_rad < 2 * np.pi - step_rad / 2 and cut_mm > 0.5 * max(A.grid.spacing_mm[-2:]):
        warnings.warn(
            f"the detector is offset and the scan covers {np.rad2deg(arc_rad):.1f} deg: only the circle of {short_mm:.1f} mm "
            f"about the isocentre is exact, {cut_mm:.1f} mm less than the grid; a full turn would give the wide field",
            IncompleteScanWarning,
            stacklevel=3,
        )


def _widen(A: Projector) -> tuple[tuple[int, int], Projector | None]:
    """Zero columns on the short side of an offset detector: filtered rows reach there."""
    beam = A.beam
    assert isinstance(beam, ParallelBeam | FanBeam | ConeBeam)
    missing = round(2 * abs(beam.col_offset_mm) / beam.pixel_mm)
    if missing == 0 or _short_side_mm(A) >= A.grid.radius_mm:
        return (0, 0), None
    left = beam.col_offset_mm > 0
    centre_mm = beam.col_offset_mm + (-0.5 if left else 0.5) * missing * beam.pixel_mm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # said already when A was made
        wide = Projector(A.grid, replace(beam, cols=beam.cols + missing, col_offset_mm=centre_mm), backend=A.backend)
    return (missing, 0) if left else (0, missing), wide.subset(A.views)


def _short_side_mm(A: Projector) -> float:
    """Radius about the isocentre that the nearer end of the detector sees; negative if it does not reach across."""
    beam = A.beam
    assert isinstance(beam, ParallelBeam | FanBeam | ConeBeam)
    reach_mm = beam.cols * beam.pixel_mm / 2 - abs(beam.col_offset_mm)
    if isinstance(beam, ParallelBeam):
        return reach_mm
    angle = reach_mm / beam.source_detector_mm
    return float(beam.source_iso_mm * np.sin(angle if beam.curved else np.arctan(angle)))
