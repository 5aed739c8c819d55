"""What two views could have shown of an error: the row space of A, checked against a dense singular value decomposition."""

from __future__ import annotations

import torch

from taskct import Grid, Projector
from taskct.evaluation.volumes.view_share import reprojection_rms, seen_part, seen_share
from taskct.geometry import bi_planar
from taskct.physics.projectors import Projectors

GRID = Grid((6, 6, 6), 8.0)


def projector(start: float = 0.0) -> Projector:
    beam = bi_planar(cols=6, rows=6, pixel_mm=13.0, source_iso_mm=400, source_detector_mm=600, angles_deg=(start, start + 90))
    return Projector(GRID, beam)


def matrix(A: Projector) -> torch.Tensor:
    eye = torch.eye(216, dtype=torch.float64).reshape(216, 1, 6, 6, 6)
    return A(eye).flatten(1).T  # (rays, voxels)


def test_the_seen_part_is_the_projection_onto_the_row_space() -> None:
    A = projector()
    _, value, rows = torch.linalg.svd(matrix(A), full_matrices=False)
    rows = rows[value > 1e-6 * value[0]]
    error = torch.randn(2, 1, 6, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = (error.flatten(1) @ rows.T @ rows).reshape(error.shape)
    assert torch.allclose(seen_part(error, A, iterations=400), expected, atol=2e-3 * float(error.abs().max()))
    share = expected.square().flatten(1).sum(1) / error.square().flatten(1).sum(1)
    assert torch.allclose(seen_share(error, A), share, rtol=0.05)
    assert bool((seen_share(error, A) <= share + 1e-9).all())  # from below
    hidden = error - expected
    assert float(seen_share(hidden, A).max()) < 1e-6
    assert torch.allclose(seen_share(A.adjoint(A(error)), A), torch.ones(2, dtype=torch.float64), atol=1e-3)


def test_each_case_is_judged_by_its_own_geometry() -> None:
    A, B = projector(), projector(30.0)
    mu = 0.02 * torch.rand(2, 1, 6, 6, 6, generator=torch.Generator().manual_seed(1))
    both = Projectors([A, B])
    assert torch.allclose(seen_share(mu, both), torch.cat([seen_share(mu[:1], A), seen_share(mu[1:], B)]))
    p = both(mu)
    assert float(reprojection_rms(mu, p, both).max()) < 1e-6
    assert torch.allclose(reprojection_rms(mu, p + 0.25, both), torch.full((2,), 0.25, dtype=torch.float64), atol=1e-5)
