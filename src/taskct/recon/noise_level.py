"""How noisy a scan is, read from the scan itself."""

from __future__ import annotations

import torch
from torch import Tensor

_PIECE = 2**18  # values that are looked at in float64 at a time
_NORMAL_MAD = 0.6744897501960817  # median of |x| for a standard normal x


def noise_level(p: Tensor) -> Tensor:
    """Standard deviation of the noise of each scan in p, (B, 1, V, [R,] C) -> (B, 1, 1, [1,] 1), over rays through the object.

    Second differences along the columns remove the object; their median over the views, which edges do not move, gives
    each detector pixel's noise (Donoho & Johnstone, Biometrika 81:425, 1994, the rule 0.6745). The variances
    are averaged with the pixel's mean p as weight, since the noise that matters is that of rays through the object.
    Assumes noise without correlation between columns. At least 1e-4 of the largest |p|, so never 0 for a scan.

    >>> p = 3 + 0.1 * torch.randn(1, 1, 200, 64, generator=torch.Generator().manual_seed(0))
    >>> bool((noise_level(p) - 0.1).abs() < 0.005)
    True
    """
    dtype, p = p.dtype, p.detach()
    axes = tuple(range(2, p.ndim))
    largest = torch.maximum(p.amax(axes, keepdim=True).abs(), p.amin(axes, keepdim=True).abs()).double()
    floor = torch.where(largest > 0, 1e-4 * largest, torch.ones_like(largest))
    if p.shape[-1] < 3:
        return floor.to(dtype)
    variances, means = [], []
    step = max(1, _PIECE // (p[..., 0].numel()))  # columns at a time
    for first in range(0, p.shape[-1] - 2, step):
        part = p[..., first : first + step + 2].double()
        bends = (part[..., 2:] - 2 * part[..., 1:-1] + part[..., :-2]).abs() / 6**0.5
        variances.append((bends.median(dim=2, keepdim=True).values / _NORMAL_MAD) ** 2)
        means.append(part[..., 1:-1].mean(dim=2, keepdim=True))
    variance = torch.cat(variances, dim=-1)
    through = torch.cat(means, dim=-1).clamp(min=0) + 1e-12 * floor
    level = ((variance * through).sum(axes, keepdim=True) / through.sum(axes, keepdim=True)).sqrt()
    return torch.maximum(level, floor).to(dtype)
