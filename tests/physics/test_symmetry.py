"""Views by fours: what the lead sees of a turned image is what its twin sees of the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.backends.reference import ReferenceBackend
from taskct.physics.native.symmetry import _meets_a_diagonal, quads

SQUARE, OBLONG = Grid((16, 16), 1.2), Grid((13, 18), (1.4, 0.9))
FAN = {"cols": 24, "pixel_mm": 1.9, "source_iso_mm": 40.0, "source_detector_mm": 70.0}


def turn(image: torch.Tensor, code: int) -> torch.Tensor:
    """L[y, x] = f[turn(y, x)]: exchange y and x first, then reverse."""
    axes = [axis for axis, bit in ((0, 2), (1, 4)) if code & bit]
    image = image.flip(axes) if axes else image
    return image.T if code & 1 else image


@settings(max_examples=60, deadline=None)
@given(
    grid=st.sampled_from((SQUARE, OBLONG)),
    kind=st.sampled_from(("parallel", "flat", "curved")),
    views=st.sampled_from((4, 6, 8, 12, 16, 18)),
    start_deg=st.sampled_from((0.0, 10.0, 45.0, -90.0, 22.5)),
    offset=st.sampled_from((0.0, 0.37)),
    arc=st.sampled_from((180.0, 360.0, -360.0)),
)
def test_a_lead_sees_of_the_turned_image_what_its_twin_sees(
    *, grid: Grid, kind: str, views: int, start_deg: float, offset: float, arc: float
) -> None:
    beam: Beam
    if kind == "parallel":
        beam = ParallelBeam(views=views, cols=24, pixel_mm=1.1, start_deg=start_deg, col_offset_mm=offset, arc_deg=arc)
    else:
        beam = FanBeam(**FAN, views=views, start_deg=start_deg, col_offset_mm=offset, arc_deg=arc, curved=kind == "curved")
    poses = beam.poses()
    found = quads(grid, poses)
    if found is None:
        return
    views_met = found.views[found.views >= 0]
    assert sorted(views_met) == list(range(poses.views))  # each view once
    image = torch.rand((1, *grid.shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    reference = ReferenceBackend(grid, poses)
    p = reference.forward(image)[0, :, 0]
    for lane, code in enumerate(found.turns):
        seen = reference.forward(turn(image[0], code)[None])[0, :, 0]
        for four, backwards in zip(found.views, found.backwards, strict=True):
            if four[lane] < 0:
                continue
            twin = p[four[lane]].flip(0) if backwards[lane] else p[four[lane]]
            assert (seen[four[0]] - twin).abs().max() <= 1e-6 * p.abs().max()


CONE = {**FAN, "views": 8, "rows": 9}


@pytest.mark.parametrize(
    ("beam", "level"),
    [
        (ConeBeam(**CONE), True),
        (ConeBeam(**CONE, curved=True, col_offset_mm=0.3), True),
        (ParallelBeam(views=16, cols=24, rows=9, pixel_mm=1.1), True),
        (ConeBeam(**CONE, row_offset_mm=1e-3), False),
    ],
)
def test_rows_of_a_level_scan_are_mirror_images(beam: Beam, level: bool) -> None:
    grid = Grid((7, 16, 16), 1.2)
    poses = beam.poses()
    found = quads(grid, poses)
    assert found is not None and found.halves == level
    mu = torch.rand((1, *grid.shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    reference = ReferenceBackend(grid, poses)
    p, mirrored = reference.forward(mu), reference.forward(mu.flip(1)).flip(2)
    assert ((mirrored - p).abs().max() <= 1e-9 * p.max()) == level


@pytest.mark.parametrize(("source_detector_mm", "level"), [(60.0, True), (0.4, False)])
def test_a_tilt_counts_as_it_is_magnified(source_detector_mm: float, level: bool) -> None:
    grid, per = Grid((7, 8, 8), 1.0), source_detector_mm / 60
    like = ConeBeam(views=4, cols=9, rows=5, pixel_mm=1.0, row_mm=1.0, source_iso_mm=40.0, source_detector_mm=60.0).poses()
    assert like.source_mm is not None
    tilt = np.array([5e-8, 0.0, 0.0])
    beam = VectorBeam(
        rows=5,
        cols=9,
        detector_mm=like.source_mm + (like.detector_mm - like.source_mm) * per + tilt,
        col_step_mm=like.col_step_mm * per,
        row_step_mm=like.row_step_mm * per,
        source_mm=like.source_mm - tilt,
    )
    found = quads(grid, beam.poses())
    assert found is not None and found.halves == level


@pytest.mark.parametrize(
    ("grid", "beam", "lanes_filled"),
    [
        (SQUARE, ParallelBeam(views=16, cols=24, pixel_mm=1.1), 16 / 20),  # 0 and 90 degrees are their own mirror images
        (SQUARE, ParallelBeam(views=16, cols=24, pixel_mm=1.1, col_offset_mm=0.2, arc_deg=360), 1),
        (SQUARE, FanBeam(**FAN, views=16, col_offset_mm=0.2), 1),
        (OBLONG, FanBeam(**FAN, views=16, start_deg=10), None),  # no two views are mirror images
        (OBLONG, FanBeam(**FAN, views=12, start_deg=15), 1),
        (SQUARE, FanBeam(**FAN, views=15), None),
        (Grid((16, 16), 1.2, (0.0, -8.0)), FanBeam(**FAN, views=16), None),  # off the axis of rotation
        (SQUARE, ParallelBeam(views=16, cols=24, pixel_mm=1.1, col_offset_mm=0.2), None),
        (SQUARE, FanBeam(**FAN, views=16, col_offset_mm=0.2, curved=True), 1),
    ],
)
def test_which_scans_have_twins(grid: Grid, beam: Beam, lanes_filled: float | None) -> None:
    found = quads(grid, beam.poses())
    assert (None if found is None else (found.views >= 0).mean()) == lanes_filled


@pytest.mark.parametrize(
    ("beam", "halves"),
    [
        (ParallelBeam(views=16, cols=24, pixel_mm=1.1), True),
        (ParallelBeam(views=16, cols=23, pixel_mm=1.1, start_deg=45, arc_deg=-180), True),
        (ParallelBeam(views=16, cols=24, pixel_mm=1.1, arc_deg=360), False),  # half a turn leads to other views
        (ParallelBeam(views=16, cols=24, pixel_mm=1.1, col_offset_mm=0.2, arc_deg=360), False),
        (FanBeam(**FAN, views=16), False),
    ],
)
def test_half_a_turn_takes_centred_parallel_views_to_themselves(beam: Beam, *, halves: bool) -> None:
    found = quads(SQUARE, beam.poses())
    assert found is not None
    assert found.halves == halves


CONE = {"cols": 9, "rows": 7, "pixel_mm": 2.0, "row_mm": 2.0, "source_iso_mm": 60.0, "source_detector_mm": 100.0}


def test_a_circle_about_a_volume_has_twins_and_a_helix_has_none() -> None:
    grid = Grid((6, 8, 8), 1.0, (4.0, -3.5, -3.5))
    circle = quads(grid, ConeBeam(**CONE, views=8, col_offset_mm=0.2, row_offset_mm=0.3).poses())
    assert circle is not None
    assert circle.views.shape == (2, 4)
    assert (circle.views >= 0).all()
    assert quads(grid, ConeBeam(**CONE, views=16, arc_deg=720.0, pitch_mm=5.0).poses()) is None


def test_many_views_are_sorted_in_whole_arrays() -> None:
    found = quads(Grid((362, 362), 1.0), ParallelBeam(views=4000, cols=513, pixel_mm=1.0).poses())
    assert found is not None
    assert len(found.views) == 1001
    assert np.array_equal(np.sort(found.views[found.views >= 0]), np.arange(4000))


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("col", range(5))
def test_a_ray_on_a_diagonal_of_the_slice_is_noticed_in_whatever_column_it_lies(curved: bool, col: int) -> None:
    at_mm = 10.0 * (col - 2)
    fan_rad = at_mm / 250 if curved else np.arctan(at_mm / 250)
    for turned_deg, meets in ((0.0, True), (0.3, False)):
        start_deg = 45 + np.rad2deg(fan_rad) + turned_deg  # with a fan that is the same on both sides some column has the ray
        fan = {"cols": 5, "pixel_mm": 10.0, "source_iso_mm": 100.0, "source_detector_mm": 250.0, "curved": curved}
        assert _meets_a_diagonal(FanBeam(views=1, start_deg=start_deg, **fan).poses()) is meets
