"""Pictures of the surface of bone."""

from __future__ import annotations

import numpy as np
import torch

from taskct.systems.biplanar.pages.bone_rendering import render_bone


def test_a_nearer_surface_is_brighter_and_nothing_is_black() -> None:
    hu = torch.full((8, 8, 8), -1000.0)
    hu[:, 1, :3] = hu[:, 6, 5:] = 800.0  # (z, y, x): one plate in front, one behind
    picture = render_bone(hu, axis=1, scale=4)
    assert picture.shape == (32, 32) and picture.dtype == np.uint8
    middle = picture[16]
    assert middle[4] > middle[28] > 0 and middle[16] == 0


def test_the_head_stands_upright() -> None:
    hu = torch.full((8, 8, 8), -1000.0)
    hu[6:, 3, :] = 800.0  # bone at the top, where z is large
    picture = render_bone(hu, axis=1, scale=2)
    assert picture[:4].any() and not picture[-6:].any()
