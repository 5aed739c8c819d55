"""Cubic resampling between grids of one region."""

from __future__ import annotations

import numpy as np
import torch

from taskct.geometry import Grid
from taskct.recon.learned.cubic_resampling import resample_cubic


def sampled(grid: Grid) -> torch.Tensor:
    y, x = (torch.from_numpy(a) for a in grid.axes_mm()[-2:])
    return (torch.sin(0.15 * x[None, :]) + 0.02 * y[:, None] + 0.001 * y[:, None] ** 2)[None, None]


def test_a_smooth_image_keeps_its_places_on_finer_and_on_coarser_pixels() -> None:
    grid = Grid((80, 100), 0.75)
    for onto in (Grid((75, 94), 0.8), Grid((120, 150), 0.5), Grid((40, 50), 1.5), grid):
        found = resample_cubic(sampled(grid), grid, onto)
        assert found.shape[-2:] == onto.shape
        off = (found - sampled(onto))[..., 4:-4, 4:-4].abs().max()
        assert float(off) < 0.006  # of values up to 2; a shift by half a pixel would give .05


def test_coarser_pixels_hold_means_of_noise() -> None:
    noise = torch.randn(1, 1, 120, 120, generator=torch.Generator().manual_seed(0))
    found = resample_cubic(noise, Grid((120, 120), 0.75), Grid((40, 40), 2.25))
    assert abs(float(found.std()) - 1 / 3) < 0.08 and abs(float(found.mean() - noise.mean())) < 0.01


def test_constants_stay_and_gradients_pass_and_volumes_keep_their_slices() -> None:
    flat = torch.full((1, 1, 3, 40, 40), 7.0, requires_grad=True)
    grid, onto = Grid((3, 40, 40), (5.0, 0.75, 0.75)), Grid((3, 33, 33), (5.0, 0.9, 0.9))
    found = resample_cubic(flat, grid, onto)
    assert found.shape == (1, 1, 3, 33, 33) and np.allclose(found.detach().numpy(), 7.0, atol=1e-5)
    found.sum().backward()
    assert flat.grad is not None and bool(torch.isfinite(flat.grad).all())
