"""When an iterative method stops early: each image of a batch on its own, so a batch gives what its images give alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from taskct.recon.checks import check_number

Callback = Callable[[int, Tensor], bool | None]


class Stopping:
    """Follows the residual of each image; an image rests once its residual changes by less than `tolerance` of itself.

    `callback(iteration, mu)` is called after each iteration, counted from 1, and ends the whole loop by returning True.
    """

    def __init__(self, *, tolerance: float, callback: Callback | None, who: str) -> None:
        self.tolerance = check_number(tolerance, who=who, name="tolerance", least=0.0)
        self.callback = callback
        self._last: Tensor | None = None
        self._moving: Tensor | None = None

    def moving(self, residual: Tensor) -> Tensor | bool:
        """Which images go on, as a mask (B, 1, 1, ...); True for all of them, False when none is left."""
        if self.tolerance == 0:
            return True
        size = norm(residual.detach())
        if self._last is not None:
            moves = (self._last - size).abs() > self.tolerance * self._last
            self._moving = moves if self._moving is None else self._moving & moves
        self._last = size
        if self._moving is None:
            return True
        return self._moving if bool(self._moving.any()) else False

    def asked(self, iteration: int, mu: Tensor) -> bool:
        """True when the callback wants to end."""
        return bool(self.callback is not None and self.callback(iteration, mu))


def keep_resting(new: Tensor, old: Tensor, moving: Tensor | bool) -> Tensor:
    """`new` for the images that go on, `old` for those that rest."""
    return torch.where(moving, new, old) if isinstance(moving, Tensor) else new


def norm(values: Tensor) -> Tensor:
    """Euclidean norm of each image or scan, summed in float64: (B, 1, ...) -> (B, 1, 1, ...) in float64."""
    return inner(values, values).sqrt()


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each pair of images, summed in float64: (B, 1, ...) -> (B, 1, 1, ...) in float64."""
    return (a * b).sum(dim=tuple(range(2, a.ndim)), keepdim=True, dtype=torch.float64)


def one_over(values: Tensor) -> Tensor:
    """1 / values, and 0 where values are (nearly) 0: rays beside the grid, voxels that no ray meets."""
    seen = values > 1e-6 * values.max()
    return torch.where(seen, 1 / torch.where(seen, values, torch.ones_like(values)), torch.zeros_like(values))
