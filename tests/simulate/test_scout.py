"""A scout needs views from the front and from the side, to ten degrees."""

from __future__ import annotations

import pytest

from taskct.core.errors import GeometryError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.simulate.scout import scout_views


def scan(start_deg: float, views: int = 2) -> Projector:
    return Projector(Grid((8, 8), 1.0), ParallelBeam(views=views, cols=12, pixel_mm=1.0, start_deg=start_deg))


def test_the_views_nearest_to_front_and_side_are_taken() -> None:
    assert scout_views(scan(9.9)) == (0, 1)
    assert scout_views(scan(-9.9)) == (0, 1)
    assert scout_views(scan(85.0)) == (1, 0)
    assert scout_views(scan(0.0, views=180)) == (0, 90)


def test_views_more_than_ten_degrees_off_are_no_scout() -> None:
    with pytest.raises(GeometryError, match="none is within 10 degrees of the front"):
        scout_views(scan(10.1))
