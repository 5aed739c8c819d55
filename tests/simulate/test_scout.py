"""A scout needs views from the front and from the side, to ten degrees."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import GeometryError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.simulate.noisy_scan import add_noise
from taskct.simulate.scout import SCOUT_PHOTONS, scout_share, scout_views, smooth_scout


def scan(start_deg: float, views: int = 2) -> Projector:
    return Projector(Grid((8, 8), 1.0), ParallelBeam(views=views, cols=12, pixel_mm=1.0, start_deg=start_deg))


def test_the_views_nearest_to_front_and_side_are_taken() -> None:
    assert scout_views(scan(9.9)) == (0, 1)
    assert scout_views(scan(-9.9)) == (0, 1)
    assert scout_views(scan(85.0)) == (1, 0)
    assert scout_views(scan(0.0, views=180)) == (0, 90)


def test_views_more_than_ten_degrees_off_are_no_scout() -> None:
    with pytest.raises(GeometryError, match="none is within 10 degrees of the front"):
        scout_views(scan(10.1))


def test_the_longest_path_of_a_smoothed_scout_is_near_the_truth_where_that_of_a_noisy_one_is_too_long() -> None:
    axis = torch.linspace(-1, 1, 128)
    chord = 8.0 * (1 - axis**2 / 0.8).clamp_min(0).sqrt()  # 8 mean free paths in the middle: 22 of 65,536 photons arrive
    lines = chord.expand(2, 200, 128)
    noisy = add_noise(lines.flatten(0, 1)[None, None], Dose(SCOUT_PHOTONS), seed=0, items=["scout"])[0, 0].reshape(lines.shape)
    longest = lambda scout: float(scout.amax(-1).mean())
    raw, smooth = longest(noisy) - 8.0, longest(smooth_scout(noisy)) - 8.0
    assert raw > 0.3 and abs(smooth) < 0.3 * raw  # the rule a = 1 would pay exp(0.3) for the maximum of the noise
    assert float((smooth_scout(lines) - lines)[..., 50:78].abs().max()) < 0.02  # and a body's course stays


def test_smoothing_averages_counts_and_keeps_the_edges() -> None:
    scout = -torch.tensor([4.0, 2.0, 6.0, 8.0]).log()
    found = smooth_scout(scout, 3)
    assert torch.allclose(found, -torch.tensor([3.0, 4.0, 16 / 3, 7.0]).log())
    assert smooth_scout(scout, 1) is scout
    with pytest.raises(GeometryError, match="odd number of columns"):
        smooth_scout(scout, 2)


def test_the_dose_of_a_scout_is_shared_out_over_the_views_of_the_scan() -> None:
    assert scout_share(1000.0, 160) == 12.5 and scout_share(None, 160) == 0.0
