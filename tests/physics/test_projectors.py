"""Several projectors of one grid as one, an image for each."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import GeometryError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors

GRID = Grid((8, 8), 2.0)


def _projector(start_deg: float = 0.0, cols: int = 14, grid: Grid = GRID) -> Projector:
    return Projector(grid, ParallelBeam(views=5, cols=cols, pixel_mm=2.0, start_deg=start_deg))


@pytest.mark.parametrize("count", [1, 3])
def test_each_image_goes_through_its_own_projector(count):
    each = [_projector(20.0 * k) for k in range(count)]
    A = Projectors(each)
    assert len(A) == count and A.grid == GRID and A.mu_shape == (8, 8) and A.p_shape == (5, 14)
    mu = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    p = A(mu)
    assert torch.equal(p, torch.cat([one(x[None]) for one, x in zip(each, mu, strict=True)]))
    assert torch.equal(A.adjoint(p), torch.cat([one.adjoint(x[None]) for one, x in zip(each, p, strict=True)]))


def test_none_and_several_that_do_not_fit_are_refused():
    with pytest.raises(GeometryError, match="at least one projector, got none"):
        Projectors([])
    for other in (_projector(cols=15), _projector(grid=Grid((8, 8), 1.0))):
        with pytest.raises(GeometryError, match="one grid and one detector for all, but number 1 has"):
            Projectors([_projector(), other])
