"""Does this beam see this grid? Impossible pairs are refused, cut-off ones are measured in mm."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator

import numpy as np

from taskct.core.errors import GeometryError, ResourceError
from taskct.core.memory import free_bytes
from taskct.geometry.beams import Beam, ConeBeam, FanBeam, ParallelBeam, VectorBeam
from taskct.geometry.grid import Grid
from taskct.geometry.poses import Poses

MAX_VIEWS_OF_A_SLICE = 100_000
_MOST_RAY_STEP = 3.0  # voxels between neighbouring rays; from 1.4 on some views may miss one voxel, from 3 on a third do


class TruncationWarning(UserWarning):
    """Part of the grid is not seen by the detector in some views."""


class CoarseDetectorWarning(UserWarning):
    """Voxels are so small that many lie between the rays of a view: an object of one voxel is missed there."""


def check_pair(grid: Grid, beam: Beam) -> None:
    """Refuse a beam that cannot project this grid; warn (TruncationWarning) when it sees only a part of it.

    Raises GeometryError for a source or detector inside the grid and for a 2D grid under a beam with several rows.
    """
    _refuse_too_large(grid, beam)
    poses = beam.poses()
    if grid.ndim == 2 and (poses.rows != 1 or isinstance(beam, ConeBeam)):
        raise GeometryError(
            f"a 2D grid {grid.shape} goes with ParallelBeam or FanBeam of one row, got {type(beam).__name__} "
            f"of {poses.rows} rows; use a 3D Grid (Z, Y, X) or a FanBeam"
        )
    if grid.ndim == 3 and isinstance(beam, FanBeam):
        raise GeometryError(f"FanBeam projects 2D grids, got {grid.shape}; use ConeBeam(rows=...), or project slice by slice")
    if grid.ndim == 2 and not beam.planar:
        raise GeometryError("a 2D grid needs all sources, detectors and columns of VectorBeam in the plane z = 0")
    if poses.source_mm is not None:
        for what, points in (("source", poses.source_mm), ("detector", poses.detector_mm)):
            inside = np.ones(poses.views, dtype=bool)
            for axis, (low, high) in zip(range(3 - grid.ndim, 3), grid.bounds_mm, strict=True):
                inside &= (points[:, axis] > low) & (points[:, axis] < high)
            if inside.any():
                view = int(np.argmax(inside))
                raise GeometryError(
                    f"the {what} of view {view} lies inside the grid of {_size(grid)} mm; "
                    f"make the grid smaller or move the {what} out"
                )
        _refuse_samples_behind_the_source(grid, poses)
    if isinstance(beam, VectorBeam):
        return
    _warn_of_voxels_between_rays(grid, beam)
    if grid.ndim == 3 and not isinstance(beam, FanBeam):
        _warn_of_slices_not_seen(grid, beam)
    cut_mm = truncation_mm(grid, beam)
    if cut_mm > 0.5 * max(grid.spacing_mm[-2:]):
        warnings.warn(
            f"the detector does not see the whole grid: its field of view has a radius of {field_of_view_mm(beam):.1f} mm "
            f"and the circle inside the grid {grid.inscribed_radius_mm:.1f} mm, so {cut_mm:.1f} mm are cut off on each "
            "side; use more or larger columns, or a smaller grid",
            TruncationWarning,
            stacklevel=3,
        )


def field_of_view_mm(beam: ParallelBeam | FanBeam | ConeBeam) -> float:
    """Radius about the isocentre that is seen at the isocentre's depth: from every view, or once per turn if offset."""
    edges = abs(beam.col_offset_mm) + beam.cols * beam.pixel_mm / 2
    if isinstance(beam, ParallelBeam):
        return edges
    if beam.curved:
        return beam.source_iso_mm * np.sin(min(edges / beam.source_detector_mm, np.pi / 2))
    return beam.source_iso_mm * np.sin(np.arctan(edges / beam.source_detector_mm))


def truncation_mm(grid: Grid, beam: ParallelBeam | FanBeam | ConeBeam) -> float:
    """How far the circle inside the grid reaches beyond the field of view, in mm; 0 when all of it is seen."""
    return max(0.0, grid.inscribed_radius_mm - field_of_view_mm(beam))


def axial_cover_mm(beam: ParallelBeam | ConeBeam) -> tuple[float, float]:
    """Lowest and highest z on the axis of rotation that the rows see: from every view, or once along a helix."""
    row_mm = beam.row_mm or beam.pixel_mm
    half = beam.rows * row_mm / 2
    if isinstance(beam, ParallelBeam):
        return -half, half
    shrink = beam.source_iso_mm / beam.source_detector_mm
    travel = abs(beam.pitch_mm * beam.arc_deg) / 360 / 2
    return (beam.row_offset_mm - half) * shrink - travel, (beam.row_offset_mm + half) * shrink + travel


def _refuse_too_large(grid: Grid, beam: Beam) -> None:
    """What sizes alone tell, before anything is made of them."""
    if grid.ndim == 2 and beam.views > MAX_VIEWS_OF_A_SLICE:
        wanted = round(np.pi / 2 * max(grid.shape))
        raise GeometryError(
            f"a slice takes up to {MAX_VIEWS_OF_A_SLICE} views, got {beam.views}; {wanted} resolve {max(grid.shape)} pixels"
        )
    scan, image = 4 * beam.views * beam.rows * beam.cols, 4 * math.prod(grid.shape)
    free = free_bytes()
    if free is not None and 2 * (scan + image) > free:  # p, mu and what is made of each, in float32
        raise ResourceError(
            f"a scan of {beam.views} x {beam.rows} x {beam.cols} and an image of {' x '.join(map(str, grid.shape))} take "
            f"{2 * (scan + image) / 2**30:.1f} GiB of memory with their results, and {free / 2**30:.1f} GiB are free; "
            "use fewer views, rows, columns or pixels"
        )


def _warn_of_slices_not_seen(grid: Grid, beam: ParallelBeam | ConeBeam) -> None:
    low, high = axial_cover_mm(beam)
    first, last = grid.bounds_mm[0]
    below, above = max(0.0, low - first), max(0.0, last - high)
    if max(below, above) > 0.5 * grid.spacing_mm[0]:
        centres = grid.axes_mm()[0]
        seen = np.flatnonzero((centres >= low) & (centres <= high))
        which = f"slices {seen[0]} to {seen[-1]}" if len(seen) else "no slice"
        warnings.warn(
            f"the detector rows see z from {low:.1f} to {high:.1f} mm on the axis and the grid reaches from {first:.1f} to "
            f"{last:.1f} mm, so {below:.1f} mm are cut off at the feet and {above:.1f} mm at the head ({which} of "
            f"{grid.shape[0]} are seen); use more or larger rows, a helix, or a shorter grid",
            TruncationWarning,
            stacklevel=4,
        )


def _warn_of_voxels_between_rays(grid: Grid, beam: ParallelBeam | FanBeam | ConeBeam) -> None:
    """Joseph's rays interpolate between two voxels: with rays farther apart than two voxels some are not read at all."""
    shrink = 1.0 if isinstance(beam, ParallelBeam) else beam.source_iso_mm / beam.source_detector_mm
    apart_mm, voxel_mm = beam.pixel_mm * shrink, max(grid.spacing_mm[-2:])
    if apart_mm > _MOST_RAY_STEP * voxel_mm:
        seen = 2 * voxel_mm / apart_mm
        warnings.warn(
            f"rays are {apart_mm:.3g} mm apart at the isocentre and voxels {voxel_mm:.3g} mm wide: rays are lines, so one is "
            f"read in about {100 * seen:.0f} % of the views; use columns of {2 * voxel_mm / shrink:.3g} mm or less (and sum "
            "their counts for larger ones), or larger voxels",
            CoarseDetectorWarning,
            stacklevel=4,
        )


def _refuse_samples_behind_the_source(grid: Grid, poses: Poses) -> None:
    assert poses.source_mm is not None
    edges = [(0.0,)] * (3 - grid.ndim) + [(o, o + (n - 1) * s) for o, n, s in _axes(grid)]
    corners = np.array(list(itertools.product(*edges)))  # (4 or 8, 3) in z, y, x
    normal = np.cross(poses.row_step_mm, poses.col_step_mm)
    normal *= np.sign(((poses.detector_mm - poses.source_mm) * normal).sum(1, keepdims=True))
    depth = np.einsum("vkc,vc->vk", corners[None] - poses.source_mm[:, None], normal)
    if (depth <= 0).any():
        view = int(np.argmax((depth <= 0).any(axis=1)))
        raise GeometryError(
            f"part of the grid of {_size(grid)} mm lies behind the source of view {view}; "
            "make the grid smaller or move the source out"
        )


def _axes(grid: Grid) -> Iterator[tuple[float, int, float]]:
    return zip(grid.origin_mm, grid.shape, grid.spacing_mm, strict=True)


def _size(grid: Grid) -> str:
    return " x ".join(f"{s:g}" for s in grid.size_mm)
