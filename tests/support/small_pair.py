"""One small body seen from the front and the left, and the files that a user would have of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import radiograph_files as files
import torch

from taskct import Grid, Projector
from taskct.data.radiographs import PoseFile, ViewPose
from taskct.geometry.radiographs import RadiographPose, radiograph_beam

ISO, DETECTOR, PIXEL = 700.0, 1000.0, 9.0
ROWS, COLS = 30, 28
GRID = Grid((16, 16, 16), 10.0)


def views(*poses: RadiographPose) -> Projector:
    return Projector(GRID, radiograph_beam(poses, rows=ROWS, cols=COLS, pixel_mm=PIXEL))


def pose(angle: float, tilt: float = 0.0) -> RadiographPose:
    return RadiographPose(source_iso_mm=ISO, source_detector_mm=DETECTOR, angle_deg=angle, tilt_deg=tilt)


def body() -> torch.Tensor:
    """An ellipsoid with a dense lump at the front, the left and the top, so that no flip goes unseen: (1, 1, Z, Y, X)."""
    line = (torch.arange(16) - 7.5) * 10.0
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    mu = 0.02 * (((z / 60) ** 2 + (y / 66) ** 2 + (x / 52) ** 2) < 1)
    lump = ((z - 25) ** 2 + (y + 25) ** 2 + (x - 18) ** 2) < 18**2
    return (mu + 0.03 * lump)[None, None].float()


BODY = body()
A = views(pose(0), pose(90))
P = A(BODY)
BOTH = PoseFile(
    frontal=ViewPose(source_iso_mm=ISO, source_detector_mm=DETECTOR, pixel_mm=PIXEL, angle_deg=0.0, air_value=files.AIR),
    lateral=ViewPose(source_iso_mm=ISO, source_detector_mm=DETECTOR, pixel_mm=PIXEL, angle_deg=90.0, air_value=files.AIR),
)


def dicom_pair(folder: Path, p: torch.Tensor = P, primary: tuple[float, float] = (180.0, -90.0), **more: Any) -> list[Path]:
    """Both views as XA."""
    return [
        files.write_dicom(
            folder / f"{k}.dcm", files.counts_of(p[0, 0, k]), **{**files.xa(ISO, DETECTOR, PIXEL, angle), **more}
        )
        for k, angle in enumerate(primary)
    ]


def write_views(folder: Path, p: torch.Tensor, pixel: float, **more: Any) -> list[Path]:
    return [
        files.write_dicom(folder / f"{k}.dcm", files.counts_of(p[0, 0, k]), **{**files.xa(ISO, DETECTOR, pixel, a), **more})
        for k, a in enumerate((180.0, -90.0))
    ]
