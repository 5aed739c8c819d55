"""Noise of an image from two half-scans and from the image alone."""

from __future__ import annotations

import torch

from taskct.recon.learned.noise_map import BEND_SHARE, LEAST_HU, bends, noise_from_halves, noise_from_image


def noise(shape: tuple[int, ...] = (1, 1, 96, 96), seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_map_is_the_standard_deviation_up_to_the_border() -> None:
    left = torch.ones(1, 1, 96, 96)
    left[..., 48:] = 3.0
    found = noise_from_halves(20 * noise() * left, 0.75) - LEAST_HU
    assert abs(float(found[..., :, :20].mean()) - 20) < 1.5 and abs(float(found[..., :, -20:].mean()) - 60) < 4
    assert float(found[..., :3, :3].mean()) > 12  # a map that fades at the border would show half of 20


def test_the_map_scales_with_its_image() -> None:
    d = 10 * noise()
    assert torch.allclose(noise_from_halves(4 * d, 0.75) - LEAST_HU, 4 * (noise_from_halves(d, 0.75) - LEAST_HU), rtol=1e-5)
    assert torch.allclose(noise_from_image(4 * d, 0.75) - LEAST_HU, 4 * (noise_from_image(d, 0.75) - LEAST_HU), rtol=1e-4)


def test_metal_does_not_lift_the_noise_of_a_whole_slice() -> None:
    d = 10 * noise()
    metal = d.clone()
    metal[..., 48, 48] = 1e5
    far = noise_from_halves(metal, 0.75)[..., :10, :10] / noise_from_halves(d, 0.75)[..., :10, :10]
    assert float(far.max()) < 1.05


def test_the_image_alone_tells_its_noise_beside_an_edge_of_a_thousand_hu() -> None:
    image = torch.zeros(1, 1, 96, 96)
    image[..., :48] = -1000.0
    found = noise_from_image(image + 30 * noise(), 0.75) * BEND_SHARE  # white noise is not ramp-filtered
    assert abs(float(found[..., :, 70:].mean()) - 30) < 2 and float(found[..., 40:56].mean()) < 60
    assert abs(float(bends(noise((1, 1, 200, 200))).std()) - 1) < 0.05
    ramp = torch.arange(96.0).expand(1, 1, 96, 96) * 50
    assert float(bends(ramp)[..., 1:-1, 1:-1].abs().max()) < 1e-3  # slopes are no noise
