"""The geometries that are compared, in plain numbers: read by both environments, importing neither taskct nor a peer."""

from __future__ import annotations

PARALLEL = {"pixels": 362, "views": 1000, "cols": 513}  # pixel = detector pixel = 1 mm, half a turn
FAN = {"pixels": 512, "views": 1000, "cols": 736, "source_iso_mm": 600.0, "iso_detector_mm": 600.0, "pixel_mm": 1.33565}


def cone(voxels: int, views: int, cols: int) -> dict[str, float]:
    """A cube of 1 mm voxels seen by a square detector over a full turn; distances scale with the cube."""
    return {
        "voxels": voxels,
        "views": views,
        "cols": cols,
        "pixel_mm": 1.7 * voxels / cols,
        "source_iso_mm": 2.0 * voxels,
        "source_detector_mm": 3.0 * voxels,
    }


CONE = cone(128, 180, 256)
CONE_256 = cone(256, 360, 384)
BALL_RADIUS = 0.4  # of the image, the object of every agreement: it looks the same in every convention
BALL_PER_MM = 0.02  # its attenuation: water
