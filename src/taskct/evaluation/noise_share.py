"""How much of a method's error is noise, and how much remains without any: blur, discretisation, streaks and bias.

`evaluate` reconstructs every image once from its scan without noise (dose NOISE_FREE). For a linear method and zero-mean noise
the squared errors add: E^2 = E_0^2 + E_noise^2, so that

    share of noise = 1 - E_0^2 / E^2

image by image, averaged over patients. E is the RMSE (or error SD); from a PSNR in dB the ratio is 10^((PSNR - PSNR_0) / 10).
For methods that are not linear E_0 is still what more dose cannot mend; the share may then fall below 0.
"""

from __future__ import annotations

import math

from taskct.evaluation.rows import ALL, NOISE_FREE, DoseLevel
from taskct.evaluation.statistics import Interval, bootstrap_mean
from taskct.evaluation.table import Table

ERRORS_HU = ("rmse_hu", "noise_sd_hu")  # metrics whose squares add


def has_noise_share(table: Table, metric: str) -> bool:
    """Whether the table holds noise-free rows of a metric whose squared error is known."""
    return table.noise_free and (metric in ERRORS_HU or table.label(metric)["unit"] == "dB")


def noise_free_mean(table: Table, metric: str, method: str) -> Interval | None:
    """Mean of a metric over the noise-free reconstructions of a method; None where there is none."""
    found = table.select(metric, method, NOISE_FREE)
    return bootstrap_mean([r.value for r in found], [r.patient for r in found]) if found else None


def noise_share(table: Table, metric: str, method: str, dose: DoseLevel | float, *, region: str = ALL) -> Interval | None:
    """Share of the squared error that is noise, 0 to 1; None where the table cannot tell.

    >>> from taskct.evaluation.rows import Row
    >>> rows = [Row("fbp", "a", "a", 0, 1.0, n, "rmse_hu", "all", v) for n, v in ((1e5, 5.0), (math.inf, 4.0))]
    >>> round(noise_share(Table(rows), "rmse_hu", "fbp", DoseLevel(1.0, 1e5)).mean, 3)  # 1 - 16 / 25
    0.36
    """
    if not has_noise_share(table, metric):
        return None
    free = {(r.case, r.item): r.value for r in table.select(metric, method, NOISE_FREE, region=region)}
    rows = [r for r in table.select(metric, method, dose, region=region) if (r.case, r.item) in free]
    if not rows:
        return None
    shares = [1 - _squared_ratio(metric, free[r.case, r.item], r.value) for r in rows]
    return bootstrap_mean(shares, [r.patient for r in rows])


def _squared_ratio(metric: str, free: float, noisy: float) -> float:
    """E_0^2 / E^2; NaN where there is no error to share."""
    if metric in ERRORS_HU:
        return (free / noisy) ** 2 if noisy > 0 else math.nan
    return 10 ** ((noisy - free) / 10) if math.isfinite(noisy) else math.nan
