import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import GeometryError
from taskct.geometry import (
    ConeBeam,
    FanBeam,
    Grid,
    ParallelBeam,
    Poses,
    RadiographPose,
    TruncationWarning,
    VectorBeam,
    check_pair,
)
from taskct.geometry.coverage import field_of_view_mm, truncation_mm
from taskct.geometry.presets import PRESETS, clinical_cone, clinical_fan, lodopab

FAN = {"views": 8, "cols": 41, "pixel_mm": 2.0, "source_iso_mm": 300.0, "source_detector_mm": 500.0}
CONE = FAN | {"rows": 9, "row_mm": 3.0}


def test_at_angle_zero_the_source_stands_in_front_and_turns_towards_the_left_of_the_patient():
    poses = FanBeam(**FAN).poses()
    assert poses.source_mm[0] == pytest.approx([0, -300, 0])  # z, y, x: front is -y
    assert poses.detector_mm[0] == pytest.approx([0, 200, 0])
    assert poses.col_step_mm[0] == pytest.approx([0, 0, 2])
    assert poses.source_mm[2] == pytest.approx([0, 0, 300], abs=1e-9)  # a quarter turn later: +x is the patient's left


def test_a_parallel_ray_at_u_is_the_line_x_cos_plus_y_sin():
    beam = ParallelBeam(views=7, cols=5, pixel_mm=1.5, start_deg=10.0, col_offset_mm=0.4)
    poses = beam.poses()
    for view, angle in enumerate(beam.angles_rad):
        for col in range(5):
            u = 0.4 + (col - 2) * 1.5
            _, y, x = poses.detector_mm[view] + (col - 2) * poses.col_step_mm[view] + 7.0 * poses.direction[view]
            assert x * np.cos(angle) + y * np.sin(angle) == pytest.approx(u)


def test_views_divide_the_arc_and_its_end_is_not_repeated():
    angles = np.rad2deg(ParallelBeam(views=4, cols=4, pixel_mm=1, arc_deg=180, start_deg=5).angles_rad)
    assert angles == pytest.approx([5, 50, 95, 140])
    assert np.rad2deg(FanBeam(**FAN, start_deg=90).angles_rad)[-1] == pytest.approx(90 + 315)


@settings(deadline=None, max_examples=30)
@given(st.booleans(), st.floats(-20, 20), st.floats(0, 360), st.floats(-30, 30))
def test_source_and_detector_keep_their_distances_in_every_view(curved, offset, start, pitch):
    beam = ConeBeam(**CONE, curved=curved, col_offset_mm=offset, start_deg=start, pitch_mm=pitch, arc_deg=720)
    poses = beam.poses()
    assert np.hypot(*poses.source_mm[:, 1:].T) == pytest.approx(300)
    normal = np.cross(poses.row_step_mm, poses.col_step_mm)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    assert np.abs(((poses.detector_mm - poses.source_mm) * normal).sum(1)) == pytest.approx(500)


def test_a_helix_climbs_by_the_pitch_per_turn_centred_on_zero():
    beam = ConeBeam(**(CONE | {"views": 16}), arc_deg=720, pitch_mm=10.0)
    z = beam.poses().source_mm[:, 0]
    assert z[8] - z[0] == pytest.approx(10.0)
    assert z[0] == pytest.approx(-10.0)  # two turns of 10 mm, from -10 to 10
    assert beam.poses().detector_mm[:, 0] == pytest.approx(z)


def test_flat_and_curved_fan_angles_are_those_of_trigonometry():
    j = np.arange(41) - 20
    flat = FanBeam(**FAN, col_offset_mm=3.0).poses().fan_angles_rad(5)
    assert flat == pytest.approx(np.arctan((3 + 2 * j) / 500))
    curved = FanBeam(**FAN, curved=True, col_offset_mm=3.0).poses().fan_angles_rad(5)
    assert curved == pytest.approx((3 + 2 * j) / 500)


def test_a_vector_beam_of_the_same_poses_is_the_same_geometry():
    poses = ConeBeam(**CONE).poses()
    fields = {f.name: getattr(poses, f.name) for f in dataclasses.fields(VectorBeam)}
    beam = VectorBeam(**fields)
    assert beam == VectorBeam(**fields) and hash(beam) == hash(VectorBeam(**fields))
    assert np.array_equal(beam.poses().source_mm, poses.source_mm)
    assert beam != VectorBeam(**fields | {"detector_mm": poses.detector_mm + 1})


def test_taking_views_takes_their_poses():
    poses = ConeBeam(**CONE).poses()
    part = poses.take([5, 1])
    assert np.array_equal(part.source_mm, poses.source_mm[[5, 1]]) and part.views == 2
    assert np.array_equal(poses.take(slice(0, None, 2)).detector_mm, poses.detector_mm[::2])


def test_lodopab_is_the_published_geometry():
    grid, beam = lodopab()
    assert grid.shape == (362, 362) and grid.size_mm == pytest.approx((260, 260))
    assert beam.views == 1000 and beam.cols == 513
    assert beam.cols * beam.pixel_mm == pytest.approx(367.6)  # [-0.1838, 0.1838] m
    assert beam.angles_rad == pytest.approx(np.pi * (np.arange(1000) + 0.5) / 1000)  # cells of ODL's partition
    check_pair(grid, beam)


def test_clinical_presets_see_a_circle_of_500_mm():
    assert 2 * field_of_view_mm(clinical_fan()) == pytest.approx(500, abs=3)
    assert field_of_view_mm(clinical_cone()) == field_of_view_mm(clinical_fan())
    assert set(PRESETS) == {"lodopab", "clinical_fan", "clinical_cone"}


def _fields() -> dict:
    poses = ConeBeam(**CONE).poses()
    return {f.name: getattr(poses, f.name) for f in dataclasses.fields(VectorBeam)}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ParallelBeam(views=0, cols=4, pixel_mm=1), "expects views as a whole number from 1 to 1000000, got 0"),
        (lambda: ParallelBeam(views=4, cols=2.5, pixel_mm=1), "expects cols as a whole number"),
        (lambda: ParallelBeam(views=4, cols=4, pixel_mm=0), "ParallelBeam expects pixel_mm > 0, got 0"),
        (lambda: ParallelBeam(views=4, cols=4, pixel_mm=1e308), r"expects pixel_mm from 1e-09 to 1e\+09, got 1e\+308"),
        (lambda: FanBeam(**FAN | {"source_detector_mm": 1e200}), "expects source_detector_mm from 1e-09"),
        (lambda: ParallelBeam(views=4, cols=4, pixel_mm=1, arc_deg=0), "expects arc_deg other than 0"),
        (lambda: FanBeam(**FAN | {"source_detector_mm": 200.0}), r"source_detector_mm > source_iso_mm.*swapped\?"),
        (lambda: FanBeam(**FAN | {"cols": 2000}, curved=True), "half fan of 229 deg is impossible"),
        (lambda: FanBeam(**FAN, start_deg=float("nan")), "expects a finite start_deg"),
        (lambda: ConeBeam(**CONE | {"row_mm": -1.0}), "expects row_mm > 0"),
        (lambda: ConeBeam(**CONE, pitch_mm=float("inf")), "expects a finite pitch_mm"),
        (lambda: ConeBeam(**CONE, pitch_mm=1e300), r"finite pitch_mm of at most 1e\+09, got 1e\+300"),
        (lambda: FanBeam(**FAN, col_offset_mm=-1.1e9), "finite col_offset_mm of at most"),
        (lambda: FanBeam(**FAN, arc_deg=1e12), "finite arc_deg of at most"),
        (lambda: ParallelBeam(views=4, cols=4, pixel_mm=5e-324), r"expects pixel_mm from 1e-09"),
        (lambda: ParallelBeam(views=4, cols=4, pixel_mm=True), "expects pixel_mm > 0, got True"),
        (lambda: VectorBeam(**_fields() | {"source_mm": _fields()["source_mm"] * 1e100}), r"source_mm expects places at most"),
        (lambda: RadiographPose(source_iso_mm=1e300, source_detector_mm=2e300), "RadiographPose expects source_iso_mm from"),
        (lambda: RadiographPose(source_iso_mm=1e3, source_detector_mm=2e3, offset_mm=(1e300, 0)), "expects finite angles"),
    ],
)
def test_impossible_beams_are_refused_with_the_reason(make, why):
    with pytest.raises(GeometryError, match=why):
        make()


def _vectors(**changes):
    poses = ConeBeam(**CONE).poses()
    fields = {f.name: getattr(poses, f.name) for f in dataclasses.fields(VectorBeam)}
    return VectorBeam(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"source_mm": None}, "either source_mm .* or direction"),
        ({"detector_mm": np.zeros((8, 2))}, r"detector_mm expects finite vectors of shape \(8, 3\) in order z, y, x"),
        ({"col_step_mm": np.full((8, 3), np.nan)}, "finite vectors"),
        ({"col_step_mm": ConeBeam(**CONE).poses().row_step_mm}, "span a plane; in view 0 they do not"),
        ({"source_mm": None, "direction": np.full((8, 3), 2.0)}, "unit vectors"),
    ],
)
def test_impossible_poses_are_refused_with_the_reason(changes, why):
    with pytest.raises(GeometryError, match=why):
        _vectors(**changes)


@pytest.mark.parametrize(
    ("grid", "beam", "why"),
    [
        (Grid((700, 700), 1.0), FanBeam(**FAN), "the source of view 0 lies inside the grid of 700 x 700 mm"),
        (Grid((300, 450), 1.0), FanBeam(**FAN), r"the detector of view 1 lies inside the grid"),
        (Grid((8, 8), 1.0), ConeBeam(**CONE), "a 2D grid .* goes with ParallelBeam or FanBeam of one row"),
        (Grid((8, 8), 1.0), ParallelBeam(views=4, cols=20, pixel_mm=1, rows=3), "2D grid"),
        (Grid((8, 8, 8), 1.0), FanBeam(**FAN), "FanBeam projects 2D grids"),
        (Grid((8, 8), 1.0, (-400.0, 0.0)), FanBeam(**FAN), "behind the source of view 0"),
    ],
)
def test_beams_that_cannot_project_a_grid_are_refused_with_the_reason(grid, beam, why):
    with pytest.raises(GeometryError, match=why):
        check_pair(grid, beam)


def test_a_detector_that_is_too_small_says_how_many_mm_are_cut_off():
    beam = ParallelBeam(views=4, cols=50, pixel_mm=1.0)
    with pytest.warns(
        TruncationWarning, match=r"radius of 25.0 mm and the circle inside the grid 32.0 mm, so 7.0 mm are cut off"
    ):
        check_pair(Grid((64, 64), 1.0), beam)
    assert truncation_mm(Grid((64, 64), 1.0), beam) == pytest.approx(7.0)
    assert truncation_mm(Grid((64, 64), 1.0), dataclasses.replace(beam, col_offset_mm=7.0)) == 0  # half-fan style offset


def test_rows_that_do_not_reach_the_ends_say_how_many_mm_and_slices_are_cut_off():
    # 9 rows of 3 mm see 27 * 300 / 500 = 16.2 mm on the axis
    with pytest.warns(
        TruncationWarning, match=r"z from -8.1 to 8.1 mm .* so 11.9 mm are cut off at the feet and 11.9 mm .*slices 6 to 13"
    ):
        check_pair(Grid((20, 8, 8), 2.0), ConeBeam(**CONE))
    check_pair(Grid((20, 8, 8), 2.0), ConeBeam(**CONE, pitch_mm=25.0))  # a helix travels along
    with pytest.warns(TruncationWarning, match="no slice of 2 are seen"):
        check_pair(Grid((2, 8, 8), 2.0, (50.0, -7.0, -7.0)), ParallelBeam(views=4, cols=20, rows=5, pixel_mm=1.0))


def test_poses_cannot_be_changed_after_they_are_made():
    poses = ParallelBeam(views=4, cols=4, pixel_mm=1).poses()
    assert isinstance(poses, Poses)
    with pytest.raises(ValueError, match="read-only"):
        poses.detector_mm[0, 0] = 1.0
