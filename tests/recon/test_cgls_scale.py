"""CGLS follows the scale of a scan: its directions of descent may hold any numbers, those of HU among them."""

from __future__ import annotations

import pytest
import torch

from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.recon import cgls

A = Projector(Grid((24, 24), 1.0), ParallelBeam(views=64, cols=40, pixel_mm=1.0))


@pytest.mark.parametrize("wanted", [-0.01, -1.0, -950.0, -1000.0, -1010.0, -3000.0])
def test_a_scan_that_is_scaled_gives_an_image_that_is_scaled(wanted: float) -> None:
    """`wanted` is the first direction of descent in the middle of the image: about -1000 looks like air in HU."""
    p = A(torch.full((1, 1, 24, 24), 0.02))
    scale = wanted / float(A.adjoint(p).median())
    image, scaled = cgls(p, A, iterations=3), cgls(scale * p, A, iterations=3)
    assert torch.allclose(scaled, scale * image, rtol=1e-2, atol=1e-2 * abs(scale) * 0.02)
