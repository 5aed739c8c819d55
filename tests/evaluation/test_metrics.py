from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.evaluation.metrics import bias, noise_sd, psnr, psnr_hu, rmse, ssim, ssim_hu
from taskct.evaluation.windows import WINDOWS, Window, window_named


def pair(seed: int = 0, shape: tuple[int, ...] = (2, 1, 40, 33)) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    truth = rng.random(shape) * np.linspace(0.5, 2.0, shape[0]).reshape(-1, 1, *[1] * (len(shape) - 2))
    return torch.from_numpy(truth + rng.normal(0, 0.1, shape)), torch.from_numpy(truth)


def test_psnr_equals_scikit_image_in_both_conventions():
    mu, truth = pair()
    for b in range(2):
        x, y = truth[b, 0].numpy(), mu[b, 0].numpy()
        own = peak_signal_noise_ratio(x, y, data_range=x.max() - x.min())
        assert math.isclose(float(psnr(mu, truth)[b]), own, rel_tol=1e-12)  # the same formula in float64
        fixed = peak_signal_noise_ratio(x, y, data_range=1.0)
        assert math.isclose(float(psnr(mu, truth, data_range=1.0)[b]), fixed, rel_tol=1e-12)


def test_the_two_psnr_conventions_differ_by_the_range_alone():
    mu, truth = pair()
    span = truth.amax((1, 2, 3)) - truth.amin((1, 2, 3))
    shift = psnr(mu, truth) - psnr(mu, truth, data_range=1.0)
    assert torch.allclose(shift, 20 * torch.log10(span), rtol=0, atol=1e-12)


def test_ssim_equals_scikit_image_with_both_windows():
    mu, truth = pair()
    for b in range(2):
        x, y = truth[b, 0].numpy(), mu[b, 0].numpy()
        span = x.max() - x.min()
        gaussian = structural_similarity(x, y, data_range=span, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        uniform = structural_similarity(x, y, data_range=span)
        assert math.isclose(float(ssim(mu, truth)[b]), gaussian, rel_tol=1e-10)  # float64 sums in another order
        assert math.isclose(float(ssim(mu, truth, window="uniform")[b]), uniform, rel_tol=1e-10)


def test_ssim_in_a_mask_is_the_mean_of_scikit_images_map_there():
    mu, truth = pair(shape=(1, 1, 40, 33))
    mask = torch.zeros(1, 1, 40, 33, dtype=torch.bool)
    mask[..., 10:20, 12:25] = True
    x, y = truth[0, 0].numpy(), mu[0, 0].numpy()
    _, full = structural_similarity(
        x, y, data_range=1.5, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert math.isclose(float(ssim(mu, truth, data_range=1.5, mask=mask)), full[10:20, 12:25].mean(), rel_tol=1e-10)


def test_a_volume_is_measured_slice_by_slice():
    mu, truth = pair(shape=(3, 1, 20, 21))
    volume = lambda t: t[:, 0][None, None]
    slices = ssim(mu, truth, data_range=1.0)
    assert torch.allclose(ssim(volume(mu), volume(truth), data_range=1.0), slices.mean(), rtol=1e-12)


def test_squared_rmse_is_squared_bias_plus_squared_error_sd():
    mu, truth = pair()
    mask = truth > 0.3
    total = rmse(mu + 0.2, truth, mask=mask) ** 2
    parts = bias(mu + 0.2, truth, mask=mask) ** 2 + noise_sd(mu + 0.2, truth, mask=mask) ** 2
    assert torch.allclose(total, parts, rtol=1e-12)
    assert torch.allclose(bias(truth + 0.2, truth), torch.tensor(0.2, dtype=torch.float64))


def test_noise_without_truth_is_the_standard_deviation_of_the_region():
    mu, _ = pair()
    mask = torch.zeros(40, 33, dtype=torch.bool)
    mask[5:15, 5:15] = True
    expected = mu[:, 0, 5:15, 5:15].flatten(1).std(1, correction=0)
    assert torch.allclose(noise_sd(mu, mask=mask), expected, rtol=1e-12)


def test_a_windowed_psnr_ignores_what_the_window_does_not_show():
    truth = torch.tensor([-1000.0, 0.0, 100.0, 2000.0]).reshape(1, 1, 2, 2)
    hu = truth + torch.tensor([300.0, 0.0, 10.0, -500.0]).reshape(1, 1, 2, 2)
    window = WINDOWS["soft tissue"]
    assert math.isclose(float(psnr_hu(hu, truth, window=window)), 20 * math.log10(400) - 10 * math.log10(25.0))
    assert psnr_hu(hu, truth, window=window, clip=False) < psnr_hu(hu, truth, window=window)
    big = torch.nn.functional.interpolate(truth, size=(24, 24))
    assert float(ssim_hu(big, big, window=window)) == pytest.approx(1.0, abs=1e-12)


def test_undefined_values_are_nan_and_equal_images_are_infinite():
    flat = torch.full((1, 1, 16, 16), 0.02)
    assert torch.isnan(psnr(flat + 0.001, flat)).all()
    assert torch.isnan(ssim(flat + 0.001, flat)).all()
    assert torch.isnan(rmse(flat, flat, mask=torch.zeros(1, 1, 16, 16, dtype=torch.bool))).all()
    assert torch.isinf(psnr(flat, flat, data_range=1.0)).all()


def test_float32_images_are_measured_in_float64():
    mu, truth = pair()
    assert psnr(mu.float(), truth.float()).dtype == torch.float64


def test_wrong_images_masks_and_ranges_are_refused_with_advice():
    mu, truth = pair()
    with pytest.raises(GeometryError, match=r"index with \[None, None\]"):
        psnr(mu[0, 0], truth[0, 0])
    with pytest.raises(GeometryError, match="two images of one shape"):
        psnr(mu, truth[:1])
    with pytest.raises(GeometryError, match="does not fit"):
        rmse(mu, truth, mask=torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="compare first"):
        rmse(mu, truth, mask=torch.ones(40, 33))
    with pytest.raises(InputError, match="'per-image' or a positive number"):
        psnr(mu, truth, data_range="max")
    with pytest.raises(InputError, match="'per-image' or a positive number"):
        psnr(mu, truth, data_range=-1.0)
    with pytest.raises(ConfigError, match="did you mean 'gaussian'"):
        ssim(mu, truth, window="gausian")
    with pytest.raises(InputError, match="at least 11 x 11"):
        ssim(mu[..., :8], truth[..., :8])
    with pytest.raises(ConfigError, match="did you mean 'liver'"):
        window_named("livr")
    with pytest.raises(InputError, match="positive width"):
        Window(40, 0)
