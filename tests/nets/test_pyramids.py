from __future__ import annotations

import pytest
import torch
from torch import nn

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets.pyramids import PYRAMIDS, VGG13, Pyramid, ResNet50, SmallPyramid


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_vgg13_has_the_weights_of_the_published_network_before_its_classifier() -> None:
    classifier = (25088 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000)
    assert count(VGG13(3)) == 133_053_736 - classifier


def test_resnet50_has_the_weights_of_the_published_network_before_its_last_layer() -> None:
    assert count(ResNet50(3)) == 25_557_032 - (2048 * 1000 + 1000)


@pytest.mark.parametrize("name", PYRAMIDS)
def test_maps_have_the_widths_and_strides_that_are_stated(name: str) -> None:
    torch.manual_seed(0)
    encoder = PYRAMIDS[name](1).eval()
    assert isinstance(encoder, Pyramid)
    with torch.no_grad():
        maps = encoder(torch.zeros(1, 1, 64, 32))
    assert [m.shape[1] for m in maps] == list(encoder.widths)
    assert [(64 // m.shape[2], 32 // m.shape[3]) for m in maps] == [(s, s) for s in encoder.strides]


def test_one_scale_is_no_pyramid() -> None:
    with pytest.raises(ConfigError, match="two positive widths"):
        SmallPyramid(widths=(4,))


def test_images_smaller_than_the_coarsest_map_and_no_channels_are_refused() -> None:
    with pytest.raises(GeometryError, match="a pyramid of 5 maps expects images of 16 samples or more along each axis"):
        VGG13()(torch.zeros(1, 1, 8, 40))
    for make in (VGG13, ResNet50, SmallPyramid):
        with pytest.raises(ConfigError, match="expects in_channels of 1 or more, got 0"):
            make(0)
