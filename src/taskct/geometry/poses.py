"""Where source and detector stand in each view: the one form that every projector back-end reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import GeometryError
from taskct.geometry.lengths import MOST_MM, are_places


@dataclass(frozen=True, eq=False)
class Poses:
    """V views of a detector of `rows` x `cols` pixels. Vectors are float64 (V, 3) in array order z, y, x, lengths in mm.

    The pixel (row i, column j) of a **flat** detector lies at

        detector_mm + (i - (rows - 1) / 2) * row_step_mm + (j - (cols - 1) / 2) * col_step_mm

    A **curved** (equi-angular) detector is a cylinder about an axis through the source along `row_step_mm`. With
    e = detector - source without its part along the rows, and R = |e|, its column j lies at the fan angle
    gamma_j = gamma_0 + (j - (cols - 1) / 2) * |col_step_mm| / R, measured from `e` towards `col_step_mm`; so
    |col_step_mm| is the arc length of a pixel. gamma_0 is `curved_offset_rad`.

    A beam is **parallel** when `source_mm` is None; then `direction` (unit vectors, from source to detector) gives the rays.
    """

    rows: int
    cols: int
    detector_mm: np.ndarray
    col_step_mm: np.ndarray
    row_step_mm: np.ndarray
    source_mm: np.ndarray | None = None
    direction: np.ndarray | None = None
    curved: bool = False
    curved_offset_rad: float = 0.0

    def __post_init__(self) -> None:
        views = len(self.detector_mm)
        for name in ("detector_mm", "col_step_mm", "row_step_mm", "source_mm", "direction"):
            values = getattr(self, name)
            if values is None:
                continue
            values = np.array(values, dtype=np.float64, order="C")  # a copy: the caller's array stays as it is
            if values.shape != (views, 3) or not np.isfinite(values).all():
                raise GeometryError(
                    f"{name} expects finite vectors of shape ({views}, 3) in order z, y, x, got {values.shape}"
                )
            if not are_places(values / 4):  # a source may stand as far behind the isocentre as the detector before it
                raise GeometryError(f"{name} expects places at most {4 * MOST_MM:g} mm from the isocentre, got larger numbers")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if (self.source_mm is None) == (self.direction is None):
            raise GeometryError("a pose has either source_mm (divergent) or direction (parallel), not both or neither")
        if self.curved and self.source_mm is None:
            raise GeometryError("a curved detector needs a source; use a flat one for parallel rays")

    @property
    def views(self) -> int:
        """Number of views."""
        return len(self.detector_mm)

    @property
    def parallel(self) -> bool:
        """True when the rays of a view are parallel."""
        return self.source_mm is None

    def take(self, views: slice | Sequence[int] | np.ndarray) -> Poses:
        """The poses of some views, in the order given."""
        pick = lambda a: None if a is None else a[views]
        return Poses(
            rows=self.rows,
            cols=self.cols,
            detector_mm=self.detector_mm[views],
            col_step_mm=self.col_step_mm[views],
            row_step_mm=self.row_step_mm[views],
            source_mm=pick(self.source_mm),
            direction=pick(self.direction),
            curved=self.curved,
            curved_offset_rad=self.curved_offset_rad,
        )

    def fan_angles_rad(self, view: int = 0) -> np.ndarray:
        """Fan angle of each column of one view in the plane of source and columns, (cols,)."""
        j = np.arange(self.cols) - (self.cols - 1) / 2
        if self.source_mm is None:
            return np.zeros(self.cols)
        along = self.detector_mm[view] - self.source_mm[view]
        rows = self.row_step_mm[view] / np.linalg.norm(self.row_step_mm[view])
        along = along - (along @ rows) * rows
        step = np.linalg.norm(self.col_step_mm[view])
        if self.curved:
            return self.curved_offset_rad + j * step / np.linalg.norm(along)
        cols = self.col_step_mm[view] / step
        shift = along @ cols
        distance = np.linalg.norm(along - shift * cols)
        return np.arctan((shift + j * step) / distance)
