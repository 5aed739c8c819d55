"""What the channels of observers look like, beside their formulas one pixel at a time."""

from __future__ import annotations

import math

import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.task.observers.channels import difference_of_gaussians, gabor_channels, npwe_template

MAKE = {
    "gabor": lambda size, pixel_mm: gabor_channels(size, pixel_mm=pixel_mm),
    "dog": lambda size, pixel_mm: difference_of_gaussians(size, pixel_mm=pixel_mm),
    "npwe": lambda size, pixel_mm: npwe_template(torch.ones(size, size + 2), pixel_mm=pixel_mm),
}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
@pytest.mark.parametrize(("size", "pixel_mm"), [(2, 1.0), (0, 1.0), (9, 0.0), (9, -1.0), (9, math.nan)])
def test_regions_too_small_for_channels_and_pixels_without_size_are_refused(make, size, pixel_mm):
    with pytest.raises(ConfigError, match=f"3 pixels or more and pixel_mm > 0, got {size} and {pixel_mm!r}"):
        make(size, pixel_mm)
    assert make(3, 1.0).shape[-2] == 3


def test_gabor_channels_are_waves_under_a_gaussian_of_an_octave():
    bands, angles, size, pixel_mm, lowest = 2, 3, 7, 0.8, 0.05
    found = gabor_channels(size, pixel_mm=pixel_mm, bands=bands, angles=angles, lowest_per_mm=lowest)
    assert found.shape == (6, 7, 7)
    for n, channel in enumerate(found):
        low, turn = lowest * 2 ** (n // angles), math.pi * (n % angles) / angles
        width_mm = math.sqrt(4 * math.log(2)) / (math.pi * low)
        raw = torch.zeros(size, size, dtype=torch.float64)
        for i in range(size):
            for j in range(size):
                y, x = (i - 3) * pixel_mm, (j - 3) * pixel_mm
                along = x * math.cos(turn) + y * math.sin(turn)
                raw[i, j] = math.exp(-(x * x + y * y) / width_mm**2) * math.cos(2 * math.pi * 1.5 * low * along)
        torch.testing.assert_close(channel, raw / raw.norm())


def test_dense_differences_of_gaussians_pass_the_frequencies_of_their_paper():
    size, pixel_mm, lowest = 33, 0.7, 0.05
    found = difference_of_gaussians(size, pixel_mm=pixel_mm, channels=4, lowest_per_mm=lowest)
    f = torch.fft.fftfreq(size, pixel_mm, dtype=torch.float64)
    square = f[:, None] ** 2 + f[None] ** 2
    for j, channel in enumerate(found):
        sigma = lowest * 1.4**j
        wanted = torch.exp(-square / (2 * (1.67 * sigma) ** 2)) - torch.exp(-square / (2 * sigma**2))
        response = torch.fft.fft2(torch.fft.ifftshift(channel)).real
        torch.testing.assert_close(response / response.norm(), wanted / wanted.norm(), rtol=1e-9, atol=1e-12)
        assert int(channel.abs().flatten().argmax()) == size * size // 2  # largest at the middle


def test_the_template_of_the_eye_is_the_signal_filtered_twice():
    signal = torch.zeros(16, 20)
    signal[6:9, 8:12] = 1.0
    found = npwe_template(signal, pixel_mm=0.5, peak_per_mm=0.3)
    fy, fx = torch.fft.fftfreq(16, 0.5, dtype=torch.float64), torch.fft.fftfreq(20, 0.5, dtype=torch.float64)
    f = (fy[:, None] ** 2 + fx[None] ** 2).sqrt()
    eye = f**1.3 * torch.exp(-(1.3 / (2 * 0.3**2)) * f**2)
    response = torch.fft.fft2(found[0]) / torch.fft.fft2(signal.double())
    assert found.shape == (1, 16, 20) and float(found.norm()) == pytest.approx(1.0)
    for at in ((0, 1), (2, 0), (1, 3)):  # where the signal has energy
        reference = float(response[1, 1].real) * float(eye[at] ** 2) / float(eye[1, 1] ** 2)
        assert float(response[at].real) == pytest.approx(reference, rel=1e-6)
    line = torch.arange(0.0, 2.0, 0.001, dtype=torch.float64)
    peak = line**1.3 * torch.exp(-(1.3 / (2 * 0.3**2)) * line**2)
    assert float(line[peak.argmax()]) == pytest.approx(0.3, abs=0.002)  # which is what peak_per_mm means
