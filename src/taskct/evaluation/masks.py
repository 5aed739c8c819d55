"""Which samples count: the field of view of a beam, the body, the labelled regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import unknown_name
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, VectorBeam, field_of_view_mm

BODY_ABOVE_HU = -500.0
MASKS = ("field of view", "body", "none")


def evaluation_mask(kind: str, grid: Grid, beam: Beam, truth_hu: Tensor) -> Tensor:
    """Bool mask of `truth_hu` (B, 1, *grid.shape): its samples in the field of view, in the body within it, or all."""
    if kind not in MASKS:
        raise unknown_name("mask", kind, MASKS)
    if kind == "none":
        return torch.ones_like(truth_hu, dtype=torch.bool)
    seen = field_of_view_mask(grid, beam).to(truth_hu.device).expand(truth_hu.shape)
    return seen if kind == "field of view" else seen & (truth_hu > BODY_ABOVE_HU)


def field_of_view_mask(grid: Grid, beam: Beam) -> Tensor:
    """Bool (*grid.shape): samples whose centre every view sees (once per turn for an offset detector).

    In a circular cone beam the rows limit z as well. A VectorBeam has no common field of view: all samples count.
    """
    if isinstance(beam, VectorBeam):
        return torch.ones(grid.shape, dtype=torch.bool)
    y_mm, x_mm = grid.axes_mm()[-2:]
    radius_mm = np.hypot(y_mm[:, None], x_mm[None, :])
    seen = radius_mm <= field_of_view_mm(beam)
    if grid.ndim == 2 or isinstance(beam, FanBeam):
        return torch.from_numpy(seen)
    z_mm = grid.axes_mm()[0][:, None, None]
    half_mm = beam.rows * (beam.row_mm or beam.pixel_mm) / 2
    if isinstance(beam, ConeBeam):
        if beam.pitch_mm:
            return torch.from_numpy(np.broadcast_to(seen, grid.shape).copy())
        depths = (np.maximum(beam.source_iso_mm - radius_mm, 0), beam.source_iso_mm + radius_mm)  # nearest, farthest
        ends = [
            [edge / beam.source_detector_mm * d for d in depths]
            for edge in (beam.row_offset_mm - half_mm, beam.row_offset_mm + half_mm)
        ]
        low, high = np.maximum(*ends[0]), np.minimum(*ends[1])
    else:
        low, high = np.full_like(radius_mm, -half_mm), np.full_like(radius_mm, half_mm)
    return torch.from_numpy(seen & (z_mm >= low) & (z_mm <= high))


def label_regions(labels: Tensor, names: Mapping[int, str]) -> dict[str, Tensor]:
    """Region name -> bool mask, for every label above 0 that occurs; a label without a name is 'label 7'.

    A name that stands for several labels, or is 'all' (the whole mask), is told apart by its number.
    """
    return {name: labels == value for name, value in region_values(labels, names).items()}


def region_values(labels: Tensor, names: Mapping[int, str]) -> dict[str, int]:
    """Region name -> its label, as in `label_regions`."""
    used = Counter(names.values()) + Counter(["all"])
    regions: dict[str, int] = {}
    for value in (int(v) for v in torch.unique(labels) if v > 0):
        name = names.get(value, f"label {value}")
        unique = used[name] == (1 if value in names else 0)
        regions[name if unique else f"{name} (label {value})"] = value
    return regions
