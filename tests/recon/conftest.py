"""Exact scans of balls and disks, from the beam's own numbers: no projector, no shared ray code, so no error can cancel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from taskct.geometry import Beam, ConeBeam, Grid, ParallelBeam

Ball = tuple[tuple[float, float, float], float, float]  # centre (z, y, x) mm, radius mm, mu 1/mm


@pytest.fixture
def scan_of_balls() -> Callable[..., Tensor]:
    """`scan_of_balls(beam, balls, dtype=...)` -> p (1, 1, V, C), or (1, 1, V, R, C) for a ConeBeam."""
    return _scan_of_balls


@pytest.fixture
def pixels_of_balls() -> Callable[..., Tensor]:
    """`pixels_of_balls(grid, balls, margin_mm)` -> for each ball the samples at least margin_mm inside its surface."""
    return _pixels_of_balls


def _scan_of_balls(beam: Beam, balls: list[Ball], *, dtype: torch.dtype = torch.float32) -> Tensor:
    angle = np.deg2rad(beam.start_deg + beam.arc_deg * np.arange(beam.views) / beam.views)[:, None, None]
    u = ((np.arange(beam.cols) - (beam.cols - 1) / 2) * beam.pixel_mm + beam.col_offset_mm)[None, None, :]
    v = np.zeros((1, 1, 1))
    if isinstance(beam, ConeBeam):
        v = ((np.arange(beam.rows) - (beam.rows - 1) / 2) * (beam.row_mm or beam.pixel_mm) + beam.row_offset_mm)[None, :, None]
    cos, sin = np.cos(angle), np.sin(angle)
    if isinstance(beam, ParallelBeam):
        start = _vector(v, u * sin, u * cos)
        along = _vector(0 * v, cos + 0 * u, -sin + 0 * u)
    else:
        start = _vector(0 * v, -beam.source_iso_mm * cos + 0 * u, beam.source_iso_mm * sin + 0 * u)
        far = beam.source_detector_mm
        ahead, aside = (far * np.cos(u / far), far * np.sin(u / far)) if beam.curved else (far + 0 * u, u)
        along = _vector(v, ahead * cos + aside * sin, -ahead * sin + aside * cos)
    along = along / np.linalg.norm(along, axis=-1, keepdims=True)
    p = 0.0
    for centre, radius, mu in balls:
        to = np.asarray(centre) - start
        if not isinstance(beam, ConeBeam):
            to[..., 0] = 0.0  # a disk, in whichever slice
        off = np.sum(to**2, axis=-1) - np.sum(to * along, axis=-1) ** 2
        p = p + mu * 2 * np.sqrt(np.clip(radius**2 - off, 0, None))
    p = torch.tensor(p, dtype=dtype)  # (V, R or 1, C)
    return (p if isinstance(beam, ConeBeam) else p[:, 0])[None, None]


def _vector(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.stack(np.broadcast_arrays(z, y, x), axis=-1)


def _pixels_of_balls(grid: Grid, balls: list[Ball], *, margin_mm: float) -> list[Tensor]:
    axes = np.meshgrid(*grid.axes_mm(), indexing="ij")
    masks = []
    for centre, radius, _ in balls:
        distance = np.sqrt(sum((a - c) ** 2 for a, c in zip(axes, centre[-grid.ndim :], strict=True)))
        masks.append(torch.tensor(distance < radius - margin_mm))
    return masks
