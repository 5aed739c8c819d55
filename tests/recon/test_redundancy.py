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


def test_parker_weights_are_zero_at_both_ends_of_a_short_scan() -> None:
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
