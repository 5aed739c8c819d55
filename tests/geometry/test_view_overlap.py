"""Which points several radiographs see: against the arithmetic of similar triangles."""

from __future__ import annotations

import numpy as np

from taskct.geometry import bi_planar
from taskct.geometry.radiographs import RadiographPose, radiograph_beam
from taskct.geometry.view_overlap import common_field_mm, overlap_share, seen_by


def test_a_point_is_seen_where_its_ray_meets_the_detector() -> None:
    beam = bi_planar(cols=10, rows=10, pixel_mm=20.0, source_iso_mm=1000, source_detector_mm=2000)
    half = 100.0 / 2  # magnified twice at the isocentre
    points = np.array([[0, 0, half - 1], [0, 0, half + 1], [half + 1, 0, 0], [0, -400.0, half - 25], [0, -1500.0, 0]], float)
    frontal = seen_by(beam, points)[0]
    # at 400 mm nearer to the source the field is 0.6 times as wide; behind the source nothing is seen
    assert frontal.tolist() == [True, False, False, True, False]
    assert not seen_by(beam, np.array([[0, -400.0, half - 15]]))[0, 0]


def test_the_common_field_is_a_cube_whose_corners_all_views_see() -> None:
    beam = bi_planar(cols=10, rows=10, pixel_mm=20.0, source_iso_mm=1000, source_detector_mm=2000)
    side = common_field_mm(beam, (0.0, 0.0, 0.0))
    # the corner nearest the source: half / (1000 - half) = 100 / 2000
    assert abs(side - 2 * 1000 * 0.05 / 1.05) < 0.01
    assert overlap_share(beam, (0.0, 0.0, 0.0), side) == 1.0


def test_views_that_look_past_one_another_have_no_common_field() -> None:
    far = RadiographPose(source_iso_mm=1000, source_detector_mm=1500, angle_deg=90, iso_mm=(500, 0, 0))
    near = RadiographPose(source_iso_mm=1000, source_detector_mm=1500)
    beam = radiograph_beam([near, far], cols=10, rows=10, pixel_mm=20.0)
    assert common_field_mm(beam, (0.0, 0.0, 0.0)) == 0.0
    assert overlap_share(beam, (0.0, 0.0, 0.0), 200.0) == 0.0
