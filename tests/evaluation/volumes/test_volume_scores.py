"""Scores of volumes against their formulas, an independent implementation and cases whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from taskct.core.errors import InputError
from taskct.evaluation.volumes.volume_scores import head_mask, mae_hu, psnr3d, slice_psnr, ssim_along


def pair(shape: tuple[int, ...] = (2, 1, 14, 16, 18)) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    truth = -1000 + 2200 * torch.rand(shape, generator=g)
    return truth + 120 * torch.randn(shape, generator=g), truth


def test_the_psnr_of_a_volume_has_the_range_of_its_window_and_what_lies_beyond_it_does_not_count() -> None:
    hu, truth = pair()
    a, b = (np.clip(v.numpy().astype(float), -1000, 1500) for v in (hu, truth))
    expected = [10 * math.log10(2500**2 / np.mean((x - y) ** 2)) for x, y in zip(a, b, strict=True)]
    assert torch.allclose(psnr3d(hu, truth), torch.tensor(expected, dtype=torch.float64), atol=1e-5)
    metal, none = truth.clone(), truth.clone()
    metal[0, 0, 0, 0, 0], none[0, 0, 0, 0, 0] = 30000.0, 1500.0
    assert torch.equal(psnr3d(metal, truth), psnr3d(none, truth))


def test_empty_slices_are_counted_apart_and_do_not_raise_the_mean_as_they_do_in_the_published_convention() -> None:
    truth = torch.full((1, 1, 12, 12, 12), -1000.0)
    truth[..., 4:8, 4:8, 4:8] = 500.0
    hu = torch.where(truth > 0, truth + 250, truth)  # slices without the cube are right to the last bit
    apart, empty = slice_psnr(hu, truth)
    assert int(empty) == 3 * 8
    each = 20 * math.log10(2500 / math.sqrt(250**2 * 16 / 144))
    assert math.isclose(float(apart), each, rel_tol=1e-6)
    published, _ = slice_psnr(hu, truth, empty="100 dB")
    assert math.isclose(float(published), (each * 12 + 100 * 24) / 36, rel_tol=1e-6)
    with pytest.raises(InputError, match="empty slices"):
        slice_psnr(hu, truth, empty="skip")


@pytest.mark.parametrize(("axis", "number"), [("axial", 0), ("coronal", 1), ("sagittal", 2)])
def test_ssim_along_an_axis_is_the_mean_over_the_slices_across_it(axis: str, number: int) -> None:
    hu, truth = pair((1, 1, 14, 16, 18))
    hu[..., :6, :] = truth[..., :6, :]  # makes the three axes differ
    x, y = (np.clip(v[0, 0].numpy().astype(float), -1000, 1500) for v in (hu, truth))
    slices = [
        structural_similarity(a, b, data_range=2500, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for a, b in zip(np.moveaxis(x, number, 0), np.moveaxis(y, number, 0), strict=True)
    ]
    assert math.isclose(float(ssim_along(hu, truth, axis=axis)), float(np.mean(slices)), rel_tol=1e-4)


def test_an_axis_needs_a_name_of_an_axis() -> None:
    hu, truth = pair()
    with pytest.raises(InputError, match="did you mean 'axial'"):
        ssim_along(hu, truth, axis="axiall")


def test_the_error_in_the_head_is_that_of_voxels_whose_truth_is_no_air() -> None:
    truth = torch.full((1, 1, 2, 2, 2), -1000.0)
    truth[..., 0] = 40.0
    hu = truth + 60
    hu[..., 0] += 40
    assert float(mae_hu(hu, truth)) == 80.0
    assert float(mae_hu(hu, truth, mask=head_mask(truth))) == 100.0
