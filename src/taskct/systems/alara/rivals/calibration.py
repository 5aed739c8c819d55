"""Is what was predicted before the scan what came out of it?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import InputError


@dataclass(frozen=True)
class Calibration:
    """Predicted against achieved quality: achieved = intercept + slope * predicted, 1 and 0 when calibrated.

    `bias` is the mean of achieved minus predicted, `rms` the RMS of it, `correlation` Pearson's.
    """

    slope: float
    intercept: float
    bias: float
    rms: float
    correlation: float
    count: int

    def __str__(self) -> str:
        return (
            f"achieved minus predicted {self.bias:+.3g} on average, RMS {self.rms:.3g}; slope {self.slope:.2f}, "
            f"correlation {self.correlation:.2f}, {self.count} patients"
        )


def calibration(predicted: np.ndarray, achieved: np.ndarray) -> Calibration:
    """Agreement of two lists of numbers of the same patients; pairs that are not defined are left out.

    >>> calibration(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5])).bias
    0.5
    """
    if predicted.shape != achieved.shape or predicted.ndim != 1:
        raise InputError(f"calibration expects two lists of one length, got {predicted.shape} and {achieved.shape}")
    keep = np.isfinite(predicted) & np.isfinite(achieved)
    x, y = predicted[keep], achieved[keep]
    if len(x) < 2:
        raise InputError(f"calibration expects two patients or more, got {len(x)}")
    varies = x.std() > 0
    slope = float(np.cov(x, y, ddof=0)[0, 1] / x.var()) if varies else math.nan
    intercept = float(y.mean() - slope * x.mean())
    correlation = float(np.corrcoef(x, y)[0, 1]) if varies and y.std() > 0 else math.nan
    error = y - x
    return Calibration(slope, intercept, float(error.mean()), float(np.sqrt((error**2).mean())), correlation, len(x))
