"""Beams of single radiographs: the pose of a C-arm for each view, several of them as one beam; beams moved and coarser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import GeometryError
from taskct.geometry.beams import Beam, VectorBeam
from taskct.geometry.grid import Grid
from taskct.geometry.lengths import are_places, check_length
from taskct.geometry.poses import Poses


@dataclass(frozen=True, kw_only=True)
class RadiographPose:
    """Where source and detector stand for one radiograph. Lengths in mm, angles in degrees, frame LPS.

    The central ray runs through the isocentre. At `angle_deg` 0 it runs from front to back (AP); 90 turns the source to the
    patient's left (a lateral view), as in `ConeBeam`. `tilt_deg` lifts the source towards the head. `roll_deg` turns the
    detector in its own plane. `iso_mm` (z, y, x) is the isocentre in the grid's frame; `offset_mm` (rows, columns) shifts the
    detector along its own axes.
    """

    source_iso_mm: float
    source_detector_mm: float
    angle_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    iso_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset_mm: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("source_iso_mm", "source_detector_mm"):
            check_length(getattr(self, name), name, who="RadiographPose")
        if self.source_detector_mm <= self.source_iso_mm:
            raise GeometryError(
                f"RadiographPose expects source_detector_mm > source_iso_mm, got {self.source_detector_mm:g} and "
                f"{self.source_iso_mm:g}; the detector stands behind the isocentre (are the two swapped?)"
            )
        numbers = (self.angle_deg, self.tilt_deg, self.roll_deg, *self.iso_mm, *self.offset_mm)
        if not are_places(numbers) or abs(self.tilt_deg) >= 90:
            raise GeometryError(f"RadiographPose expects finite angles and |tilt_deg| < 90, got {self}")

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors (z, y, x): central ray, direction of the columns, direction of the rows."""
        a, t, r = np.deg2rad([self.angle_deg, self.tilt_deg, self.roll_deg])
        level = np.array([0.0, np.cos(a), -np.sin(a)])
        across = np.array([0.0, np.sin(a), np.cos(a)])
        up = np.array([1.0, 0.0, 0.0])
        ray = np.cos(t) * level - np.sin(t) * up
        rise = np.sin(t) * level + np.cos(t) * up
        return ray, np.cos(r) * across + np.sin(r) * rise, np.cos(r) * rise - np.sin(r) * across


def radiograph_beam(
    poses: Sequence[RadiographPose], *, cols: int, rows: int, pixel_mm: float, row_mm: float | None = None
) -> VectorBeam:
    """One `VectorBeam` of all poses, with the same detector of `rows` x `cols` pixels in each view, `pixel_mm` apart.

    >>> beam = radiograph_beam(
    ...     [RadiographPose(source_iso_mm=1000, source_detector_mm=1500)], cols=8, rows=6, pixel_mm=30.0
    ... )
    >>> beam.views, beam.source_mm[0].tolist()
    (1, [0.0, -1000.0, 0.0])
    """
    if len(poses) == 0:
        raise GeometryError("radiograph_beam expects at least one pose, got none")
    height = pixel_mm if row_mm is None else row_mm
    for name, value in (("pixel_mm", pixel_mm), ("row_mm", height)):
        check_length(value, name, who="radiograph_beam")
    source, detector, col, row = [], [], [], []
    for pose in poses:
        ray, across, rise = pose.axes
        start = np.asarray(pose.iso_mm) - pose.source_iso_mm * ray
        source.append(start)
        detector.append(start + pose.source_detector_mm * ray + pose.offset_mm[0] * rise + pose.offset_mm[1] * across)
        col.append(pixel_mm * across)
        row.append(height * rise)
    return VectorBeam(
        rows=rows,
        cols=cols,
        detector_mm=np.array(detector),
        col_step_mm=np.array(col),
        row_step_mm=np.array(row),
        source_mm=np.array(source),
    )


def bi_planar(
    *,
    cols: int,
    rows: int,
    pixel_mm: float,
    source_iso_mm: float,
    source_detector_mm: float,
    angles_deg: Sequence[float] = (0.0, 90.0),
    tilts_deg: Sequence[float] | None = None,
) -> VectorBeam:
    """A frontal and a lateral radiograph (or views at any `angles_deg`, tilted by `tilts_deg`) of one C-arm.

    >>> bi_planar(cols=64, rows=64, pixel_mm=4.8, source_iso_mm=1000, source_detector_mm=1500).views
    2
    """
    tilts = [0.0] * len(angles_deg) if tilts_deg is None else list(tilts_deg)
    if len(tilts) != len(angles_deg):
        raise GeometryError(f"bi_planar expects a tilt for each of {len(angles_deg)} angles, got {len(tilts)}")
    poses = [
        RadiographPose(source_iso_mm=source_iso_mm, source_detector_mm=source_detector_mm, angle_deg=a, tilt_deg=t)
        for a, t in zip(angles_deg, tilts, strict=True)
    ]
    return radiograph_beam(poses, cols=cols, rows=rows, pixel_mm=pixel_mm)


def vector_beam(poses: Poses) -> VectorBeam:
    """The `VectorBeam` of any flat poses; GeometryError for a curved detector."""
    if poses.curved:
        raise GeometryError("a curved detector cannot be given as vectors; moved and coarser beams need a flat one")
    return VectorBeam(
        rows=poses.rows,
        cols=poses.cols,
        detector_mm=poses.detector_mm,
        col_step_mm=poses.col_step_mm,
        row_step_mm=poses.row_step_mm,
        source_mm=poses.source_mm,
        direction=poses.direction,
    )


def moved_poses(
    poses: Poses, *, turn_deg: np.ndarray | Sequence[Sequence[float]], shift_mm: np.ndarray | Sequence[Sequence[float]]
) -> Poses:
    """Source and detector of each view turned about the origin and then shifted.

    `turn_deg` (V, 3): angles about z, y and x, applied in the order x, y, z; `shift_mm` (V, 3) in z, y, x.
    """
    turn, shift = np.asarray(turn_deg, float), np.asarray(shift_mm, float)
    for name, values in (("turn_deg", turn), ("shift_mm", shift)):
        if values.shape != (poses.views, 3) or not np.isfinite(values).all():
            raise GeometryError(f"moved poses expect {name} as finite ({poses.views}, 3) in order z, y, x, got {values.shape}")
    turns = np.stack([_rotation(t) for t in np.deg2rad(turn)])  # (V, 3, 3)
    by = lambda v: np.einsum("vij,vj->vi", turns, v)
    return Poses(
        rows=poses.rows,
        cols=poses.cols,
        detector_mm=by(poses.detector_mm) + shift,
        col_step_mm=by(poses.col_step_mm),
        row_step_mm=by(poses.row_step_mm),
        source_mm=None if poses.source_mm is None else by(poses.source_mm) + shift,
        direction=None if poses.direction is None else by(poses.direction),
        curved=poses.curved,
        curved_offset_rad=poses.curved_offset_rad,
    )


def coarser(grid: Grid, beam: Beam, factor: int) -> tuple[Grid, VectorBeam]:
    """Grid and detector of the same region with `factor` samples in one along every axis: exact geometry at that level.

    Raises GeometryError where `factor` does not divide the numbers of voxels and of detector pixels.
    """
    poses = beam.poses()
    rows = poses.rows if grid.ndim == 3 else factor
    sizes = {"grid": grid.shape, "detector": (rows, poses.cols)}
    for name, size in sizes.items():
        if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1 or any(n % factor for n in size):
            raise GeometryError(f"coarser({factor!r}) expects a whole number that divides the {name} {tuple(size)}")
    origin = tuple(o + (factor - 1) / 2 * s for o, s in zip(grid.origin_mm, grid.spacing_mm, strict=True))
    level = Grid(tuple(n // factor for n in grid.shape), tuple(s * factor for s in grid.spacing_mm), origin)
    held = vector_beam(poses)
    return level, VectorBeam(
        rows=poses.rows // factor if grid.ndim == 3 else poses.rows,
        cols=poses.cols // factor,
        detector_mm=held.detector_mm,
        col_step_mm=held.col_step_mm * factor,
        row_step_mm=held.row_step_mm * (factor if grid.ndim == 3 else 1),
        source_mm=held.source_mm,
        direction=held.direction,
    )


def _rotation(angles_rad: np.ndarray) -> np.ndarray:
    """(3, 3) acting on (z, y, x): turns about z, y and x, the last one first."""
    turned = np.eye(3)
    for angle, (i, j) in zip(angles_rad, ((1, 2), (0, 2), (0, 1)), strict=True):
        one = np.eye(3)
        one[i, i] = one[j, j] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        turned = turned @ one
    return turned
