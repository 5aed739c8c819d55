"""ResNet-18 against its published size, on images and on profiles."""

import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.nets.resnet import ResNet


def test_it_has_as_many_weights_as_resnet_18() -> None:
    # 11,689,512 published for 3 channels and 1000 classes (bias in the last layer only)
    net = ResNet(3, 1000, norm="batch")
    assert sum(p.numel() for p in net.parameters()) == 11_689_512


@pytest.mark.parametrize("shape", [(2, 1, 33, 47), (2, 1, 1, 132), (1, 1, 8, 8)])
def test_any_image_becomes_a_few_numbers_with_a_gradient(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, requires_grad=True)
    net = ResNet(1, 3, width=8, norm="group")
    y = net(x)
    assert y.shape == (shape[0], 3)
    y.sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        ResNet(0, 1)
