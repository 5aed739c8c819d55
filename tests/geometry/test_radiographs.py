"""Poses of radiographs: the same rays as a cone beam's, moved rigidly, coarser without moving."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct import ConeBeam, Grid, Projector
from taskct.core.errors import GeometryError
from taskct.geometry import ParallelBeam, RadiographPose, bi_planar, radiograph_beam
from taskct.geometry.radiographs import vector_beam
from taskct.physics.projectors import Projectors

ARM = {"source_iso_mm": 1000.0, "source_detector_mm": 1500.0}
GRID = Grid((16, 16, 16), 10.0)
DETECTOR = {"cols": 24, "rows": 20, "pixel_mm": 12.0}


def ball(centre: tuple[float, float, float], radius_mm: float = 22.0, grid: Grid = GRID) -> torch.Tensor:
    axes = np.meshgrid(*grid.axes_mm(), indexing="ij")
    far = np.sqrt(sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)))
    return torch.tensor(np.clip(0.5 - (far - radius_mm) / grid.spacing_mm[0], 0, 1) * 0.02, dtype=torch.float32)[None, None]


def test_frontal_and_lateral_are_the_first_two_quarter_views_of_a_cone_beam() -> None:
    pair = Projector(GRID, bi_planar(**DETECTOR, **ARM))
    cone = Projector(GRID, ConeBeam(views=2, arc_deg=180, **DETECTOR, **ARM))
    mu = ball((20, -30, 10)) + ball((-30, 20, -35))
    assert torch.allclose(pair(mu), cone(mu), rtol=1e-4, atol=1e-5)


def test_what_lies_at_the_left_and_at_the_head_is_seen_there() -> None:
    p = Projector(GRID, bi_planar(**DETECTOR, **ARM))(ball((40, 0, 45), 12))[0, 0]  # high, at the patient's left
    row, col = divmod(int(p[0].argmax()), DETECTOR["cols"])
    assert row > 12 and col > 14
    tilted = Projector(GRID, bi_planar(**DETECTOR, **ARM, tilts_deg=(20, 0)))  # the source is lifted and looks down
    near, far = (int(tilted(ball((0, y, 0), 12))[0, 0, 0].argmax()) // DETECTOR["cols"] for y in (-60, 60))
    assert near < 9 and far > 10


@settings(max_examples=15, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-20, 20)] * 3),
    shift=st.tuples(*[st.floats(-15, 15)] * 3),
    angle=st.floats(-180, 180),
)
def test_moving_the_scanner_is_moving_the_patient_backwards(turn: tuple, shift: tuple, angle: float) -> None:
    A = Projector(GRID, bi_planar(**DETECTOR, **ARM, angles_deg=(angle,)))
    moved = A.moved(turn_deg=[turn], shift_mm=[shift])
    rotation = np.linalg.solve(np.eye(3), np.eye(3))
    for a, (i, j) in zip(np.deg2rad(turn), ((1, 2), (0, 2), (0, 1)), strict=True):
        one = np.eye(3)
        one[i, i] = one[j, j] = np.cos(a)
        one[i, j], one[j, i] = -np.sin(a), np.sin(a)
        rotation = rotation @ one
    here = np.array([15.0, -10.0, 20.0])
    there = rotation @ here + np.asarray(shift)  # the same place as the moved scanner sees it
    first, second = A(ball(tuple(here)))[0, 0, 0], moved(ball(tuple(there)))[0, 0, 0]
    centre = lambda p: [float((p.sum(1 - k) * torch.arange(p.shape[k])).sum() / p.sum()) for k in (0, 1)]
    assert centre(first) == pytest.approx(centre(second), abs=0.15)  # of a detector pixel


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_coarser_level_sees_the_same_body_at_the_same_place(factor: int) -> None:
    A = Projector(GRID, bi_planar(**DETECTOR, **ARM))
    level = A.coarser(factor)
    assert level.grid.size_mm == GRID.size_mm and level.grid.centre_mm == pytest.approx(GRID.centre_mm)
    mu = ball((15, -20, 10), 35)
    fine = torch.nn.functional.avg_pool2d(A(mu)[0], factor)
    coarse = level(torch.nn.functional.avg_pool3d(mu, factor))[0]
    centre = lambda p: (p[0, 0].sum(0) * torch.arange(p.shape[-1])).sum() / p[0, 0].sum()
    assert float(centre(fine)) == pytest.approx(float(centre(coarse)), abs=0.25)
    assert float(fine.sum()) == pytest.approx(float(coarse.sum()), rel=0.03)
    with pytest.raises(GeometryError, match="whole number that divides the grid"):
        A.coarser(3)


def test_a_batch_of_geometries_is_each_image_through_its_own_projector() -> None:
    each = [Projector(GRID, bi_planar(**DETECTOR, **ARM, angles_deg=(a, a + 90))) for a in (0.0, 12.0, -7.0)]
    A, mu = Projectors(each), torch.cat([ball((10, 5 * k, 0)) for k in range(3)])
    p = A(mu)
    assert all(torch.equal(p[i : i + 1], one(mu[i : i + 1])) for i, one in enumerate(each))
    q = torch.rand_like(p)
    assert float((p * q).sum()) == pytest.approx(float((mu * A.adjoint(q)).sum()), rel=1e-5)
    assert torch.equal(A.take([2, 0]).row_sums, A.row_sums[[2, 0]])
    with pytest.raises(GeometryError, match="holds 3 geometries, one for each image; got a batch of 2"):
        A(mu[:2])
    with pytest.raises(GeometryError, match="one grid and one detector for all"):
        Projectors([each[0], each[0].subset([0])])


def test_impossible_poses_are_refused() -> None:
    with pytest.raises(GeometryError, match="are the two swapped"):
        RadiographPose(source_iso_mm=1500, source_detector_mm=1000)
    with pytest.raises(GeometryError, match="a tilt for each of 2 angles, got 1"):
        bi_planar(**DETECTOR, **ARM, tilts_deg=(3.0,))
    with pytest.raises(GeometryError, match="at least one pose"):
        radiograph_beam([], **DETECTOR)
    with pytest.raises(GeometryError, match=r"turn_deg as finite \(2, 3\)"):
        Projector(GRID, bi_planar(**DETECTOR, **ARM)).moved(turn_deg=[[0, 0, 0]], shift_mm=[[0, 0, 0]] * 2)


@pytest.mark.parametrize(
    "beam",
    [
        ParallelBeam(views=5, cols=6, rows=3, pixel_mm=2.0, col_offset_mm=1.0),
        ConeBeam(views=5, cols=6, rows=3, pixel_mm=2.0, source_iso_mm=100, source_detector_mm=170),
    ],
    ids=["parallel", "cone"],
)
def test_any_flat_poses_become_a_beam_of_vectors(beam):
    poses, again = beam.poses(), vector_beam(beam.poses()).poses()
    assert (again.rows, again.cols) == (3, 6)
    for name in ("detector_mm", "col_step_mm", "row_step_mm", "source_mm", "direction"):
        one, other = getattr(poses, name), getattr(again, name)
        assert (one is None) == (other is None) and (one is None or np.array_equal(one, other))
