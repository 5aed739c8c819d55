"""Maps of the noise: how much an image scatters around each pixel, in HU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from taskct.recon.learned.noise_map import bends

SIDE_MM = 10.0  # of the square around each pixel


def noise_map(hu: Tensor, spacing_mm: tuple[float, float], truth_hu: Tensor | None = None) -> Tensor:
    """Local SD of an image (Y, X) in HU within squares of 10 mm, at least 5 pixels wide -> (Y, X), float32.

    With `truth_hu` it is the SD of the difference: noise and artefacts, without anatomy. Without a truth, second differences
    (`bends`) remove anatomy (Immerkaer, Computer Vision and Image Understanding 64:300, 1996, eq. 3). That formula is for
    white noise, so on CT, whose noise is correlated, the map shows where noise is high rather than its SD. What networks are
    given (`noise_from_image`) is scaled to ramp-filtered noise on pixels of .75 mm instead, which few displayed images have.

    >>> noisy = 20 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    >>> bool((noise_map(noisy, (1.0, 1.0))[8:-8, 8:-8].mean() - 20).abs() < 1)
    True
    """
    from scipy.ndimage import uniform_filter

    sides = [max(5, 2 * round(SIDE_MM / s / 2) + 1) for s in spacing_mm]
    if truth_hu is not None:
        off = (hu.double() - truth_hu.double()).numpy()
        mean = uniform_filter(off, sides, mode="nearest")
        found = np.sqrt(np.maximum(uniform_filter(off**2, sides, mode="nearest") - mean**2, 0))
        count = sides[0] * sides[1]
        return torch.from_numpy(found * np.sqrt(count / (count - 1))).float()
    bent = bends(hu.double()[None, None])[0, 0].abs().numpy()
    return torch.from_numpy(np.sqrt(np.pi / 2) * uniform_filter(bent, sides, mode="nearest")).float()
