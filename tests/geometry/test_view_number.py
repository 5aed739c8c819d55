"""Views that a detector can make use of."""

from __future__ import annotations

import pytest

from taskct.core.errors import GeometryError
from taskct.geometry import ParallelBeam
from taskct.geometry.presets import clinical_fan
from taskct.geometry.view_number import sensible_views, useful_views, view_cost_words


def test_a_half_turn_makes_use_of_half_the_views_of_a_full_one() -> None:
    half, full = (ParallelBeam(views=9, cols=100, pixel_mm=1.0, arc_deg=arc) for arc in (180.0, 360.0))
    assert (useful_views(half), useful_views(full)) == (158, 315)  # pi/2 times the columns, and twice as many


def test_many_times_the_useful_views_are_refused_with_their_cost() -> None:
    with pytest.raises(GeometryError, match=r"100000 views, of which it can make use of about 2313 .* 281 MiB"):
        sensible_views(clinical_fan(views=100_000))
    for beam in (clinical_fan(), clinical_fan(views=40_000), ParallelBeam(views=20_000, cols=8, pixel_mm=1.0)):
        assert sensible_views(beam) is beam


def test_more_than_the_useful_views_are_said_to_cost_time_and_memory() -> None:
    assert view_cost_words(clinical_fan()) == "" and view_cost_words(clinical_fan(views=4000)) == ""
    assert "take 4 times the time, and 25 MiB" in view_cost_words(clinical_fan(views=9000))
