"""Whether a spread means what it says: reliability curve, coverage, and one factor fitted on cases of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from taskct.core.errors import InputError

_LEAST_SHARE = 0.02  # of the largest spread: below it a voxel hardly varies and says nothing of the spread


@dataclass(frozen=True)
class Reliability:
    """Spread against error: `spread[k]` and `error[k]` are root mean squares of bin k of voxels with similar spread.

    `ratio` is the root mean square error over the root mean square spread, 1 when calibrated; `within` the share of voxels
    whose error is below one and below two spreads (0.683 and 0.954 for a normal error).
    """

    spread: tuple[float, ...]
    error: tuple[float, ...]
    ratio: float
    within: tuple[float, float]
    voxels: int

    def calibrated(self, tolerance: float = 0.1) -> bool:
        """Whether error and spread agree within a share `tolerance`."""
        return bool(abs(self.ratio - 1) <= tolerance)


def reliability(spread: Tensor, mu: Tensor, truth: Tensor, *, bins: int = 10) -> Reliability:
    """The reliability curve of `spread` (any shape, the unit of mu): voxels sorted by spread into `bins` of equal number.

    Voxels with less than 2 % of the largest spread (air about the patient) take no part.

    >>> import torch
    >>> g = torch.Generator().manual_seed(0)
    >>> wide = torch.linspace(1, 3, 20000)
    >>> round(reliability(wide, wide * torch.randn(20000, generator=g), torch.zeros(20000)).ratio, 1)
    1.0
    """
    if spread.shape != mu.shape or mu.shape != truth.shape:
        raise InputError(
            f"reliability expects spread, mu and truth of one shape, got {tuple(spread.shape)}, {tuple(mu.shape)} and "
            f"{tuple(truth.shape)}"
        )
    wide, error = spread.double().flatten(), (mu.double() - truth.double()).abs().flatten()
    if not bool((wide >= 0).all()):
        raise InputError("reliability expects a spread of at least 0 everywhere")
    keep = wide > _LEAST_SHARE * wide.max()
    wide, error = wide[keep], error[keep]
    if len(wide) < bins:
        raise InputError(f"reliability expects at least {bins} voxels with a spread above 0, got {len(wide)}")
    order = wide.argsort()
    rms = lambda v: [math.sqrt(float(np.mean(part**2))) for part in np.array_split(v.numpy(), bins)]
    ratio = (error.square().mean() / wide.square().mean()).sqrt()
    return Reliability(
        tuple(rms(wide[order])),
        tuple(rms(error[order])),
        float(ratio),
        (float((error <= wide).double().mean()), float((error <= 2 * wide).double().mean())),
        len(wide),
    )


def spread_factor(spread: Tensor, mu: Tensor, truth: Tensor) -> float:
    """The factor by which `spread` must be multiplied so that its root mean square is that of the error.

    Fit it on cases that neither the method nor the test has seen; the same voxels count as in `reliability`.
    """
    return reliability(spread, mu, truth, bins=1).ratio


def ensemble_spread(members: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (n - 1) over the members of an ensemble, (M, B, 1, Z, Y, X) -> twice (B, 1, Z, Y, X)."""
    if len(members) < 2:
        raise InputError(f"ensemble_spread expects at least two members, got {len(members)}")
    return members.mean(0), members.std(0)
