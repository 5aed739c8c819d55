from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.evaluation.reading import disk_edge, region_contrast
from taskct.task import FrozenTask, HuWindow, freeze
from taskct.task.observers.channels import difference_of_gaussians, gabor_channels, npwe_template
from taskct.task.observers.hotelling import (
    detectability,
    noise_power_2d,
    npwe_from_spectrum,
    responses,
    squared_detectability,
)
from taskct.task.observers.observer_penalties import ContrastPenalty, ObserverPenalty

N = 25
Y, X = torch.meshgrid(torch.arange(N) - 12.0, torch.arange(N) - 12.0, indexing="ij")
BLOB = torch.exp(-(Y**2 + X**2) / (2 * 3.0**2)).double()


def regions(n: int, seed: int, amplitude: float = 0.0) -> torch.Tensor:
    white = torch.randn(n, N, N, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return white + amplitude * BLOB


def test_the_ideal_template_reaches_the_detectability_of_white_noise():
    # In white noise of SD 1 the matched filter has d' = |signal|; 400 + 400 regions give about +-0.07.
    amplitude = 1.5 / float(BLOB.norm())
    found = detectability(regions(400, 0, amplitude), regions(400, 1), BLOB[None])
    assert found.d_prime == pytest.approx(1.5, abs=0.25) and found.low < 1.5 < found.high
    assert found.auc == pytest.approx(0.856, abs=0.04)  # Phi(1.5 / sqrt 2)


@pytest.mark.parametrize("make", [gabor_channels, difference_of_gaussians])
def test_channels_catch_most_of_a_smooth_signal_and_never_more_than_all(make):
    channels = make(N, pixel_mm=1.0, **({"bands": 3, "angles": 2} if make is gabor_channels else {}))
    # Exact d' of the channels in white noise: the part of the signal that lies in their span.
    basis = torch.linalg.svd(channels.flatten(1), full_matrices=False)[2]
    share = float((basis @ BLOB.flatten()).norm() / BLOB.norm())
    assert 0.8 < share <= 1 + 1e-9
    assert torch.allclose(channels.flatten(1).norm(dim=1), torch.ones(len(channels), dtype=torch.float64))


def test_the_interval_covers_the_truth_and_the_bias_of_few_regions_is_removed():
    amplitude, channels = 1.0 / float(BLOB.norm()), difference_of_gaussians(N, pixel_mm=1.0)
    basis = torch.linalg.svd(channels.flatten(1), full_matrices=False)[2]
    truth = float((basis @ BLOB.flatten()).norm() / BLOB.norm())
    hits, squares, raw = 0, [], []
    for s in range(120):
        present, absent = regions(25, 1000 + s, amplitude), regions(25, 5000 + s)
        found = detectability(present, absent, channels)
        hits += found.low <= truth <= found.high
        plain = float(squared_detectability(responses(present, channels), responses(absent, channels)))
        raw.append(plain), squares.append(found.squared)
    assert 0.89 <= hits / 120 <= 0.995  # standard error 0.02
    assert np.mean(raw) > 1.4 * truth**2  # uncorrected: far too high
    assert np.mean(squares) == pytest.approx(truth**2, abs=0.2)  # standard error 0.06


def test_nothing_to_see_gives_an_interval_from_zero():
    found = detectability(regions(40, 0), regions(40, 1), difference_of_gaussians(N, pixel_mm=1.0))
    assert found.low == 0.0 and found.d_prime < 0.6


def test_npwe_from_the_spectrum_agrees_with_npwe_from_regions():
    signal = 0.3 * BLOB
    template = npwe_template(signal, pixel_mm=0.8)
    found = detectability(regions(1500, 0) + signal, regions(1500, 1), template)
    power = noise_power_2d(regions(3000, 2), pixel_mm=0.8)
    assert float(power.mean()) == pytest.approx(0.64, rel=0.01)  # variance 1 times the pixel's area
    stated = float(npwe_from_spectrum(signal, power, pixel_mm=0.8))
    assert found.d_prime == pytest.approx(stated, rel=0.08)


def test_detectability_has_a_true_gradient():
    present, absent = regions(8, 0, 0.3)[:, ::6, ::6].requires_grad_(), regions(8, 1)[:, ::6, ::6]
    channels = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f = lambda x: squared_detectability(responses(x, channels), responses(absent, channels))
    assert torch.autograd.gradcheck(f, (present,))


def scene(noise: float, contrast: float = -0.2) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.ones(2, 40, 40, dtype=torch.int64)
    labels[:, 12:18, 20:26] = 2
    generator = torch.Generator().manual_seed(0)
    image = 0.5 + contrast * (labels == 2)[:, None] + noise * torch.randn(2, 1, 40, 40, generator=generator)
    return image, labels


@pytest.mark.parametrize("penalty", [ObserverPenalty(difference_of_gaussians(9, pixel_mm=2.0, channels=3)), ContrastPenalty()])
def test_penalties_fall_with_noise_and_rise_with_lost_contrast(penalty):
    plain = penalty(*scene(0.1))
    assert penalty(*scene(0.03)) < plain < penalty(*scene(0.1, contrast=-0.05))


@pytest.mark.parametrize("penalty", [ObserverPenalty(difference_of_gaussians(9, pixel_mm=2.0, channels=3)), ContrastPenalty()])
def test_penalties_are_tasks_like_any_other(penalty):
    task = FrozenTask(freeze(nn.Identity()), HuWindow(40, 400), penalty, "observer")
    image, labels = scene(0.1)
    mu = (0.01929 * (1 + (40 + 400 * (image - 0.5)) / 1000)).requires_grad_()
    value = task(mu, labels)
    value.backward()
    assert value.ndim == 0 and float(mu.grad.abs().sum()) > 0
    step = mu.detach() - 1e-5 * mu.grad / mu.grad.norm()
    assert task(step, labels) < value
    assert float(task(mu.detach(), torch.ones_like(labels))) == 0  # no lesion: nothing to say


def test_contrast_and_noise_of_regions():
    image, labels = scene(0.1, contrast=-0.3)
    contrast, cnr = region_contrast(image, (labels == 2)[:, None], (labels == 1)[:, None])
    assert contrast.tolist() == pytest.approx([-0.3, -0.3], abs=0.06)  # 36 pixels: standard error 0.017
    assert cnr.tolist() == pytest.approx([-3, -3], abs=0.7)


def test_the_edge_of_a_blurred_disk_gives_the_blur():
    # A disk of 30 mm, sampled finely, under a Gaussian of sigma s: transfer exp(-2 (pi s f)^2), half at f = 0.187 / s.
    pixel, sigma = 0.5, 1.2
    y, x = np.mgrid[:160, :160]
    soft = 0.5 * (1 - torch.erf(torch.from_numpy((pixel * np.hypot(y - 79.6, x - 80.3) - 25) / (sigma * 2**0.5))))
    found = disk_edge(100 * soft[None, None], centre_px=(79.6, 80.3), radius_mm=25.0, pixel_mm=pixel)
    assert found.contrast == pytest.approx(100, rel=0.01)
    assert found.f50_per_mm == pytest.approx(0.1874 / sigma, rel=0.05)  # bins and window
    sharper = disk_edge(
        torch.from_numpy((np.hypot(y - 79.6, x - 80.3) < 50) * 1.0)[None, None],
        centre_px=(79.6, 80.3), radius_mm=25.0, pixel_mm=pixel,
    )  # fmt: skip
    assert not sharper.f50_per_mm < 2 * found.f50_per_mm


def test_two_regions_of_each_kind_are_the_fewest_that_tell_signal_from_noise():
    present, absent = torch.tensor([[2.0], [4.0]]), torch.tensor([[0.0], [1.0]])
    # means 3 and 0.5; variance within the kinds (2 + 0.5) / 2 = 1.25
    assert float(squared_detectability(present, absent)) == pytest.approx(2.5**2 / 1.25)
    for fewer in ((present[:1], absent), (present, absent[:1])):
        with pytest.raises(InputError, match="two regions or more of each kind"):
            squared_detectability(*fewer)


def test_impossible_arguments_are_refused():
    with pytest.raises(GeometryError, match="regions and channels differ in size"):
        responses(torch.zeros(3, 4, 4), torch.zeros(1, 5, 5))
    with pytest.raises(InputError, match="too few for 6 channels"):
        detectability(regions(4, 0), regions(4, 1), difference_of_gaussians(N, pixel_mm=1.0))
    with pytest.raises(ConfigError, match="odd sizes"):
        ObserverPenalty(torch.zeros(2, 4, 4))
    with pytest.raises(InputError, match="no contrast"):
        disk_edge(torch.ones(1, 1, 32, 32), centre_px=(16, 16), radius_mm=8.0, pixel_mm=1.0)
