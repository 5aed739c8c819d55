import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import GeometryError
from taskct.geometry import Grid


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=3), st.floats(0.1, 5))
def test_a_grid_without_origin_is_centred_on_the_isocentre(shape, spacing):
    grid = Grid(shape, spacing)
    assert grid.centre_mm == pytest.approx((0,) * len(shape), abs=1e-9)
    assert grid.size_mm == pytest.approx([n * spacing for n in shape])
    for axis, positions in enumerate(grid.axes_mm()):
        assert len(positions) == shape[axis]
        low, high = grid.bounds_mm[axis]
        assert positions[0] - low == pytest.approx(spacing / 2)
        assert high - positions[-1] == pytest.approx(spacing / 2)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.floats(-30, 30))
def test_refining_and_resizing_keep_the_region(factor, origin):
    grid = Grid((6, 5), (2.0, 1.0), (origin, 0.0))
    for other in (grid.refined(factor), grid.resized((11, 3))):
        assert np.allclose(other.bounds_mm, grid.bounds_mm)
    assert grid.refined(factor).shape == (6 * factor, 5 * factor)


def test_radii_measure_what_a_detector_must_cover():
    grid = Grid((40, 30), 1.0)
    assert grid.radius_mm == pytest.approx(25.0)
    assert grid.inscribed_radius_mm == pytest.approx(15.0)
    assert Grid((4, 4), 1.0, (10.0, 0.0)).inscribed_radius_mm < 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (((4,), 1.0), r"expects a shape \(Y, X\) or \(Z, Y, X\) of positive whole numbers, got \(4,\)"),
        (((4, 0), 1.0), "positive whole numbers"),
        (((4, 2.5), 1.0), "positive whole numbers"),
        (((4, 4), -1.0), "one positive spacing_mm per axis"),
        (((4, 4), (1.0, 1.0, 1.0)), "one positive spacing_mm per axis"),
        (((4, 4), float("nan")), "one positive spacing_mm per axis"),
        (((4, 4), 1.0, (0.0,)), "one finite origin_mm per axis"),
        (((4, 4), float("inf")), "one positive spacing_mm per axis"),
        (((4, 4), (1.0, 0.0)), "one positive spacing_mm per axis"),
        (((4, 4), 1e300), r"spacing_mm from 1e-09 to 1e\+09, got 1e\+300"),
        (((4, 4), (1.0, 1.1e9)), r"spacing_mm from 1e-09 to 1e\+09"),
        (((4, 4), 5e-324), r"spacing_mm from 1e-09 to 1e\+09, got 5e-324"),
        (((4, 4), 0.9e-9), r"spacing_mm from 1e-09"),
        (((4, 4), 1.0, (0.0, float("nan"))), "one finite origin_mm per axis"),
        (((4, 4), 1.0, (-1.1e9, 0.0)), r"at most 1e\+09 from 0"),
    ],
)
def test_impossible_grids_are_refused_with_the_reason(arguments, why):
    with pytest.raises(GeometryError, match=why):
        Grid(*arguments)


def test_the_shortest_and_the_longest_lengths_are_taken():
    for spacing_mm in (1e-9, 1e9):
        grid = Grid((3, 3), spacing_mm)
        assert np.isfinite([*grid.size_mm, grid.radius_mm**2]).all() and grid.radius_mm**2 > 0
    assert Grid((3, 3), 1.0, (1e9, -1e9)).origin_mm == (1e9, -1e9)


def test_grids_with_equal_numbers_are_equal():
    assert Grid((4, 4), 1) == Grid([4, 4], (1.0, 1.0)) and hash(Grid((4, 4), 1)) == hash(Grid((4, 4), 1.0))
