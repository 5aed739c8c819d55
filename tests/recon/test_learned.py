"""Learned reconstructors: (p, A) -> mu with the projector inside."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.learned import LEARNED, FBPNet, ItNet, LearnedPrimalDual, MuScale, fbp_redcnn, fbp_unet

Model = Callable[..., Tensor]
GRID = Grid((24, 24), 4.0)
A = Projector(GRID, ParallelBeam(views=20, cols=36, pixel_mm=4.0))
SMALL = {
    "fbp_unet": {"widths": (4, 8)},
    "fbp_redcnn": {"filters": 4},
    "primal_dual": {"iterations": 2, "width": 8},
    "itnet": {"iterations": 2, "widths": (4, 8), "norm": "none"},
}


def disk(count: int = 2) -> Tensor:
    y, x = torch.meshgrid(*(torch.from_numpy(a) for a in GRID.axes_mm()), indexing="ij")
    return (0.02 * (x**2 + y**2 < 36.0**2)).float().expand(count, 1, 24, 24).clone()


def test_every_network_of_slices_is_tested_here_and_the_others_elsewhere() -> None:
    assert set(LEARNED) - set(SMALL) == {"biplanar", "real_ct"}  # tests/recon/learned


def seeded(kind: str, **more: object) -> nn.Module:
    torch.manual_seed(3)
    return LEARNED[kind](**{**SMALL[kind], **more})


@pytest.mark.parametrize("kind", SMALL)
def test_a_reconstructor_gives_an_image_of_the_grid_in_float32_and_every_weight_gets_a_gradient(kind: str) -> None:
    model, mu = seeded(kind), disk()
    out = model(A(mu), A)
    assert out.shape == mu.shape and out.dtype == torch.float32
    # a target that differs pixel by pixel; layers that start at zero are moved first, as one training step would
    for p in model.parameters():
        if not bool(p.any()):
            nn.init.normal_(p, std=0.05)
    ((model(A(mu), A) - mu) * 50).square().sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not bool(torch.isfinite(p.grad).all())]
    assert not silent


@pytest.mark.parametrize("kind", SMALL)
def test_a_few_steps_of_descent_bring_the_image_nearer_to_the_truth(kind: str) -> None:
    model, mu = seeded(kind), disk()
    generator = torch.Generator().manual_seed(0)
    p = A(mu) + 0.1 * torch.randn(2, 1, 20, 36, generator=generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = ((model(p, A) - mu) / 0.02).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("kind", SMALL)
def test_under_autocast_the_answer_stays_float32_and_near_the_one_in_full_precision(kind: str) -> None:
    model, p = seeded(kind).eval(), A(disk())
    with torch.no_grad():
        full = model(p, A)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(p, A)
    assert half.dtype == torch.float32
    assert (half - full).abs().max() < 0.03 * full.abs().max()  # 8 bits of mantissa, over some ten layers


@pytest.mark.parametrize("kind", ["primal_dual", "itnet"])
def test_saving_memory_changes_neither_image_nor_gradient(kind: str) -> None:
    p = A(disk())
    found = []
    for saving in (False, True):
        model = seeded(kind, memory_saving=saving)
        for w in model.parameters():
            if not bool(w.any()):
                nn.init.constant_(w, 0.01)
        out = model(p, A)
        (out / 0.02).square().sum().backward()
        found.append([out.detach(), *[w.grad for w in model.parameters()]])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("kind", ["fbp_unet", "primal_dual", "itnet"])
def test_the_gradient_reaches_the_projections(kind: str) -> None:
    p = A(disk()).requires_grad_()
    seeded(kind)(p, A).square().sum().backward()
    assert p.grad is not None and float(p.grad.abs().sum()) > 0


def test_the_gradient_through_primal_dual_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    model = LearnedPrimalDual(iterations=1, width=3, primal=2, dual=2).double()
    # .float() after each block keeps 24 bits, so differences are taken over a long step
    p, direction = A(disk(1)).double(), torch.randn(1, 1, 20, 36, dtype=torch.float64) * 0.1
    p.requires_grad_()
    value = lambda q: (model(q, A).double() / 0.02).square().sum()
    slope = float((torch.autograd.grad(value(p), p)[0] * direction).sum())
    with torch.no_grad():
        differences = float(value(p + 0.01 * direction) - value(p - 0.01 * direction)) / 0.02
    assert abs(slope - differences) < 0.02 * abs(slope)  # PReLU kinks inside the step


def test_primal_dual_has_the_size_published_for_lodopab() -> None:
    assert sum(p.numel() for p in LearnedPrimalDual().parameters()) == 874_980


def test_what_primal_dual_remembers_may_look_like_hu() -> None:
    model = seeded("primal_dual").eval()
    p = A(torch.full((1, 1, 24, 24), 0.02))
    p *= -1000 * model.scale_per_mm / float(fbp(p, A).median())  # its memory starts as the FBP over the scale
    with torch.no_grad():
        assert bool(torch.isfinite(model(p, A)).all())


def test_an_untrained_unet_gives_the_fbp_it_was_told_to_use() -> None:
    p = A(disk())
    out = fbp_unet(widths=(4, 8), window="cosine", frequency_scale=0.6)(p, A)
    assert torch.allclose(out, fbp(p, A, window="cosine", frequency_scale=0.6), atol=1e-8)  # one rounding of x and back


def test_an_untrained_itnet_steps_towards_the_data() -> None:
    p = A(disk())
    start, one = fbp(p, A, window="hann"), ItNet(iterations=2, widths=(4, 8))(p, A)
    assert (A(one) - p).norm() < (A(start) - p).norm()


def test_slices_with_neighbours_see_the_slices_beside_them_and_no_others() -> None:
    model = fbp_unet(widths=(4, 8), neighbours=1, norm="none").eval()
    nn.init.normal_(model.net.out.weight)  # type: ignore[arg-type,union-attr]
    p = A(disk(5))
    with torch.no_grad():
        before = model(p, A)
        p[4] *= 1.5
        after = model(p, A)
    changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert changed == [False, False, False, True, True]
    stacked = torch.cat([p[1:4, 0], p[2:5, 0]]).reshape(2, 3, 20, 36)
    assert torch.allclose(model(stacked, A), after[2:4], atol=1e-6)


def test_a_volume_is_reconstructed_by_a_network_of_three_dimensions() -> None:
    volume = Projector(Grid((4, 16, 16), 4.0), ParallelBeam(views=8, cols=24, rows=4, pixel_mm=4.0))
    mu = torch.full((1, 1, 4, 16, 16), 0.01)
    assert fbp_unet(widths=(4, 8), dims=3, norm="none")(volume(mu), volume).shape == mu.shape


def test_numbers_in_front_of_the_network_are_of_order_one() -> None:
    seen: list[Tensor] = []

    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return torch.zeros_like(x)

    FBPNet(Spy())(A(disk()), A)
    assert float(seen[0].min()) > -3 and float(seen[0].max()) < 2  # air is -2, water 0


def test_redcnn_has_a_last_relu_so_air_is_its_zero() -> None:
    assert fbp_redcnn(filters=4).scale == MuScale(0.0, 2 * MuScale().scale_per_mm)
    assert bool((fbp_redcnn(filters=4)(A(disk()), A) >= 0).all())


def test_errors_say_what_fits() -> None:
    with pytest.raises(GeometryError, match="1 or 3 channels, got 2"):
        fbp_unet(widths=(4, 8), neighbours=1)(torch.zeros(1, 2, 20, 36), A)
    with pytest.raises(ConfigError, match="'fbp' or 'zero'"):
        LearnedPrimalDual(start="hann")
    with pytest.raises(ConfigError, match="iterations >= 1"):
        ItNet(iterations=0)


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"primal": 1}, {"dual": 0}])
def test_the_least_numbers_of_primal_dual_are_accepted_and_one_less_refused(wrong: dict) -> None:
    least = {"iterations": 1, "primal": 2, "dual": 1, "width": 2}
    assert LearnedPrimalDual(**least)(A(disk()), A).shape == disk().shape
    with pytest.raises(ConfigError, match="expects iterations >= 1, primal >= 2 and dual >= 1"):
        LearnedPrimalDual(**{**least, **wrong})


def test_statistical_weights_leave_alike_rays_alone_and_trust_rays_with_many_photons() -> None:
    A = Projector(Grid((20, 20), 1.5), ParallelBeam(views=24, cols=30, pixel_mm=1.2))
    torch.manual_seed(0)
    plain = ItNet(iterations=2, widths=(4, 8), norm="none").eval()
    weighted = ItNet(iterations=2, widths=(4, 8), norm="none", weighted=True).eval()
    weighted.load_state_dict(plain.state_dict())
    alike = torch.full((1, 1, *A.p_shape), 2.0)
    torch.testing.assert_close(weighted(alike, A), plain(alike, A), atol=1e-7, rtol=1e-5)
    p = alike.clone()
    p[..., 14:16] = 6.0  # a share of e^-4 of the photons of the others comes through
    noisy = p.clone()
    noisy[..., 14:16] += 0.5 * torch.randn(1, 1, 24, 2, generator=torch.Generator().manual_seed(1))
    empty = torch.zeros(1, 1, *A.mu_shape)  # so that the misfit of every ray is p itself
    with torch.no_grad():
        said = [float((m._iterate(empty, noisy, A, 1) - m._iterate(empty, p, A, 1)).norm()) for m in (weighted, plain)]
    assert said[0] < 0.25 * said[1]  # the noise of rays with few photons hardly reaches the image; .15 is measured
