"""PSNR, SSIM and bias of images of which they are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskct.core.units import to_mu
from taskct.systems.chest.chest_classes import WINDOW
from taskct.systems.chest.image_scores import image_scores


@pytest.mark.parametrize("shift_hu", [-120.0, -16.0, 0.0, 16.0, 120.0])
def test_a_shift_in_hu_is_its_bias_and_its_psnr(shift_hu: float) -> None:
    hu = torch.empty(3, 1, 24, 20).uniform_(-1000, 200, generator=torch.Generator().manual_seed(0))
    found = image_scores(WINDOW(to_mu(hu + shift_hu)), WINDOW(to_mu(hu)))
    assert found["bias_hu"] == pytest.approx(np.full(3, shift_hu), abs=0.05)
    if shift_hu:
        assert found["restored"] == pytest.approx(np.full(3, -20 * np.log10(abs(shift_hu) / 1600)), abs=0.01)
    assert (found["ssim"] == 1).all() if not shift_hu else (found["ssim"] < 1).all()


def test_noise_costs_ssim_and_leaves_the_bias_and_each_image_has_its_own_scores() -> None:
    draw = torch.Generator().manual_seed(1)
    hu = torch.empty(1, 1, 40, 40).uniform_(-900, 0, generator=draw).expand(3, 1, 40, 40)
    noise = torch.randn(3, 1, 40, 40, generator=draw) * torch.tensor([0.0, 30.0, 90.0]).reshape(3, 1, 1, 1)
    found = image_scores(WINDOW(to_mu(hu + noise)), WINDOW(to_mu(hu)))
    assert found["ssim"][0] == 1 and found["ssim"][0] > found["ssim"][1] > found["ssim"][2]
    assert np.abs(found["bias_hu"]).max() < 8 and found["restored"][1] > found["restored"][2]


def test_pixels_outside_of_the_window_have_no_bias() -> None:
    hu = torch.full((2, 1, 16, 16), 900.0)
    hu[0, 0, :4] = -500.0
    found = image_scores(WINDOW(to_mu(hu + 40)), WINDOW(to_mu(hu)))
    assert found["bias_hu"][0] == pytest.approx(40, abs=0.1) and np.isnan(found["bias_hu"][1])
