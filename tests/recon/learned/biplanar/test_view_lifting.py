"""How the maps of flat views get into the volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError, GeometryError
from taskct.geometry import Grid, bi_planar
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.learned.biplanar.view_lifting import Lifting

GRID = Grid((16, 16, 16), 12.0)


def radiographs(*angles_deg: float, cols: int = 16) -> Projector:
    """Views from some angles that see the whole grid."""
    beam = bi_planar(
        cols=cols, rows=16, pixel_mm=24.0 * 16 / cols, source_iso_mm=1000, source_detector_mm=1500, angles_deg=angles_deg
    )
    return Projector(GRID, beam)


def test_a_constant_map_is_the_same_constant_wherever_its_view_sees_the_volume() -> None:
    A = radiographs(0, 90)
    maps = torch.tensor([2.0, -3.0])[None, :, None, None, None].expand(1, 2, 2, 16, 16)
    lifted = Lifting(A).maps(maps, 1)  # (B, V, C, z, y, x)
    assert lifted.shape == (1, 2, 2, 16, 16, 16)
    assert torch.allclose(lifted[:, :, 0], torch.tensor(2.0), rtol=1e-5)
    assert torch.allclose(lifted[:, :, 1], torch.tensor(-3.0), rtol=1e-5)


@pytest.mark.parametrize("factor", [1, 2])
def test_a_pixel_lights_up_exactly_the_voxels_that_its_rays_pass(factor: int) -> None:
    A, level = radiographs(20, 110), radiographs(20, 110).coarser(factor)
    n = 16 // factor
    maps = torch.zeros(1, 1, 2, n, n)
    maps[0, 0, 1, n // 4, n // 2] = 1.0
    lifted = Lifting(A).maps(maps, factor)
    assert float(lifted[:, 0].abs().max()) == 0  # the other view shows nothing
    voxels = torch.eye(n**3).reshape(n**3, 1, n, n, n)
    passed = level(voxels)[:, 0, 1, n // 4, n // 2] > 0
    assert torch.equal(lifted[0, 1, 0].flatten() > 0, passed)


def test_radiographs_come_back_as_mean_attenuation_along_their_rays() -> None:
    A = radiographs(0, 90)
    mu = torch.full((1, 1, 16, 16, 16), 0.02)
    assert torch.allclose(Lifting(A).images(A(mu))[:, :, 4:12, 4:12, 4:12], torch.tensor(0.02), rtol=2e-2)


@pytest.mark.parametrize("angles", [(0, 90), (180, 270), (5, 275), (90, 0)])
def test_repeated_maps_stand_where_their_view_shows_them_whichever_side_it_comes_from(angles: tuple[float, float]) -> None:
    A = radiographs(*angles)
    mu = torch.zeros(1, 1, 16, 16, 16)
    mu[0, 0, 4:6, 6:8, 10:12] = 1.0
    copies = Lifting(A).repeated(A(mu), GRID.shape)[0, :, 0]  # (V, z, y, x)
    common = copies[0] * copies[1]  # where both views have something
    peak = np.unravel_index(int(common.argmax()), common.shape)
    assert all(abs(found - true) <= 1.5 for found, true in zip(peak, (4.5, 6.5, 10.5), strict=True))
    for copy in copies:  # along one axis it is all the same
        assert any(torch.equal(copy, copy.select(axis, 0).unsqueeze(axis).expand_as(copy)) for axis in range(3))


def test_each_image_of_a_batch_has_its_own_geometry() -> None:
    A = [radiographs(0, 90), radiographs(180, 270)]
    p = torch.rand(2, 1, 2, 16, 16)
    together = Lifting(Projectors(A))
    for i, one in enumerate(A):
        alone = Lifting(one)
        assert torch.equal(together.repeated(p, GRID.shape)[i], alone.repeated(p[i : i + 1], GRID.shape)[0])
        assert torch.equal(together.images(p)[i], alone.images(p[i : i + 1])[0])


def test_the_released_geometry_is_nearly_parallel_and_ever_more_so_at_coarser_levels() -> None:
    beam = bi_planar(cols=128, rows=128, pixel_mm=3.0, source_iso_mm=1000, source_detector_mm=1500)
    lifting = Lifting(Projector(Grid((128, 128, 128), 1.5), beam), "released")
    half_cones = []
    for factor in (1, 2, 16):
        poses = lifting.at(factor).poses
        reach = np.linalg.norm(poses.detector_mm[0] - poses.source_mm[0])
        half_cones.append(float(np.rad2deg(np.arctan(poses.cols / 2 * np.linalg.norm(poses.col_step_mm[0]) / reach))))
    assert half_cones == pytest.approx([3.05, 1.53, 0.19], abs=0.01)  # of the released code, by hand


def test_maps_of_another_detector_are_resampled_for_the_released_geometry_and_other_views_refused() -> None:
    A = radiographs(0, 90, cols=32)
    assert Lifting(A, "released").images(torch.rand(2, 1, 2, 16, 32)).shape == (2, 2, 16, 16, 16)
    with pytest.raises(GeometryError, match="these views are 3, the geometry has 2"):
        Lifting(A).maps(torch.rand(1, 1, 3, 16, 32), 1)
    with pytest.raises(ConfigError, match="did you mean 'true'"):
        Lifting(A, "tru")
