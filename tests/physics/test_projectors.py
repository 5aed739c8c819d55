"""Several projectors of one grid as one, an image for each."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import GeometryError, UnitsError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon import cgls

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


def test_numbers_that_look_like_hu_are_projected_where_they_are_not_images():
    A = Projectors([_projector(20.0 * k) for k in range(2)])
    wild = torch.full((2, 1, 8, 8), -1000.0)
    with pytest.raises(UnitsError, match="look like HU"):
        A(wild)
    assert torch.allclose(A.project_unchecked(wild), -1000 * A(torch.ones(2, 1, 8, 8)))


def test_cgls_takes_a_geometry_for_each_image():
    each = [_projector(20.0 * k) for k in range(2)]
    p = Projectors(each)(torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    alone = [cgls(p[k : k + 1], one, iterations=5) for k, one in enumerate(each)]
    assert torch.allclose(cgls(p, Projectors(each), iterations=5), torch.cat(alone), atol=1e-5)  # type: ignore[arg-type]


def test_none_and_several_that_do_not_fit_are_refused():
    with pytest.raises(GeometryError, match="at least one projector, got none"):
        Projectors([])
    for other in (_projector(cols=15), _projector(grid=Grid((8, 8), 1.0))):
        with pytest.raises(GeometryError, match="one grid and one detector for all, but number 1 has"):
            Projectors([_projector(), other])
