"""The PatchGAN discriminator."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets import PatchDiscriminator


def test_it_has_the_layers_and_weights_of_the_paper() -> None:
    # C64-C128-C256-C512 and the answer, kernels of 4 x 4, counted by hand: weights, biases, scales and shifts of the norms
    kernels = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    count = sum(a * b * 16 + b for a, b in kernels) + 2 * (128 + 256 + 512)
    net = PatchDiscriminator(3, dims=2)
    assert sum(p.numel() for p in net.parameters()) == count
    assert net(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)  # as published for 256 pixels
    spread = torch.cat([m.weight.flatten() for m in net.blocks if hasattr(m, "stride")])
    assert float(spread.std()) == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("dims", [2, 3])
def test_one_answer_sees_seventy_samples_along_each_axis(dims: int) -> None:
    net = PatchDiscriminator(dims=dims, width=1, norm="none")
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(0.1)  # so that no path through the layers cancels another
    x = torch.ones((1, 1, *[96] * dims), requires_grad=True)
    said = net(x)
    middle = said[(0, 0, *[n // 2 for n in said.shape[2:]])]
    (gradient,) = torch.autograd.grad(middle, x)
    for axis in range(2, 2 + dims):
        seen = gradient.abs().amax([a for a in range(gradient.ndim) if a != axis]) > 0
        assert int(seen.sum()) == 70


def test_volumes_with_a_condition_are_judged_and_images_that_are_too_small_refused() -> None:
    net = PatchDiscriminator(2, dims=3, width=2, layers=2)
    assert net(torch.zeros(1, 2, 16, 20, 16)).shape == (1, 1, 2, 3, 2)
    with pytest.raises(GeometryError, match=r"3 axes of 12 samples or more, got \(1, 2, 11, 20, 20\); take fewer layers"):
        net(torch.zeros(1, 2, 11, 20, 20))
    with pytest.raises(GeometryError, match="3 axes"):
        net(torch.zeros(1, 2, 20, 20))
    for wrong in ({"dims": 1}, {"width": 0}, {"layers": 0}, {"in_channels": 0}):
        with pytest.raises(ConfigError, match="PatchDiscriminator expects"):
            PatchDiscriminator(**wrong)
