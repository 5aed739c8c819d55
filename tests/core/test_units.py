import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import UnitsError
from taskct.core.units import MU_AIR_LODOPAB_PER_MM, MU_WATER_LODOPAB_PER_MM, check_mu, looks_like_hu, to_hu, to_mu


@settings(deadline=None, max_examples=50)
@given(st.floats(-1024, 3071), st.floats(0.015, 0.025), st.floats(0, 1e-4))
def test_hu_to_mu_and_back_is_the_identity(hu, water, air):
    value = torch.tensor(hu, dtype=torch.float64)
    back = to_hu(to_mu(value, mu_water_per_mm=water, mu_air_per_mm=air), mu_water_per_mm=water, mu_air_per_mm=air)
    assert float(back) == pytest.approx(hu, abs=1e-9)  # rounding of float64 at 3000 HU


def test_water_is_zero_hu_and_lodopab_air_is_not_quite_vacuum():
    hu = torch.tensor([0.0, -1000.0], dtype=torch.float64)
    mu = to_mu(hu, mu_water_per_mm=MU_WATER_LODOPAB_PER_MM, mu_air_per_mm=MU_AIR_LODOPAB_PER_MM)
    assert mu.tolist() == pytest.approx([0.02, 0.00002], abs=1e-12)


def test_water_in_one_per_metre_is_refused_with_the_usual_values():
    with pytest.raises(UnitsError, match=r"water is about 0.02/mm \(0.2/cm, 20/m\)"):
        to_mu(torch.zeros(1), mu_water_per_mm=20.0)


def test_whole_numbers_far_below_zero_look_like_hu_and_attenuation_does_not():
    assert looks_like_hu(torch.randint(-1024, 2000, (64, 64)).float())
    assert not looks_like_hu(torch.rand(64, 64) * 0.05)
    assert not looks_like_hu(1000 * torch.randn(64, 64))  # a search direction of an iterative method


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (float("nan"), "1 NaN or infinite values"),
        (float("inf"), "1 NaN or infinite"),
        (-1000.0, "look like HU; convert them"),
        (40.0, "look like HU"),
    ],
)
def test_values_that_are_no_attenuation_are_refused_with_advice(bad, why):
    mu = torch.full((4, 4), 0.02)
    mu[1, 2] = bad
    with pytest.raises(UnitsError, match=why):
        check_mu(mu, who="simulate_scan")
