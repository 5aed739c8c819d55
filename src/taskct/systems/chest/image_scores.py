"""How near an image comes to the truth in the window of the networks: PSNR, SSIM and the bias in HU of each image."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from taskct.evaluation.metrics import bias, ssim
from taskct.systems.chest.chest_classes import WINDOW


def image_scores(image: Tensor, truth: Tensor) -> dict[str, np.ndarray]:
    """Images (B, 1, Y, X) in units of `WINDOW` against such truths: fields of `Readings`, (B,) each.

    PSNR counts what lies beyond the window by its leak. SSIM cuts both to the window, its data range. The bias is over the
    pixels whose truth lies inside the window; NaN where there is none.
    """
    error = (image - truth).square().flatten(1).mean(1)
    inside = (truth > 0) & (truth < 1)
    return {
        "restored": (-10 * error.clamp_min(1e-12).log10()).numpy(),
        "ssim": ssim(image.clamp(0, 1), truth.clamp(0, 1), data_range=1.0).numpy(),
        "bias_hu": WINDOW.width_hu * bias(image, truth, mask=inside).numpy(),
    }
