"""Which images a step takes: the same ones whichever process asks, and whenever."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.seeds import generator


class ImageOrder:
    """Which images a step takes: each once in a random order, then again in another."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, batch, seed
        self._epoch, self._order = -1, torch.empty(0)

    def take(self, step: int) -> Tensor:
        """(batch,) numbers of images.

        >>> order = ImageOrder(3, 2, seed=0)
        >>> sorted(torch.cat([order.take(0), order.take(1), order.take(2)]).tolist())
        [0, 0, 1, 1, 2, 2]
        """
        numbers = []
        for place in range(step * self.batch, (step + 1) * self.batch):
            epoch, rest = divmod(place, self.count)
            if epoch != self._epoch:
                self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator(self.seed, "order", epoch))
            numbers.append(self._order[rest])
        return torch.stack(numbers)
