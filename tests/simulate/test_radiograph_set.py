"""Volumes with the radiographs that are taken of them."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import GeometryError
from taskct.data.images import ImageSet
from taskct.geometry import Grid, bi_planar
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.simulate.radiograph_set import RadiographSet


def geometry(start_deg: float = 0.0) -> Projector:
    """Two views of 8 voxels along each axis."""
    beam = bi_planar(
        cols=8, rows=8, pixel_mm=48.0, source_iso_mm=1000, source_detector_mm=1500, angles_deg=(start_deg, start_deg + 90)
    )
    return Projector(Grid((8, 8, 8), 24.0), beam)


def blocks(count: int = 3) -> ImageSet:
    """Random volumes of 16 voxels along each axis, made of attenuation up to bone's."""
    mu = 0.04 * torch.rand((count, 1, 16, 16, 16), generator=torch.Generator().manual_seed(0))
    mu[..., :3, :, :] = 0
    return ImageSet(mu, [f"p{k}" for k in range(count)])


def test_truths_are_means_of_the_finer_voxels_and_radiographs_their_finer_projections() -> None:
    images, A = blocks(), geometry()
    data = RadiographSet(images, A)
    assert data.truth.shape == (3, 1, 8, 8, 8) and data.seen_by([0, 0]) is A
    assert torch.allclose(data.truth[1, 0, 2, 3, 4], images.mu[1, 0, 4:6, 6:8, 8:10].mean())
    p = data.clean([2, 0, 2])
    assert p.shape == (3, 1, 2, 8, 8) and torch.equal(p[0], p[2]) and not torch.equal(p[0], p[1])
    coarse = A(data.truth[[2]])
    apart = float((p[:1] - coarse).abs().mean() / coarse.abs().mean())
    assert 0.001 < apart < 0.1  # the same object, another grid


def test_each_image_can_be_seen_by_any_of_several_geometries() -> None:
    A = [geometry(), geometry(20.0)]
    data = RadiographSet(blocks(), A)
    p = data.clean([1, 1], [0, 1])
    assert not torch.allclose(p[0], p[1], atol=1e-3)
    assert torch.equal(RadiographSet(blocks(), A[1]).clean([1])[0], p[1])
    seen = data.seen_by([1, 0])
    assert isinstance(seen, Projectors) and seen.each == (A[1], A[0])


def test_what_was_projected_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    data = RadiographSet(blocks(), geometry())
    first = data.clean([0, 1])
    monkeypatch.setattr("taskct.simulate.radiograph_set.transmission", None)
    assert torch.equal(data.clean([1, 0]), first.flip(0))
    with pytest.raises(TypeError):
        data.clean([2])


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"4 times the grid \(8, 8, 8\), got \(16, 16, 16\)"):
        RadiographSet(blocks(), geometry(), factor=4)
    other = Projector(Grid((8, 8, 8), 12.0), geometry().beam)
    with pytest.raises(GeometryError, match="one grid"):
        RadiographSet(blocks(), [geometry(), other])


def test_voxels_of_another_size_are_refused() -> None:
    images = ImageSet(blocks().mu, ["p0", "p1", "p2"], spacing_mm=(24.0, 24.0, 24.0))
    with pytest.raises(GeometryError, match="2 times finer, has pixels of 12 x 12 x 12 mm, the images have 24 x 24 x 24 mm"):
        RadiographSet(images, geometry())
