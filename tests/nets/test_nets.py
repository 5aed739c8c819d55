import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.nets import NETWORKS, REDCNN, ResidualNet, UNet


@pytest.mark.parametrize("make", NETWORKS.values())
@pytest.mark.parametrize("size", [(32, 32), (37, 45)])
def test_every_network_keeps_the_size_of_its_image_and_passes_a_gradient(make, size):
    x = torch.rand(2, 1, *size, requires_grad=True)
    y = make()(x)
    assert y.shape == x.shape
    y.square().sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("make", [UNet, ResidualNet])
def test_networks_for_volumes_and_labels_have_their_channels(make):
    options = {"widths": (4, 8)} if make is UNet else {"width": 4, "blocks": 2}
    assert make(2, 3, dims=3, **options)(torch.rand(1, 2, 9, 8, 7)).shape == (1, 3, 9, 8, 7)


def test_an_untrained_residual_unet_returns_its_input():
    x = torch.rand(1, 1, 20, 20)
    assert torch.equal(UNet(widths=(4, 8), residual=True)(x), x)


def test_feature_maps_come_from_fine_to_coarse_and_back():
    maps = UNet(widths=(4, 8, 16))(torch.rand(1, 1, 32, 32)), UNet(widths=(4, 8, 16)).scales(torch.rand(1, 1, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps[1]] == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (8, 16, 16), (4, 32, 32)]


@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
def test_every_normalisation_serves(norm):
    assert UNet(widths=(8, 16), norm=norm)(torch.rand(2, 1, 16, 16)).isfinite().all()


def test_redcnn_has_the_published_size():
    weights = sum(p.numel() for p in REDCNN().parameters())
    layer = 96 * 96 * 25 + 96  # 5x5, 96 filters to 96
    assert weights == (25 * 96 + 96) + 4 * layer + 4 * layer + (25 * 96 + 1)


def test_impossible_settings_are_refused_with_the_reason():
    with pytest.raises(ConfigError, match=r"at least two positive widths, got \(8,\)"):
        UNet(widths=(8,))
    with pytest.raises(ConfigError, match="in and out channels must match: 1, 3"):
        UNet(1, 3, residual=True)
    with pytest.raises(ConfigError, match="unknown normalisation 'batchnorm'; did you mean 'batch'"):
        UNet(norm="batchnorm")
    with pytest.raises(ConfigError, match="networks have dims 2 or 3, got 4"):
        UNet(dims=4)
