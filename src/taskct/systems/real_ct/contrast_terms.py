"""The two terms of the objective: the error of the image, and how much of a lesion's contrast reaches the image."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.training.batch import Batch

_PER_HU = 10.0
_SEEN_AT = 3.0  # signal-to-noise ratio at which a lesion counts half
_WORST = 4.0  # gains beyond it are cut: single lesions must not carry a step


def image_error(batch: Batch) -> Tensor:
    """Mean squared error in HU^2 over 10 x the noise of each patch: between the absolute and the relative error."""
    error = _image(batch) - batch.targets["truth_hu"]
    noise = batch.targets["noise_hu"].mean((1, 2, 3), keepdim=True)
    return (error.square() / (_PER_HU * noise)).mean()


def lost_contrast(batch: Batch) -> Tensor | None:
    """Mean of (gain - 1)^2 over the lesions of the batch; None where it holds none.

    The gain of a lesion L is <L, y' - y> / <L, L>: y' and y are the images with the lesion and without, of scans with the same
    noise. So noise cannot pass for contrast, and shrinking it pays nothing. A lesion counts d^2 / (d^2 + 9) with
    d = |L| / noise, its signal-to-noise ratio for white noise: what the scan does not hold is not asked for.
    """
    added, lesion = batch.targets["added_hu"], batch.targets["lesion"]
    pairs = len(added)
    if not bool(lesion.any()):
        return None
    y = _image(batch)
    change = y[-pairs:] - y[-2 * pairs : -pairs]
    most = int(lesion.max())
    one_of = (lesion.flatten(1) + (most + 1) * torch.arange(pairs, device=lesion.device)[:, None]).flatten()
    total = lambda x: x.new_zeros(pairs * (most + 1)).index_add(0, one_of, x.flatten()).view(pairs, most + 1)[:, 1:]
    power = total(added.square())
    there = power > 0
    gain = total(added * change) / power.clamp_min(1e-6)
    noise = batch.targets["noise_hu"][-pairs:].mean((1, 2, 3))[:, None]
    seen = power / noise.square()
    weight = torch.where(there, seen / (seen + _SEEN_AT**2), torch.zeros_like(seen))
    return (weight * (gain - 1).square().clamp_max(_WORST)).sum() / weight.sum().clamp_min(1e-6)


def mean_gain(batch: Batch) -> dict[str, float]:
    """For validation: RMS error in HU, and the gain of all lesions together."""
    pairs, y = len(batch.targets["added_hu"]), _image(batch)
    added = batch.targets["added_hu"]
    change = y[-pairs:] - y[-2 * pairs : -pairs]
    error = (y - batch.targets["truth_hu"]).square().mean((1, 2, 3)).sqrt().mean()
    return {"rmse_hu": float(error), "gain": float((added * change).sum() / added.square().sum().clamp_min(1e-6))}


def _image(batch: Batch) -> Tensor:
    answer = batch.answers["image_hu"]
    assert isinstance(answer, Tensor)
    return answer
