"""Scalars drawn for one patient and one purpose: adding a draw for one organ never moves another organ."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeVar

import torch

from taskct.core.seeds import generator

T = TypeVar("T")
_BLOCK = 128


class Draws:
    """A named stream of random scalars.

    >>> Draws(7, "liver").uniform(0, 1) == Draws(7, "liver").uniform(0, 1)
    True
    """

    def __init__(self, seed: int, *names: str | int) -> None:
        self._generator = generator(seed, *names)
        self._block: list[float] = []

    def _next(self) -> float:
        if not self._block:  # one call for many numbers: a call for each costs more than the arithmetic they feed
            self._block = torch.rand(_BLOCK, generator=self._generator, dtype=torch.float64).tolist()
        return self._block.pop()

    def uniform(self, low: float, high: float) -> float:
        """One number, even over [low, high)."""
        return low + (high - low) * self._next()

    def normal(self, mean: float, std: float, low: float, high: float) -> float:
        """One number of the normal distribution truncated to [low, high]."""
        bell = NormalDist(mean, std)
        floor, ceiling = bell.cdf(low), bell.cdf(high)
        share = min(max(floor + (ceiling - floor) * self._next(), 1e-9), 1 - 1e-9)
        return min(max(bell.inv_cdf(share), low), high)

    def log_uniform(self, low: float, high: float, *, power: float = 1.0) -> float:
        """One number whose logarithm is even over [low, high]; `power` above 1 favours the low end."""
        return low * (high / low) ** (self._next() ** power)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._next() < probability

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int((high - low + 1) * self._next())

    def pick(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of `options`, in proportion to `weights`."""
        shares = list(weights) if weights is not None else [1.0] * len(options)
        mark = self._next() * sum(shares)
        for option, share in zip(options, shares, strict=True):
            mark -= share
            if mark < 0:
                return option
        return options[-1]

    def direction(self) -> tuple[float, float, float]:
        """A unit vector, even over the sphere."""
        z = self.uniform(-1, 1)
        angle = self.uniform(0, 2 * torch.pi)
        ring = (1 - z * z) ** 0.5
        return (z, ring * float(torch.sin(torch.tensor(angle))), ring * float(torch.cos(torch.tensor(angle))))
