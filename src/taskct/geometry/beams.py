"""The beams: parallel, fan and cone. Each states a scanner in a few numbers and gives its poses.

At `start_deg=0` the source stands in front of the patient (world -y, top of a displayed slice) and columns run along +x.
The source turns from -y towards +x: at angle t it stands at R (y = -cos t, x = sin t), and columns run along
(y = sin t, x = cos t). A ray of the parallel beam at column position u is the line x cos t + y sin t = u.
View k of V lies at start + arc * k / V (the end of the arc is not repeated). Rows run along +z.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from taskct.core.errors import GeometryError
from taskct.core.notebook_html import fact_card
from taskct.geometry.lengths import MOST_MM, are_places, check_length
from taskct.geometry.poses import Poses

MAX_VIEWS = 1_000_000
MAX_DETECTOR_PIXELS_PER_AXIS = 65536


@dataclass(frozen=True, kw_only=True)
class _CircularBeam:
    """What all beams share: a detector that turns about the isocentre."""

    views: int
    cols: int
    pixel_mm: float
    arc_deg: float
    start_deg: float = 0.0
    col_offset_mm: float = 0.0

    def __post_init__(self) -> None:
        _whole(self, "views", MAX_VIEWS)
        _whole(self, "cols", MAX_DETECTOR_PIXELS_PER_AXIS)
        _positive(self, "pixel_mm")
        _finite(self, "arc_deg", "start_deg", "col_offset_mm")
        if self.arc_deg == 0 and self.views > 1:
            raise GeometryError(f"{type(self).__name__} expects arc_deg other than 0 for {self.views} views")

    def _repr_html_(self) -> str:
        return fact_card(type(self).__name__, {f.name: getattr(self, f.name) for f in fields(self)})

    @property
    def angles_rad(self) -> np.ndarray:
        """Angle of each view, float64 (V,)."""
        return np.deg2rad(self.start_deg) + np.deg2rad(self.arc_deg) / self.views * np.arange(self.views)

    @property
    def planar(self) -> bool:
        """Whether it scans single slices: one row, without a height of its own."""
        return self.rows == 1  # type: ignore[attr-defined]  # each beam has rows

    @property
    def arc_rad(self) -> float:
        """The whole arc; views are `arc_rad / views` apart."""
        return float(np.deg2rad(self.arc_deg))


@dataclass(frozen=True, kw_only=True)
class ParallelBeam(_CircularBeam):
    """Parallel rays onto `cols` (x `rows`) pixels of `pixel_mm` (rows: `row_mm`), over `arc_deg` from `start_deg`.

    `col_offset_mm` moves the detector along its columns: the axis of rotation then falls at -col_offset_mm on it.
    """

    arc_deg: float = 180.0
    rows: int = 1
    row_mm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_rows(self)

    def poses(self) -> Poses:
        """Poses of all views."""
        ray, col, row = _axes(self.angles_rad)
        return Poses(
            rows=self.rows,
            cols=self.cols,
            detector_mm=self.col_offset_mm * col,
            col_step_mm=self.pixel_mm * col,
            row_step_mm=(self.row_mm or self.pixel_mm) * row,
            direction=ray,
        )


@dataclass(frozen=True, kw_only=True)
class FanBeam(_CircularBeam):
    """Rays from a point source at `source_iso_mm` from the isocentre onto one row at `source_detector_mm` from the source.

    `curved` gives an equi-angular detector (an arc about the source), `pixel_mm` being measured along the arc.
    `col_offset_mm` moves the detector along its columns (a quarter pixel, or half the detector for a wide field).
    """

    source_iso_mm: float
    source_detector_mm: float
    arc_deg: float = 360.0
    curved: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_distances(self)

    @property
    def rows(self) -> int:
        """A fan has one row."""
        return 1

    def poses(self) -> Poses:
        """Poses of all views."""
        return _divergent_poses(self, row_mm=self.pixel_mm)


@dataclass(frozen=True, kw_only=True)
class ConeBeam(_CircularBeam):
    """A fan with `rows` detector rows of `row_mm`; helical when `pitch_mm`, the table feed per turn, is not 0.

    Along a helix the source rises by `pitch_mm * arc_deg / 360` in all, centred on z = 0. `row_offset_mm` moves the
    detector along z. A curved detector is a cylinder about a vertical axis through the source.
    """

    source_iso_mm: float
    source_detector_mm: float
    rows: int
    row_mm: float | None = None
    arc_deg: float = 360.0
    curved: bool = False
    row_offset_mm: float = 0.0
    pitch_mm: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_distances(self)
        _check_rows(self)
        _finite(self, "row_offset_mm", "pitch_mm")

    @property
    def planar(self) -> bool:
        """False: even one row of a cone beam belongs to a volume."""
        return False

    def poses(self) -> Poses:
        """Poses of all views."""
        return _divergent_poses(self, row_mm=self.row_mm or self.pixel_mm)


@dataclass(frozen=True, kw_only=True)
class VectorBeam:
    """A pose of its own for each view: any bi-planar set-up, C-arm or misaligned scanner.

    `source_mm`, `detector_mm` (centre of the detector), `col_step_mm` and `row_step_mm` (one pixel along columns and
    rows) are (V, 3) in array order z, y, x. `source_mm=None` with `direction` gives parallel rays.
    Two beams with equal vectors are equal.
    """

    rows: int
    cols: int
    detector_mm: np.ndarray
    col_step_mm: np.ndarray
    row_step_mm: np.ndarray
    source_mm: np.ndarray | None = None
    direction: np.ndarray | None = None

    def __post_init__(self) -> None:
        _whole(self, "rows", MAX_DETECTOR_PIXELS_PER_AXIS)
        _whole(self, "cols", MAX_DETECTOR_PIXELS_PER_AXIS)
        poses = self.poses()
        if poses.direction is not None and not np.allclose(np.linalg.norm(poses.direction, axis=1), 1, atol=1e-9):
            raise GeometryError("VectorBeam expects unit vectors as direction")
        steps = np.linalg.norm(np.cross(poses.col_step_mm, poses.row_step_mm), axis=1)
        if not (steps > 0).all():
            view = int(np.argmin(steps))
            raise GeometryError(f"VectorBeam expects col_step_mm and row_step_mm to span a plane; in view {view} they do not")
        for name in ("detector_mm", "col_step_mm", "row_step_mm", "source_mm", "direction"):
            object.__setattr__(self, name, getattr(poses, name))

    @property
    def views(self) -> int:
        """Number of views."""
        return len(self.detector_mm)

    @property
    def planar(self) -> bool:
        """Whether it scans single slices: one row, all sources, detectors and columns in the plane z = 0."""
        vectors = (self.detector_mm, self.col_step_mm, self.source_mm, self.direction)
        return self.rows == 1 and all(v is None or bool(np.abs(v[:, 0]).max() <= 1e-9) for v in vectors)

    def poses(self) -> Poses:
        """The poses that were given."""
        return Poses(
            rows=self.rows,
            cols=self.cols,
            detector_mm=self.detector_mm,
            col_step_mm=self.col_step_mm,
            row_step_mm=self.row_step_mm,
            source_mm=self.source_mm,
            direction=self.direction,
        )

    def __repr__(self) -> str:
        rays = "parallel rays" if self.source_mm is None else "a source for each"
        return f"VectorBeam({self.views} views, {self.rows} x {self.cols} pixels, {rays})"

    def _repr_html_(self) -> str:
        source = (
            {}
            if self.source_mm is None
            else {"source_mm of the first view (z, y, x)": np.round(self.source_mm[0], 3).tolist()}
        )
        centre = {"detector_mm of the first view (z, y, x)": np.round(self.detector_mm[0], 3).tolist()}
        return fact_card("VectorBeam", {"views": self.views, "rows": self.rows, "cols": self.cols} | source | centre)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VectorBeam):
            return NotImplemented
        names = ("rows", "cols", "detector_mm", "col_step_mm", "row_step_mm", "source_mm", "direction")
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    def __hash__(self) -> int:
        return hash((self.rows, self.cols, self.detector_mm.tobytes()))


Beam = ParallelBeam | FanBeam | ConeBeam | VectorBeam


def _axes(angles_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors (V, 3) in z, y, x: along the central ray, the columns and the rows."""
    zero, one = np.zeros_like(angles_rad), np.ones_like(angles_rad)
    cos, sin = np.cos(angles_rad), np.sin(angles_rad)
    ray = np.stack([zero, cos, -sin], axis=1)
    col = np.stack([zero, sin, cos], axis=1)
    row = np.stack([one, zero, zero], axis=1)
    return ray, col, row


def _divergent_poses(beam: FanBeam | ConeBeam, *, row_mm: float) -> Poses:
    angles = beam.angles_rad
    ray, col, row = _axes(angles)
    pitch_mm = beam.pitch_mm if isinstance(beam, ConeBeam) else 0.0
    row_offset_mm = beam.row_offset_mm if isinstance(beam, ConeBeam) else 0.0
    turns = (angles - angles[0]) / (2 * np.pi) - beam.arc_deg / 720
    source = -beam.source_iso_mm * ray + (pitch_mm * turns)[:, None] * row
    detector = source + beam.source_detector_mm * ray + row_offset_mm * row
    offset_rad = 0.0
    if beam.curved:
        offset_rad = beam.col_offset_mm / beam.source_detector_mm
    else:
        detector = detector + beam.col_offset_mm * col
    return Poses(
        rows=beam.rows,
        cols=beam.cols,
        detector_mm=detector,
        col_step_mm=beam.pixel_mm * col,
        row_step_mm=row_mm * row,
        source_mm=source,
        curved=beam.curved,
        curved_offset_rad=offset_rad,
    )


def _check_distances(beam: FanBeam | ConeBeam) -> None:
    _positive(beam, "source_iso_mm")
    _positive(beam, "source_detector_mm")
    if beam.source_detector_mm <= beam.source_iso_mm:
        raise GeometryError(
            f"{type(beam).__name__} expects source_detector_mm > source_iso_mm, got {beam.source_detector_mm:g} and "
            f"{beam.source_iso_mm:g}; the detector stands behind the isocentre (are the two swapped?)"
        )
    if beam.curved:
        half_fan = abs(beam.col_offset_mm) / beam.source_detector_mm
        half_fan += beam.cols * beam.pixel_mm / 2 / beam.source_detector_mm
        if half_fan >= np.pi / 2:
            raise GeometryError(
                f"a curved detector with a half fan of {np.rad2deg(half_fan):.0f} deg is impossible (limit 90)"
            )


def _check_rows(beam: ParallelBeam | ConeBeam) -> None:
    _whole(beam, "rows", MAX_DETECTOR_PIXELS_PER_AXIS)
    if beam.row_mm is not None:
        _positive(beam, "row_mm")


def _whole(beam: object, name: str, most: int) -> None:
    value = getattr(beam, name)
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= most:
        raise GeometryError(f"{type(beam).__name__} expects {name} as a whole number from 1 to {most}, got {value!r}")


def _positive(beam: object, name: str) -> None:
    check_length(getattr(beam, name), name, who=type(beam).__name__)


def _finite(beam: object, *names: str) -> None:
    for name in names:
        if not are_places(getattr(beam, name)):
            raise GeometryError(
                f"{type(beam).__name__} expects a finite {name} of at most {MOST_MM:g}, got {getattr(beam, name)!r}"
            )
