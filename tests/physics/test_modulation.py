"""Tube current: the square-root rule is the best one, limits are kept, nothing is starved by them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import ConfigError, InputError
from taskct.physics.modulation import ScannerLimits, harmonic_modulation, longest_paths, paths_from_scout, tube_current

PATHS = st.lists(st.floats(0.5, 9.0), min_size=3, max_size=40)


@given(PATHS, st.floats(0.0, 1.0))
@settings(deadline=None, max_examples=40)
def test_no_exponent_makes_less_noise_for_the_same_photons_than_one_half(paths: list[float], exponent: float) -> None:
    p = torch.tensor([paths], dtype=torch.float64)

    def noise(a: float) -> float:
        current = tube_current(p, a)
        return float((torch.exp(p) / (current / current.mean())).mean())

    assert noise(0.5) <= noise(exponent) * (1 + 1e-12)


@given(PATHS, st.floats(1.01, 2.0), st.booleans())
@settings(deadline=None, max_examples=40)
def test_held_currents_can_be_driven_and_are_never_below_what_was_asked(
    paths: list[float], step: float, full_turn: bool
) -> None:
    wanted = torch.exp(torch.tensor(paths, dtype=torch.float64))
    limits = ScannerLimits(largest_step=step, full_turn=full_turn)
    held = limits.hold(wanted)
    assert limits.breaches(held) == []
    assert bool((held >= wanted * (1 - 1e-12)).all())
    assert float(held.max()) == pytest.approx(float(wanted.max()))  # the highest current is not raised


def test_a_course_that_can_be_driven_is_left_alone() -> None:
    wanted = torch.tensor([1.0, 1.1, 1.2, 1.1])
    assert torch.allclose(ScannerLimits(largest_step=1.2).hold(wanted), wanted)


def test_limits_of_the_current_are_kept_and_breaches_are_said() -> None:
    limits = ScannerLimits(lowest_photons=10, highest_photons=100, largest_step=1.5)
    wanted = torch.tensor([5.0, 200.0])
    assert limits.hold(wanted).min() >= 10 and limits.hold(wanted).max() <= 100
    said = limits.breaches(wanted)
    assert len(said) == 3 and "below the least 10" in said[0] and "factor of 40" in said[2]


def test_a_constant_signal_needs_a_current_that_follows_attenuation() -> None:
    p = torch.tensor([[2.0, 5.0, 3.0]])
    signal = tube_current(p, 1.0) * torch.exp(-p)
    assert torch.allclose(signal, torch.ones(1, 3))


def test_paths_of_an_ellipse_follow_from_two_views() -> None:
    # chord through the centre of an ellipse against the cosine rule: within 5 % for the axes of a body, 1 : 1.4
    angles = torch.linspace(0, math.pi, 19, dtype=torch.float64)
    a, b = 1.0, 1.4
    true = 2 * a * b / torch.sqrt((b * torch.cos(angles)) ** 2 + (a * torch.sin(angles)) ** 2)
    found = paths_from_scout(true[:1], true[9:10], angles)[0]
    assert float((found / true - 1).abs().max()) < 0.05


def test_harmonics_keep_the_mean_and_repeat_after_half_a_turn() -> None:
    angles = torch.arange(40) * 2 * math.pi / 40
    m = harmonic_modulation(torch.tensor([[0.5, -0.2, 0.3, 0.1]]), angles.double())[0]
    assert float(m.mean()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(m[:20], m[20:], atol=1e-5)


def test_longest_paths_are_per_view_and_nonsense_is_refused() -> None:
    p = torch.rand(2, 1, 3, 4, 5)
    assert torch.equal(longest_paths(p), p.amax((1, 3, 4)))
    with pytest.raises(InputError, match="exponent"):
        tube_current(torch.zeros(1, 1), 3.0)
    with pytest.raises(ConfigError, match="above 1"):
        ScannerLimits(largest_step=1.0)
    with pytest.raises(InputError, match="finite photons above 0"):
        ScannerLimits().hold(torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize(
    ("photons", "said"),
    [
        ([100.0, 100.0], ""),
        ([100.0 * (1 - 0.5e-6), 100.0], ""),
        ([100.0 * (1 - 1.5e-6), 100.0], "below the least 100"),
        ([400.0, 400.0 * (1 + 0.5e-6)], ""),
        ([400.0, 400.0 * (1 + 1.5e-6)], "above the most 400"),
        ([100.0, 200.0 * (1 + 0.5e-6)], ""),
        ([100.0, 200.0 * (1 + 1.5e-6)], "from one view to the next, above 2"),
        ([100.0], ""),
    ],
)
def test_a_limit_is_kept_to_a_millionth_for_rounding_and_no_more(photons: list[float], said: str) -> None:
    limits = ScannerLimits(lowest_photons=100.0, highest_photons=400.0, largest_step=2.0)
    found = limits.breaches(torch.tensor(photons, dtype=torch.float64))
    assert len(found) == bool(said) and all(said in line for line in found)
