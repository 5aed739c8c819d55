"""The U-Net without constants: it scales, conditions on the noise, and takes any size."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.nets.bias_free_unet import BiasFreeUNet


def moved(**settings: object) -> BiasFreeUNet:
    """A network whose last convolution does not return zeros, as after training."""
    torch.manual_seed(0)
    net = BiasFreeUNet(widths=(8, 12), **settings)  # type: ignore[arg-type]
    torch.nn.init.normal_(net.out.weight, std=0.05)
    return net.eval()


def test_twice_the_image_and_twice_the_noise_give_twice_the_answer() -> None:
    net = moved()
    x, noise = torch.randn(2, 1, 24, 40), torch.rand(2, 1, 24, 40) + 0.5
    with torch.no_grad():
        assert torch.equal(net(4 * x, 4 * noise), 4 * net(x, noise))  # a power of two rounds nothing
        assert torch.allclose(net(0.3 * x, 0.3 * noise), 0.3 * net(x, noise), atol=1e-6)
        assert not torch.allclose(net(x, 3 * noise), net(x, noise), atol=1e-3)  # the noise map matters


def test_no_weight_is_added_and_every_one_gets_a_gradient() -> None:
    net = moved()
    assert all(p.ndim == 4 for p in net.parameters())
    x = torch.randn(1, 1, 16, 16)
    (net(x, torch.ones_like(x)) * torch.randn_like(x)).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters())


def test_any_size_comes_back_and_the_untrained_network_changes_nothing() -> None:
    for shape in ((1, 1, 21, 30), (1, 1, 5, 64)):
        x = torch.randn(shape)
        assert moved()(x, torch.ones_like(x)).shape == x.shape
        assert torch.equal(BiasFreeUNet(widths=(8, 12))(x, torch.ones_like(x)), x)


def test_settings_without_a_network_are_refused() -> None:
    with pytest.raises(ConfigError, match="depth >= 1"):
        BiasFreeUNet(depth=0)
    with pytest.raises(ConfigError, match="at least two"):
        BiasFreeUNet(widths=(8,))
