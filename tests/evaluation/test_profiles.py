from __future__ import annotations

import numpy as np
import pytest
import torch

from taskct.core.errors import GeometryError, InputError
from taskct.evaluation.noise_power_spectrum import noise_power_spectrum, power_spectrum_2d, quiet_square
from taskct.evaluation.profiles import line_profile
from taskct.geometry import Grid


def test_a_profile_of_a_linear_image_is_exact_along_any_line():
    grid = Grid((30, 40), (0.8, 0.5), (-3.0, 2.0))
    y, x = (torch.from_numpy(a) for a in grid.axes_mm())
    image = (2.0 * y[:, None] - 3.0 * x)[None, None]
    distance, values = line_profile(image, grid, start_mm=(-2.0, 3.3), end_mm=(17.0, 20.1), samples=50)
    along = np.linspace(0, 1, 50)
    expected = 2.0 * (-2.0 + 19.0 * along) - 3.0 * (3.3 + 16.8 * along)
    assert np.allclose(values[0].numpy(), expected, atol=1e-9)  # linear interpolation is exact for a linear image
    assert distance[-1] == pytest.approx(np.hypot(19.0, 16.8))


def test_a_line_outside_the_grid_is_refused():
    with pytest.raises(InputError, match="leaves the grid"):
        line_profile(torch.zeros(1, 1, 8, 8), Grid((8, 8), 1.0), start_mm=(0, 0), end_mm=(0, 9))
    with pytest.raises(GeometryError, match="2D grid"):
        line_profile(torch.zeros(1, 1, 8, 8), Grid((8, 9), 1.0), start_mm=(0, 0), end_mm=(0, 1))


def test_white_noise_has_a_flat_spectrum_of_variance_times_pixel_area():
    generator = torch.Generator().manual_seed(0)
    noise = 10 * torch.randn(64, 1, 32, 32, generator=generator)
    frequency, power = noise_power_spectrum(noise, spacing_mm=(0.7, 0.7))
    # the innermost ring averages 8 bins x 64 regions, a relative error of 1 / sqrt(512) = 4.4 % (one sigma)
    assert np.allclose(power, 100 * 0.49, rtol=0.15)
    assert frequency[-1] == pytest.approx(0.5 / 0.7, rel=0.03) and (np.diff(frequency) > 0).all()


def test_the_spectrum_integrates_to_the_variance():
    noise = torch.randn(3, 1, 20, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    power, _ = power_spectrum_2d(noise, spacing_mm=(0.5, 0.8))
    area_per_bin = 1 / (20 * 0.5) / (32 * 0.8)
    variance = noise.var((-2, -1), correction=0).mean()
    assert power.sum() * area_per_bin == pytest.approx(float(variance), rel=1e-12)  # Parseval


def test_smoothing_moves_noise_power_to_low_frequencies():
    noise = torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)
    _, rough = noise_power_spectrum(noise, spacing_mm=(1.0, 1.0))
    _, soft = noise_power_spectrum(smooth, spacing_mm=(1.0, 1.0))
    assert soft[-1] / soft[0] < 0.1 * rough[-1] / rough[0]


def test_the_quiet_square_is_the_uniform_patch():
    truth = torch.randn(40, 40, generator=torch.Generator().manual_seed(0))
    truth[21:31, 5:15] = 3.0
    assert quiet_square(truth, torch.ones(40, 40, dtype=torch.bool), size=10) == (21, 5)
    assert quiet_square(truth, torch.zeros(40, 40, dtype=torch.bool), size=10) is None
    assert quiet_square(truth, torch.ones(40, 40, dtype=torch.bool), size=64) is None
