"""Poisson counts as a function of one standard normal draw per count."""

from __future__ import annotations

import torch
from torch import Tensor

_SEARCH_BELOW = 16.0  # expected counts; from here on the expansion below is within `_uncertainty` of the quantile


def poisson_from_normal(expected: Tensor, z: Tensor) -> Tensor:
    """The Poisson quantile of standard normal draws: expected counts and z -> whole counts, float64, same shape.

    With z ~ Normal(0, 1) the result follows Poisson(expected) exactly: it is the smallest N whose distribution function
    reaches Phi(z). One draw makes one count, and the count rises with z and with `expected`. So the same draws give
    coupled counts at two doses, and a rounding difference in one ray cannot change the noise of the next, as it does
    in rejection samplers.

    Small means are searched, large ones come from an asymptotic expansion (Giles, ACM TOMS 42:7 (2016)); where
    that lies too near a whole number to tell, the incomplete gamma function decides.

    >>> poisson_from_normal(torch.tensor([1.0, 100.0, 100.0]), torch.tensor([0.0, 0.0, 1.0]))
    tensor([  1., 100., 110.], dtype=torch.float64)
    """
    expected, z = torch.broadcast_tensors(expected.double(), z.double())
    counts = torch.empty_like(expected)
    small = expected < _SEARCH_BELOW
    counts[small] = _search(expected[small], z[small])
    large = ~small
    counts[large] = _expand(expected[large], z[large])
    return counts


def _search(expected: Tensor, z: Tensor) -> Tensor:
    """Walk up the distribution function until it reaches Phi(z)."""
    level = torch.special.ndtr(z)
    counts = torch.zeros_like(expected)
    term = torch.exp(-expected)  # P(N = n)
    reached = term.clone()  # P(N <= n)
    n = 0
    below = reached < level
    while n < 200 and bool(below.any()):  # P(N > 200) is below 1e-100 here: the bound only guards against rounding
        counts += below
        n += 1
        term *= expected / n
        reached += term
        below &= reached < level
    return counts


def _expand(expected: Tensor, z: Tensor) -> Tensor:
    """Floor of the continuous quantile x with Q(x, expected) = Phi(z), Q being the regularised upper incomplete gamma."""
    root = expected.sqrt()
    z2 = z * z
    x = expected + root * z + (1 / 3 + z2 / 6) - z * (1 / 36 + z2 / 72) / root
    x += (-8 / 405 + 7 * z2 / 810 + z2 * z2 / 270) / expected
    nearest = x.round().clamp_min(1)
    counts = x.floor().clamp_min(0)
    close = (x - nearest).abs() <= _uncertainty(expected, z)
    if bool(close.any()):
        k, mean, draw = nearest[close], expected[close], z[close]
        # N >= k when P(N < k) = Q(k, mean) < Phi(draw); above the median by the complements, which keep their digits
        lower = torch.special.gammaincc(k, mean) < torch.special.ndtr(draw)
        upper = torch.special.gammainc(k, mean) > torch.special.ndtr(-draw)
        counts[close] = torch.where(torch.where(draw > 0, upper, lower), k, k - 1)
    return counts


def _uncertainty(expected: Tensor, z: Tensor) -> Tensor:
    """More than the error of the expansion for |z| <= 5 (found by solving for the quantile at means from 16 to 1e6)."""
    return (0.03 + 0.006 * z.abs() ** 5) * expected**-1.5
