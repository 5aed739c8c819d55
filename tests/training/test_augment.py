"""Augmented images beside the map of the plane that they are drawn by, written down once more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from taskct.core.errors import ConfigError
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.training import Augmentation

SHAPE = (40, 60)
STILL = {"shift_share": 0.0, "scale": 0.0, "rotate_deg": 0.0, "offset_hu": 0.0}


def _blobs(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A smooth image, defined everywhere, of pixel coordinates about the middle."""
    return sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 40.0) for a, b in ((-6.0, 9.0), (5.0, -11.0), (2.0, 3.0)))


def _image(depth: int | None = None) -> torch.Tensor:
    y, x = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None] - 1) / 2
    flat = torch.from_numpy(_blobs(y, x)).float()
    return flat[None, None] if depth is None else (flat * torch.arange(1.0, depth + 1)[:, None, None])[None, None]


def _expected(seed: int, *, shift_share: float, scale: float, rotate_deg: float) -> np.ndarray:
    """Each pixel from where a turn, a size and a shift of the drawn amounts take it."""
    down, right, turn, grow = (2 * torch.rand(4, generator=torch.Generator().manual_seed(seed)) - 1).tolist()
    y, x = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None] - 1) / 2
    angle, size = math.radians(rotate_deg * turn), 1 + scale * grow
    from_x = (x * math.cos(angle) - y * math.sin(angle)) / size + SHAPE[1] * shift_share * right
    from_y = (x * math.sin(angle) + y * math.cos(angle)) / size + SHAPE[0] * shift_share * down
    return _blobs(from_y, from_x)


@pytest.mark.parametrize(
    "how",
    [
        {"shift_share": 0.06, "scale": 0.0, "rotate_deg": 0.0},
        {"shift_share": 0.0, "scale": 0.2, "rotate_deg": 0.0},
        {"shift_share": 0.0, "scale": 0.0, "rotate_deg": 25.0},
        {"shift_share": 0.05, "scale": 0.1, "rotate_deg": 15.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_image_that_is_not_square_is_turned_grown_and_shifted_without_distortion(how, seed):
    change = Augmentation(**{**STILL, **how})
    found, _ = change(_image(), None, torch.Generator().manual_seed(seed))
    inner = (slice(6, -6), slice(9, -9))  # nothing of the air beyond the image comes in
    assert np.abs(found[0, 0].numpy()[inner] - _expected(seed, **how)[inner]).max() < 0.02  # of linear interpolation
    volume, labels = change(_image(3), (_image(3)[:, 0] > 0.5).int(), torch.Generator().manual_seed(seed))
    for z in range(3):  # every slice by the same map, and none of another
        assert torch.allclose(volume[0, 0, z], (z + 1) * found[0, 0], atol=1e-5)
    assert labels is not None and labels.dtype == torch.int32
    sure = (volume[:, 0] - 0.5).abs() > 0.2
    assert torch.equal(labels[sure].bool(), (volume[:, 0] > 0.5)[sure])


def test_draws_lie_evenly_on_both_sides_of_nothing():
    change, places = Augmentation(**{**STILL, "shift_share": 0.1}), []
    for seed in range(60):
        found, _ = change(_image(), None, torch.Generator().manual_seed(seed))
        weight = found[0, 0].numpy()
        places.append((weight * np.indices(SHAPE)[1]).sum() / weight.sum() - (SHAPE[1] - 1) / 2)
    assert np.ptp(places) > 8 and abs(np.mean(places) - np.mean([9.0, -11.0, 3.0])) < 1.5


def test_an_offset_is_of_water_and_leaves_air_as_it_is():
    draw = torch.Generator().manual_seed(4)
    torch.rand(4, generator=draw)
    size = float(torch.randn(1, generator=draw))
    mu = _image() * MU_WATER_70KEV_PER_MM
    found, _ = Augmentation(**{**STILL, "offset_hu": 20.0})(mu, None, torch.Generator().manual_seed(4))
    still, _ = Augmentation(**STILL)(mu, None, torch.Generator().manual_seed(4))
    assert torch.allclose(found, still * (1 + size * 0.02), rtol=1e-6) and torch.allclose(still, mu, atol=1e-6)


@pytest.mark.parametrize("depth", [None, 3])
def test_blur_is_a_gaussian_within_the_slice(depth):
    draw = torch.Generator().manual_seed(6)
    torch.rand(4, generator=draw), torch.randn(1, generator=draw)
    sigma = 2.0 * float(torch.rand(1, generator=draw))
    assert sigma > 0.3
    mu = torch.rand((1, 1, *((depth,) if depth else ()), *SHAPE), generator=torch.Generator().manual_seed(0))
    found, _ = Augmentation(**{**STILL, "blur_pixels": 2.0})(mu, None, torch.Generator().manual_seed(6))
    still, _ = Augmentation(**STILL)(mu, None, torch.Generator().manual_seed(6))
    axes = [0.0] * (mu.ndim - 2) + [sigma, sigma]
    reach = [0] * (mu.ndim - 2) + [math.ceil(3 * sigma)] * 2
    wanted = gaussian_filter(still.numpy(), axes, mode="nearest", radius=reach)
    assert np.abs(found.numpy() - wanted).max() < 1e-5


def test_noise_has_a_drawn_level_up_to_its_own():
    mu, change = torch.zeros(1, 1, *SHAPE), Augmentation(**{**STILL, "noise_hu": 30.0})
    draw = torch.Generator().manual_seed(9)
    torch.rand(4, generator=draw), torch.randn(1, generator=draw)
    level = float(torch.rand(1, generator=draw))
    noise = torch.randn(mu.shape, generator=draw)
    found, _ = change(mu, None, torch.Generator().manual_seed(9))
    assert torch.allclose(found, level * noise * 30.0 * MU_WATER_70KEV_PER_MM / 1000, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"shift_share": -0.1}, {"shift_share": 0.51}, {"scale": 0.5}, {"rotate_deg": -1.0}, {"noise_hu": -1.0}], ids=str
)
def test_settings_outside_their_range_are_refused(wrong):
    Augmentation(shift_share=0.5, scale=0.49)
    with pytest.raises(ConfigError, match=r"values of 0 or more, scale and shift_share below 0\.5"):
        Augmentation(**wrong)


@pytest.mark.parametrize("name", ["shift_share", "scale", "rotate_deg", "offset_hu", "noise_hu", "blur_pixels"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_settings_that_are_no_numbers_are_refused(name, value):
    with pytest.raises(ConfigError, match="finite values of 0 or more"):
        Augmentation(**{name: value})
