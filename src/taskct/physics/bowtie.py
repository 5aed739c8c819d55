"""Bow-tie filters: how much of the beam reaches each detector pixel through air.

A filter is a tensor of transmissions, (C,) or (R, C), above 0 and up to 1, or a function that makes one from a beam.
`Dose.photons` is then the number at a pixel with transmission 1, the middle of the field.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.geometry import Beam, VectorBeam

Bowtie = Tensor | Callable[[Beam], Tensor]


def bowtie_for_cylinder(
    beam: Beam,
    diameter_mm: float,
    mu_per_mm: float = MU_WATER_70KEV_PER_MM,
    *,
    min_transmission: float = 0.02,
) -> Tensor:
    """Transmission (C,) or (R, C) of the filter that makes a cylinder at the isocentre look equally thick to all columns.

    A ray at distance r from the axis passes a chord of the cylinder; the filter adds what is missing to the diameter:

        b = exp(-mu (diameter - chord(r))),   chord(r) = 2 sqrt((diameter / 2)^2 - r^2), 0 outside the cylinder

    so that b * exp(-mu chord) is the same for every ray of a row that meets the cylinder. A real filter stops at a finite
    thickness: b is at least `min_transmission`. All rows of a cone get the transmissions of the central one.

    >>> from taskct.geometry import ParallelBeam
    >>> beam = ParallelBeam(views=1, cols=5, pixel_mm=100.0)
    >>> bowtie_for_cylinder(beam, 300.0, 0.02, min_transmission=0.01)
    tensor([0.0100, 0.2170, 1.0000, 0.2170, 0.0100], dtype=torch.float64)
    """
    if isinstance(beam, VectorBeam):
        raise GeometryError(
            "a bow-tie filter stands at a fixed place before a turning detector; for a VectorBeam give transmissions (R, C)"
        )
    if not (np.isfinite(diameter_mm) and diameter_mm > 0 and np.isfinite(mu_per_mm) and 0 < mu_per_mm < 1):
        raise InputError(
            f"bowtie_for_cylinder expects diameter_mm > 0 and 0 < mu_per_mm < 1 (water: about 0.02), "
            f"got {diameter_mm!r} and {mu_per_mm!r}"
        )
    if not 0 < min_transmission <= 1:
        raise InputError(f"bowtie_for_cylinder expects min_transmission above 0 and up to 1, got {min_transmission!r}")
    radius = diameter_mm / 2
    chord = 2 * np.sqrt(np.clip(radius**2 - _distances_mm(beam) ** 2, 0, None))
    passed = np.clip(np.exp(-mu_per_mm * (diameter_mm - chord)), min_transmission, 1.0)
    row = torch.from_numpy(passed)
    return row if beam.rows == 1 else row.expand(beam.rows, -1).clone()


def cylinder_bowtie(
    diameter_mm: float, mu_per_mm: float = MU_WATER_70KEV_PER_MM, *, min_transmission: float = 0.02
) -> Callable[[Beam], Tensor]:
    """`bowtie_for_cylinder` for whatever beam it meets: give it to `simulate_scan(bowtie=...)` before the beam is known."""
    return partial(bowtie_for_cylinder, diameter_mm=diameter_mm, mu_per_mm=mu_per_mm, min_transmission=min_transmission)


def transmission(bowtie: Bowtie | None, beam: Beam) -> Tensor | None:
    """The filter as a tensor for this beam; None stays None."""
    return bowtie(beam) if callable(bowtie) else bowtie


def _distances_mm(beam: Beam) -> np.ndarray:
    """Distance of the central row's rays from the axis of rotation, (C,)."""
    poses = beam.poses()
    if poses.source_mm is not None:
        source_iso_mm = float(np.hypot(poses.source_mm[0, 1], poses.source_mm[0, 2]))
        return source_iso_mm * np.abs(np.sin(poses.fan_angles_rad(0)))
    step = poses.col_step_mm[0]
    pixel_mm = float(np.linalg.norm(step))
    offset_mm = float(poses.detector_mm[0] @ step) / pixel_mm
    return np.abs(offset_mm + (np.arange(poses.cols) - (poses.cols - 1) / 2) * pixel_mm)
