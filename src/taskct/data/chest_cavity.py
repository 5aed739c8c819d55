"""The part of a chest that the ribs enclose. A network that looks for lesions of the lungs errs in what it marks outside."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from taskct.data.case import Case
from taskct.data.convex_hull import convex_hull
from taskct.data.lungs import GRID_MM, Lungs, block_means, trunk, upsampled

BONE_HU = 180.0  # mean of a block of the grid; contrast medium in the heart is as dense, and lies inside
_REACH_MM = 15.0  # ribs run obliquely: slices this near hold what a slice lacks of them
_RIBS_MM = 60.0  # bone farther from the lungs belongs to an arm


def chest_cavity(case: Case, lungs: Lungs) -> Tensor:
    """Bool (Z, Y, X) on the case's samples: the convex hull of lungs and ribs in each slice.

    It holds lungs, pleurae, mediastinum and most of the ribs, however much of a lung is dense or under fluid.
    """
    from scipy.ndimage import distance_transform_edt, maximum_filter1d

    steps = [max(1, round(GRID_MM / s)) for s in case.spacing_mm]
    spacing = [s * k for s, k in zip(case.spacing_mm, steps, strict=True)]
    hu = block_means(case.hu.numpy(), steps)
    lung = block_means(lungs.mask.numpy() > 0, steps) > 0
    bone = (hu > BONE_HU) & trunk(hu)
    about = [convex_hull(one) for one in lung]
    near = np.stack([distance_transform_edt(~one, sampling=spacing[1:]) <= _RIBS_MM if one.any() else one for one in about])
    reach = 2 * round(_REACH_MM / spacing[0]) + 1
    held = maximum_filter1d((lung | (bone & near)).astype(np.uint8), reach, axis=0, mode="nearest") > 0
    inside = np.stack([convex_hull(one) for one in held]) | held
    return torch.from_numpy(upsampled(inside, steps, tuple(case.hu.shape)))
