"""The inner step of total variation in compiled code: the same as the plain one, whatever the slice."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.geometry import Grid, ParallelBeam
from taskct.physics.native.tv_halves import TvHalves
from taskct.physics.projector import Projector
from taskct.recon.gradient import gradient, gradient_adjoint
from taskct.recon.ramp_prox import ramp_prox_steps

needs_kernels = pytest.mark.skipif(not TvHalves.serves(torch.zeros(1)), reason="no compiled kernels here")


@needs_kernels
@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    spacing=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)),
    hold=st.sampled_from([0.0, 0.7]),
    relax=st.sampled_from([1.0, 1.4]),
    seed=st.integers(0, 10),
)
def test_both_halves_say_what_the_gradient_and_its_adjoint_say(
    size: tuple[int, int], spacing: tuple[float, float], hold: float, relax: float, seed: int
) -> None:
    drawn = torch.Generator().manual_seed(seed)
    noise = lambda *more: torch.randn((*more, *size), generator=drawn)
    rho, limit = 0.4, 0.5
    root, pull, v, nu = 1 + noise().abs(), noise(), noise(), noise().abs()
    z = gradient(noise(1, 1), spacing)[:, 0, 0]  # 0 in the last row and column, as every z of the iterations
    kept = [array.clone() for array in (root, pull, v, z, nu)]
    start = partial(TvHalves, spacing_mm=spacing, rho=rho, hold=hold, limit=limit, relax=relax)
    halves = start(root=root, pull=pull, v=v, z=z, nu=nu)
    held = torch.zeros_like(v)
    for _ in range(3):
        u = noise()
        wanted = pull + gradient_adjoint(z[:, None, None], spacing)[0, 0] - nu + held
        torch.testing.assert_close(halves.push(), wanted / root, atol=1e-4, rtol=1e-4)
        halves.move(u)
        bend = gradient_adjoint(gradient(u[None, None], spacing), spacing)[0, 0]
        held = held + relax * (root * (rho * bend + hold * u) - wanted)
        ahead, v = v - 2 * u / root, v - relax * u / root
        asked = z + rho * root**2 * gradient(ahead[None, None], spacing)[:, 0, 0]
        z = z + relax * (asked / (asked.square().sum(0).sqrt() / limit).clamp(min=1) - z)
        if hold > 0:
            nu = nu + relax * ((nu - hold * root**2 * ahead).clamp(min=0) - nu)
        for got, plain in ((halves.v, v), (halves.z, z), (halves.nu, nu), (halves.held, held)):
            torch.testing.assert_close(got, plain, atol=1e-4, rtol=1e-4)
    fresh = start(root=kept[0], pull=kept[1], v=kept[2], z=kept[3], nu=kept[4])
    fresh.move(noise())
    for array, before in zip((kept[0], kept[1]), (root, pull), strict=True):
        assert torch.equal(array, before)  # what was handed in stays as it was


@needs_kernels
@pytest.mark.parametrize("nonnegative", [True, False])
def test_compiled_and_plain_steps_are_the_same_iterations(nonnegative: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    A = Projector(Grid((40, 52), (1.5, 1.2)), ParallelBeam(views=60, cols=72, pixel_mm=1.2))
    drawn = torch.Generator().manual_seed(0)
    mu = torch.zeros(2, 1, 40, 52)
    mu[0, 0, 10:25, 12:40], mu[1, 0, 18:30, 20:30] = 0.02, 0.03
    p = A(mu) + 0.02 * torch.randn((2, 1, *A.p_shape), generator=drawn)

    def images() -> list[torch.Tensor]:
        limit = torch.full((2, 1, 1, 1), 0.3)
        first = torch.zeros_like(mu)
        steps = ramp_prox_steps(p, A, limit=limit, first=first, nonnegative=nonnegative, iterations=6)
        return [step.mu for step in steps]

    compiled = images()
    monkeypatch.setattr(TvHalves, "serves", staticmethod(lambda x: False))
    plain = images()
    assert len(compiled) == len(plain) == 6
    for ours, theirs in zip(compiled, plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-4)


@needs_kernels
def test_a_value_that_is_no_number_reaches_the_image() -> None:
    bad = torch.zeros(20, 20)
    bad[5, 7] = torch.nan
    zeros = torch.zeros(20, 20)
    halves = TvHalves(
        root=zeros + 1,
        pull=bad,
        v=zeros,
        z=torch.zeros(2, 20, 20),
        nu=zeros,
        spacing_mm=(1, 1),
        rho=1,
        hold=1,
        limit=1,
        relax=1.4,
    )
    assert halves.push()[5, 7].isnan()
    halves.move(bad)
    assert halves.v[5, 7].isnan() and halves.z[0, 5, 7].isnan() and halves.nu[5, 7].isnan()
