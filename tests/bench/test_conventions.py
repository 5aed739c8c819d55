"""Results in other conventions are recognised, misplaced ones are not; rotate and sum is a projection."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from taskct.bench.bench_geometries import BALL_PER_MM, BALL_RADIUS, BALL_SHIFT
from taskct.bench.conventions import images_alike, projections_alike
from taskct.bench.peers import ball
from taskct.bench.rotate_and_sum import rotate_and_sum
from taskct.geometry import FanBeam, Grid, ParallelBeam
from taskct.physics.projector import Projector

CASE = {"ball_radius": BALL_RADIUS, "ball_per_mm": BALL_PER_MM, "ball_shift": BALL_SHIFT}


def nearest(x: np.ndarray, others: Iterator[np.ndarray]) -> float:
    return min(float(np.linalg.norm(x - other)) for other in others) / float(np.linalg.norm(x))


def projections(*, start_deg: float = 0.0, arc_deg: float = 360.0, col_offset_mm: float = 0.0) -> np.ndarray:
    beam = FanBeam(
        views=24,
        cols=60,
        pixel_mm=1.6,
        source_iso_mm=60,
        source_detector_mm=100,
        start_deg=start_deg,
        arc_deg=arc_deg,
        col_offset_mm=col_offset_mm,
    )
    mu = torch.from_numpy(ball((40, 40), CASE))[None, None]
    return np.asarray(Projector(Grid((40, 40), 1.0), beam)(mu)[0, 0])


def test_views_the_other_way_round_from_a_quarter_turn_on_are_alike_and_a_shifted_detector_is_not() -> None:
    p = projections()
    assert nearest(p, projections_alike(projections(start_deg=90.0))) < 1e-6  # float32 rounding
    assert nearest(p, projections_alike(projections(arc_deg=-360.0))) < 1e-6
    assert nearest(p, projections_alike(p[:, ::-1])) == 0
    assert nearest(p, projections_alike(projections(col_offset_mm=0.8))) > 0.02  # half a pixel
    assert nearest(p, projections_alike(projections(start_deg=15.0))) > 0.02  # a view


def test_turned_and_mirrored_images_are_alike_and_a_shifted_one_is_not() -> None:
    mu = ball((20, 20, 20), CASE)
    assert nearest(mu, images_alike(mu.transpose(1, 0, 2)[:, ::-1])) == 0
    assert nearest(mu, images_alike(np.roll(mu, 1, axis=0))) > 0.1
    assert sum(np.array_equal(mu, other) for other in images_alike(mu)) == 1  # nothing looks the same by chance


def test_rotate_and_sum_projects_as_joseph_does() -> None:
    mu = torch.from_numpy(ball((64, 64), CASE))[None, None]
    exact = Projector(Grid((64, 64), 1.0), ParallelBeam(views=12, cols=80, pixel_mm=1.1))(mu)
    summed = rotate_and_sum(mu, views=12, cols=80, pixel_mm=1.1)
    difference = nearest(exact[0, 0].numpy(), projections_alike(summed[0, 0].numpy()))
    assert difference < 0.02  # it interpolates in two directions, which blurs
