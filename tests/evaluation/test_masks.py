from __future__ import annotations

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.evaluation.masks import evaluation_mask, field_of_view_mask, label_regions
from taskct.geometry import ConeBeam, FanBeam, Grid, ParallelBeam


def test_the_field_of_view_is_the_circle_that_the_detector_covers():
    grid = Grid((64, 64), 1.0)
    seen = field_of_view_mask(grid, ParallelBeam(views=4, cols=40, pixel_mm=1.0))
    y, x = grid.axes_mm()
    assert np.array_equal(seen.numpy(), np.hypot(y[:, None], x) <= 20.0)
    assert field_of_view_mask(grid, ParallelBeam(views=4, cols=96, pixel_mm=1.0)).all()


@pytest.mark.parametrize("curved", [False, True])
def test_samples_in_the_cone_fall_on_the_detector_in_every_view(curved):
    beam = ConeBeam(
        views=24,
        cols=30,
        rows=10,
        pixel_mm=2.0,
        source_iso_mm=80.0,
        source_detector_mm=160.0,
        row_offset_mm=3.0,
        curved=curved,
    )
    grid = Grid((16, 40, 40), 1.0)
    seen = field_of_view_mask(grid, beam).numpy()
    z, y, x = np.meshgrid(*grid.axes_mm(), indexing="ij")
    on_detector = np.ones(grid.shape, dtype=bool)
    for angle in np.linspace(0, 2 * np.pi, 720, endpoint=False):  # the rotation as a whole: the mask is rotation invariant
        depth = 80.0 + y * np.cos(angle) - x * np.sin(angle)
        across = x * np.cos(angle) + y * np.sin(angle)
        if curved:
            u, v = 160.0 * np.arctan2(across, depth), z * 160.0 / np.hypot(across, depth)
        else:
            u, v = across * 160.0 / depth, z * 160.0 / depth
        on_detector &= (np.abs(u) <= 30.0) & (np.abs(v - 3.0) <= 10.0)
    assert not (seen & ~on_detector).any()
    assert seen.sum() > 0.98 * on_detector.sum()  # 720 angles miss the worst one by at most a quarter of a degree


def test_the_body_is_what_attenuates_within_the_field_of_view():
    grid = Grid((32, 32), 1.0)
    beam = FanBeam(views=4, cols=40, pixel_mm=1.0, source_iso_mm=100.0, source_detector_mm=200.0)
    hu = torch.full((2, 1, 32, 32), -1000.0)
    hu[..., 10:20, 10:30] = 0.0
    body = evaluation_mask("body", grid, beam, hu)
    assert torch.equal(body, (hu > -500) & field_of_view_mask(grid, beam))
    assert evaluation_mask("none", grid, beam, hu).all()
    with pytest.raises(ConfigError, match="one of field of view, body, none"):
        evaluation_mask("circle", grid, beam, hu)


def test_regions_are_named_and_never_collide():
    labels = torch.tensor([[0, 1], [2, 3]])
    regions = label_regions(labels, {1: "liver", 2: "liver"})
    assert list(regions) == ["liver (label 1)", "liver (label 2)", "label 3"]
    assert list(label_regions(labels[1:], {1: "liver", 2: "liver", 3: "all"})) == ["liver (label 2)", "all (label 3)"]
    assert torch.equal(regions["liver (label 2)"], labels == 2)
