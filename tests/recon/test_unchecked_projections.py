"""Iterations project numbers that are not images, with our projectors and with any other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.recon import cgls, sirt

A = Projector(Grid((24, 24), 1.0), ParallelBeam(views=64, cols=40, pixel_mm=1.0))


@pytest.mark.parametrize("wanted", [-0.01, -1.0, -950.0, -1000.0, -1010.0, -3000.0])
def test_a_scan_that_is_scaled_gives_an_image_that_is_scaled(wanted: float) -> None:
    """`wanted` is the first direction of descent in the middle of the image: about -1000 looks like air in HU."""
    p = A(torch.full((1, 1, 24, 24), 0.02))
    scale = wanted / float(A.adjoint(p).median())
    image, scaled = cgls(p, A, iterations=3), cgls(scale * p, A, iterations=3)
    assert torch.allclose(scaled, scale * image, rtol=1e-2, atol=1e-2 * abs(scale) * 0.02)


class Foreign:
    """A projector of another library has four names (docs/extending.md)."""

    mu_shape, p_shape = A.mu_shape, A.p_shape

    def __call__(self, mu: Tensor) -> Tensor:
        return A(mu)

    def adjoint(self, p: Tensor) -> Tensor:
        return A.adjoint(p)


@pytest.mark.parametrize("method", [cgls, sirt])
def test_a_projector_of_four_names_is_enough(method: Callable[..., Tensor]) -> None:
    p = A(torch.full((1, 1, 24, 24), 0.02))
    assert torch.equal(method(p, Foreign(), iterations=3), method(p, A, iterations=3))
