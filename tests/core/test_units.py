import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import UnitsError
from taskct.core.units import (
    MU_AIR_LODOPAB_PER_MM,
    MU_WATER_LODOPAB_PER_MM,
    UnitsWarning,
    check_mu,
    check_photons_pass,
    doubt_about_mu,
    looks_like_hu,
    to_hu,
    to_hu_unchecked,
    to_mu,
)


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


def _ct(generator: torch.Generator) -> torch.Tensor:
    """A body of soft tissue in air, in HU that are not whole, as after resampling."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    return torch.where(y**2 + x**2 < 0.6, 40.0, -1000.0) + 7 * torch.randn((64, 64), generator=generator)


def test_hu_that_are_not_whole_are_known_by_their_air():
    hu = _ct(torch.Generator().manual_seed(0))
    assert looks_like_hu(hu)
    assert not looks_like_hu(to_mu(hu))
    assert not looks_like_hu(1e9 * torch.randn(64, 64))  # all numbers of that size are whole in float32
    assert not looks_like_hu(-1e15 * torch.ones(4, 4))


@pytest.mark.parametrize("factor", [0.2, 0.5, 1.0, 2.0, 4.0])
def test_bodies_of_any_tissue_noise_and_metal_are_plausible(factor):
    mu = to_mu(_ct(torch.Generator().manual_seed(0))) * factor
    mu = mu + 0.02 * torch.randn((64, 64), generator=torch.Generator().manual_seed(1))  # 1000 HU
    mu[30:33, 30:33] = 2.0  # a steel screw
    assert doubt_about_mu(mu) == ""
    wire = torch.zeros(64, 64)
    wire[20:22, 7:9] = 5.0  # in air
    assert doubt_about_mu(wire) == ""


@pytest.mark.parametrize(
    ("factor", "why"), [(10.0, r"mu \* 0.1 if it is in 1/cm"), (1000.0, "1/m"), (50.0, r"mu \* 0.02 if that is soft tissue")]
)
def test_bodies_in_other_units_are_refused_with_the_factor_where_photons_or_hu_are_wanted(factor, why):
    mu = to_mu(_ct(torch.Generator().manual_seed(0))).clamp(min=0) * factor
    for check in (lambda x: check_mu(x, who="simulate_scan"), to_hu):
        with pytest.raises(UnitsError, match=why) as caught:
            check(mu)
        assert "\n" not in str(caught.value)


def test_to_hu_takes_whatever_carries_a_gradient_or_is_inside_a_transform():
    wild = torch.full((4, 4), 3.0)
    assert to_hu(wild.clone().requires_grad_(True), mu_water_per_mm=0.02).max().item() == pytest.approx(149_000, rel=1e-6)
    assert torch.vmap(to_hu)(wild).shape == (4, 4)
    assert torch.equal(to_hu_unchecked(wild, mu_water_per_mm=0.02), torch.full((4, 4), 149_000.0))
    assert to_hu(torch.tensor([float("nan"), 0.02]), mu_water_per_mm=0.02)[1] == pytest.approx(0, abs=1e-4)


def test_line_integrals_that_let_no_photon_through_are_refused_and_a_few_warned_of():
    p = torch.zeros(1, 1, 10, 100)
    p[..., 20:80] = 6.0
    check_photons_pass(p, who="a scan")
    p[..., 40:44] = 20.0  # behind metal: a fifteenth of the rays
    with pytest.warns(UnitsWarning, match=r"up to 20.*6.7 % of the rays.* behind metal"):
        check_photons_pass(p, who="a scan")
    p[..., 40:50] = 20.0
    with pytest.raises(UnitsError, match=r"up to 20, and no detector sees exp\(-15\).*17 % of the rays.*times 0.02 or so"):
        check_photons_pass(p, who="a scan")


@pytest.mark.parametrize("mu", [None, "0.02", [0.02], True, torch.ones(2) > 0, torch.ones(2, dtype=torch.complex64)])
def test_what_has_no_hu_is_refused_with_the_line_that_helps(mu):
    with pytest.raises(UnitsError, match=r"to_hu expects mu as a tensor of real numbers.*pass torch\.as_tensor"):
        to_hu(mu)


def test_nothing_in_hu_is_nothing():
    assert to_hu(torch.zeros(0, 1, 4, 4)).shape == (0, 1, 4, 4)
