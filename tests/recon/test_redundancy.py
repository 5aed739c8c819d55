"""Every line counts once: the weights of all measurements of a line add up to 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import GeometryError
from taskct.recon.redundancy import IncompleteScanWarning, fan_weights, parallel_weights

FAN = np.deg2rad(12.0)
GAMMAS = np.linspace(-FAN, FAN, 13)


def total_fan_weight(first_rad: float, arc_rad: float, col: int, gammas: np.ndarray) -> float:
    """Sum over all measurements of the line seen by column `col` of the view at `first_rad`."""
    total = 0.0
    back = len(gammas) - 1 - col
    for turn in range(-3, 4):
        for angle, column in (
            (first_rad + 2 * np.pi * turn, col),
            (first_rad + np.pi - 2 * gammas[col] + 2 * np.pi * turn, back),
        ):
            if 0 <= angle < arc_rad:
                total += fan_weights(np.array([angle]), arc_rad, gammas)[0, column]
    return total


@settings(deadline=None, max_examples=60)
@given(
    arc_deg=st.sampled_from([205.0, 210.0, 270.0, 340.0, 360.0, 400.0, 720.0, 900.0]),
    first=st.floats(0, 6.2),
    col=st.integers(0, 12),
)
def test_fan_weights_of_a_line_add_up_to_one(arc_deg: float, first: float, col: int) -> None:
    assert total_fan_weight(first, np.deg2rad(arc_deg), col, GAMMAS) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.filterwarnings("ignore::taskct.recon.IncompleteScanWarning")
@settings(deadline=None, max_examples=60)
@given(arc_deg=st.sampled_from([150.0, 190.0, 200.0]), part=st.floats(0.01, 0.99), col=st.integers(0, 12))
def test_lines_that_a_short_arc_measures_still_count_once(arc_deg: float, part: float, col: int) -> None:
    arc = np.deg2rad(arc_deg)
    assert total_fan_weight(part * arc, arc, col, GAMMAS) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.filterwarnings("ignore::taskct.recon.IncompleteScanWarning")
def test_a_line_that_only_the_very_end_of_a_short_arc_sees_has_weight_0_and_not_nan() -> None:
    weights = fan_weights(np.array([0.0]), np.deg2rad(150.0), GAMMAS)
    assert np.array_equal(weights, np.zeros((1, len(GAMMAS))))


@settings(deadline=None, max_examples=40)
@given(
    arc_deg=st.sampled_from([180.0, 200.0, 270.0, 359.0, 360.0, 450.0, 540.0, 720.0]),
    first=st.floats(0, 3.1),
    col=st.integers(0, 10),
)
def test_parallel_weights_of_a_line_add_up_to_one(arc_deg: float, first: float, col: int) -> None:
    cols_mm = np.linspace(-5, 5, 11)
    total = 0.0
    for half_turn in range(6):
        angle = first + np.pi * half_turn
        if angle < np.deg2rad(arc_deg):
            weights = parallel_weights(np.array([angle]), np.deg2rad(arc_deg), cols_mm)
            total += weights[0, col if half_turn % 2 == 0 else 10 - col]
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("offset_mm", [-7.0, -2.0, 0.0, 0.25, 3.0, 8.0])
def test_an_offset_detector_weighs_both_sides_to_one_and_smoothly(offset_mm: float) -> None:
    cols_mm = np.linspace(-10, 10, 81) + offset_mm
    w = parallel_weights(np.zeros(1), 2 * np.pi, cols_mm)[0]
    mirrored = np.interp(-cols_mm, cols_mm, w, left=np.nan, right=np.nan)
    both = ~np.isnan(mirrored)
    np.testing.assert_allclose((w + mirrored)[both], 1.0, atol=2e-3)  # linear interpolation of a smooth curve
    np.testing.assert_allclose(w[~both & (np.abs(cols_mm) > 10 - abs(offset_mm))], 1.0)
    if abs(offset_mm) >= 2:
        assert np.abs(np.diff(w)).max() < 0.15


def steps_of(arc_rad: float, views: int) -> tuple[np.ndarray, float]:
    step = arc_rad / views
    return (np.arange(views) + 0.5) * step, step


SPECIAL_DEG = [156.0, 180.0, 204.0, 360.0, 384.0, 540.0, 720.0]  # half and whole turns, with and without the fan of 24 deg


@pytest.mark.filterwarnings("ignore::taskct.recon.IncompleteScanWarning")
@settings(deadline=None, max_examples=150)
@given(
    near=st.sampled_from(SPECIAL_DEG),
    beside=st.sampled_from([0.0, 1e-12, 1e-9, 1e-6, 1e-4, 4.8e-3, 0.05, 0.4, 2.0, 7.0]),
    sign=st.sampled_from([-1, 1]),
    views=st.integers(8, 500),
    far=st.sampled_from([1e-9, 1e-6, 1e-3, 1e-2]),
    offset=st.sampled_from([0.0, 0.3, -0.1]),
)
def test_weights_are_continuous_in_the_arc(
    *, near: float, beside: float, sign: int, views: int, far: float, offset: float
) -> None:
    """A step of the arc by a part of the view spacing moves no weight by more than a few times that part."""
    arc = np.deg2rad(near + sign * beside)
    place = np.linspace(-FAN, FAN, 41) + offset * FAN
    short_end = slice(None) if offset == 0 else slice(1, -1)  # the last line on the short side is seen once, or shared
    for weights in (fan_weights, parallel_weights):
        b, step = steps_of(arc, views)
        c, other_step = steps_of(arc + far * step, views)
        one = weights(b, arc, place, step_rad=step)
        other = weights(c, arc + far * step, place, step_rad=other_step)
        assert np.abs(one - other)[:, short_end].max() <= 12 * far + 1e-6


@settings(deadline=None, max_examples=60)
@given(arc_deg=st.floats(180, 800), views=st.integers(20, 500))
def test_the_weights_of_a_parallel_scan_stand_for_half_a_turn_whatever_the_arc(arc_deg: float, views: int) -> None:
    b, step = steps_of(np.deg2rad(arc_deg), views)
    total = parallel_weights(b, np.deg2rad(arc_deg), np.linspace(-1, 1, 3), step_rad=step)[:, 1].sum() * step
    assert total == pytest.approx(np.pi, abs=0.1 * step)


@pytest.mark.parametrize("extra_deg", [0.0, 1e-6, 4.8e-3, 0.01])
def test_a_half_turn_that_a_file_rounded_up_uses_every_view(extra_deg: float) -> None:
    arc = np.deg2rad(180 + extra_deg)
    b, step = steps_of(arc, 360)
    np.testing.assert_allclose(parallel_weights(b, arc, np.linspace(-1, 1, 3), step_rad=step), 1.0, atol=2e-3)


def smooth(t: float) -> float:
    return t * t * (3 - 2 * t)


@pytest.mark.filterwarnings("ignore::taskct.recon.IncompleteScanWarning")
@pytest.mark.parametrize(
    ("arc_deg", "ramp_deg"), [(170.0, 85.0), (190.0, 95.0), (204.0, 102.0), (240.0, 120.0), (300.0, 60.0), (330.0, 30.0)]
)
def test_the_ends_of_a_fan_scan_fall_over_half_the_arc_or_over_what_a_turn_lacks(arc_deg: float, ramp_deg: float) -> None:
    gamma, first = GAMMAS[9], 6.0
    again = first + 180 - 2 * np.rad2deg(gamma)
    w = fan_weights(np.deg2rad([first, again]), np.deg2rad(arc_deg), GAMMAS)
    here, there = smooth(first / ramp_deg), smooth(min(1.0, max(0.0, (arc_deg - again) / ramp_deg)))
    assert w[0, 9] == pytest.approx(here / (here + there), abs=1e-9)
    assert w[1, 3] == pytest.approx(there / (here + there) if there else 0.0, abs=1e-9)


@pytest.mark.parametrize(("arc_deg", "at_45", "at_90"), [(270.0, 0.5, 1.0), (315.0, 0.5, 0.5), (225.0, 1.0, 1.0)])
def test_the_ends_of_a_parallel_scan_fall_over_the_excess_or_over_what_the_next_half_turn_lacks(
    arc_deg: float, at_45: float, at_90: float
) -> None:
    w = parallel_weights(np.deg2rad([45.0, 90.0]), np.deg2rad(arc_deg), np.linspace(-1, 1, 3))[:, 1]
    np.testing.assert_allclose(w, [at_45, at_90], atol=1e-9)


def test_a_view_step_widens_the_ends_of_the_arc() -> None:
    """Ends that fall over less than a step would pass between two views."""
    arc, step = np.deg2rad(180.5), np.deg2rad(0.5)
    w = parallel_weights(np.array([step / 2, 3 * step / 2]), arc, np.linspace(-1, 1, 3), step_rad=step)[:, 1]
    np.testing.assert_allclose(w, [0.5, 1.0], atol=1e-9)


def test_the_arc_may_lack_half_a_step_before_it_warns() -> None:
    import warnings

    for weights, wanted in ((parallel_weights, 180.0), (fan_weights, 204.0)):
        step = np.deg2rad(1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            weights(np.zeros(1), np.deg2rad(wanted - 0.49), GAMMAS, step_rad=step)
        with pytest.warns(IncompleteScanWarning):
            weights(np.zeros(1), np.deg2rad(wanted - 0.51), GAMMAS, step_rad=step)


def test_weights_are_zero_at_both_ends_of_a_short_scan() -> None:
    arc = np.pi + 2 * FAN
    w = fan_weights(np.array([0.0, arc / 2, arc]), arc, GAMMAS)
    np.testing.assert_allclose(w[[0, 2]][:, 1:-1], 0.0, atol=1e-12)
    np.testing.assert_allclose(w[1], 1.0)


def test_a_scan_that_is_too_short_warns_and_weighs_lines_seen_once_with_one() -> None:
    with pytest.warns(IncompleteScanWarning, match="covers 150.0 deg and .* needs 204.0 deg"):
        w = fan_weights(np.deg2rad(np.arange(0, 150, 5.0)), np.deg2rad(150.0), GAMMAS)
    np.testing.assert_allclose(w[5:20, 6], 1.0, atol=1e-6)
    with pytest.warns(IncompleteScanWarning, match="needs 180.0 deg"):
        parallel_weights(np.zeros(3), np.deg2rad(90.0), np.linspace(-1, 1, 3))


def test_a_detector_beside_the_axis_is_refused() -> None:
    with pytest.raises(GeometryError, match="reaches across the axis"):
        fan_weights(np.zeros(1), 2 * np.pi, np.linspace(0.01, 0.2, 5))
