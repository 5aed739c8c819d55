"""poses.toml: what no radiograph says of itself, or says wrongly. One table for the frontal view, one for the lateral.

schema = 1
[frontal]
source_iso_mm = 1000.0
source_detector_mm = 1500.0
pixel_mm = 0.4
angle_deg = 0.0             # 0 is AP, 180 is PA
[lateral]
source_iso_mm = 1000.0
source_detector_mm = 1500.0
pixel_mm = 0.4
angle_deg = 90.0            # source at the patient's left; -90: at the right
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from taskct.core.config import SCHEMA, read_config
from taskct.core.errors import ConfigError

VIEWS = ("frontal", "lateral")
NEEDED = ("source_iso_mm", "source_detector_mm", "pixel_mm", "angle_deg")
_MEANING = {
    "source_iso_mm": "source to isocentre, the point about which the head is centred",
    "source_detector_mm": "source to detector",
    "pixel_mm": "distance of the columns on the detector itself (ImagerPixelSpacing, not PixelSpacing)",
    "angle_deg": "where the source stands: 0 in front (AP), 180 behind (PA), 90 at the patient's left, -90 at the right",
}
ASSUMED, BY_SIDE = "assumed", "ViewPosition"  # where a number comes from that nobody has stated
_GUESSES = {
    ASSUMED: "assumed: state it if it is known",
    BY_SIDE: "ViewPosition, which says only from which side: state the angle if it is known",
}


@dataclass(frozen=True, kw_only=True)
class ViewPose:
    """One view of poses.toml; lengths in mm, angles in degrees. What is left out comes from the DICOM header, if it is there.

    source_iso_mm, source_detector_mm
                    from the source to the isocentre, and to the detector
    pixel_mm, row_mm
                    distance of columns, and of rows if it differs, on the detector itself
    angle_deg       where the source stands: 0 in front (AP), 180 behind (PA), 90 at the patient's left
    tilt_deg        how far the source is lifted towards the head; roll_deg: the detector turned in its plane
    iso_mm          the isocentre (z, y, x) in the volume's frame
    offset_mm       (rows, columns): the detector's centre off the central ray, along its own axes, rows towards the head
    quarter_turns   clockwise quarter turns that bring the head to the top of the picture
    flip_columns, flip_rows
                    whether the picture is then mirrored left to right, or upside down
    air_value       stored value of the unattenuated beam, where it is known
    """

    source_iso_mm: float | None = None
    source_detector_mm: float | None = None
    pixel_mm: float | None = None
    row_mm: float | None = None
    angle_deg: float | None = None
    tilt_deg: float | None = None
    roll_deg: float = 0.0
    iso_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset_mm: tuple[float, float] = (0.0, 0.0)
    quarter_turns: int | None = None
    flip_columns: bool | None = None
    flip_rows: bool | None = None
    air_value: float | None = None

    def __post_init__(self) -> None:
        for name in ("source_iso_mm", "source_detector_mm", "pixel_mm", "row_mm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e6:
                raise ConfigError(f"{name}: expected a length in mm above 0, got {value!r}")
        if self.air_value is not None and not math.isfinite(self.air_value):
            raise ConfigError(f"air_value: expected a stored value of the unattenuated beam, got {self.air_value!r}")
        for name in ("angle_deg", "tilt_deg", "roll_deg"):
            value = getattr(self, name)
            if value is not None and not abs(value) <= 360:
                raise ConfigError(f"{name}: expected an angle in degrees, got {value!r}")
        if not all(abs(v) < 1e6 for v in (*self.iso_mm, *self.offset_mm)):
            raise ConfigError(f"iso_mm and offset_mm: expected lengths in mm, got {self.iso_mm} and {self.offset_mm}")


@dataclass(frozen=True, kw_only=True)
class PoseFile:
    """The two tables of poses.toml."""

    frontal: ViewPose = field(default_factory=ViewPose)
    lateral: ViewPose = field(default_factory=ViewPose)

    def __getitem__(self, view: str) -> ViewPose:
        return {"frontal": self.frontal, "lateral": self.lateral}[view]


def read_pose_file(path: str | os.PathLike[str]) -> PoseFile:
    """poses.toml -> PoseFile; ConfigError names the file, the table and an unknown key with what was probably meant."""
    return read_config(path, PoseFile)


def filled_pose_file(known: Mapping[str, Mapping[str, object]], notes: Mapping[str, Mapping[str, str]]) -> str:
    """TOML text with what is known of each view, and a line to fill in for each thing that is needed and unknown.

    `notes` says of each value where it comes from. What was only assumed stands in a comment: as a statement, it would be read
    as one the next time.
    """
    from taskct.core.toml import to_toml

    lines = [f"schema = {SCHEMA}"]
    for view in VIEWS:
        lines += ["", f"[{view}]"]
        found = known.get(view, {})
        for name in (f.name for f in dataclasses.fields(ViewPose)):
            if name in found:
                text = to_toml({name: found[name]}).strip()
                where = notes.get(view, {}).get(name, "")
                guess = "# " if where in _GUESSES else ""
                lines.append(f"{guess}{text}{'  # ' + _GUESSES.get(where, where) if where else ''}")
            elif name in NEEDED:
                lines.append(f"# {name} = ?  # TO FILL IN: {_MEANING[name]}")
    return "\n".join(lines) + "\n"
