"""The same result in another program's conventions: turned, mirrored, with views the other way round.

The object of the comparisons stands off the centre in every direction, so that no two of these look alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np


def projections_alike(p: np.ndarray) -> Iterator[np.ndarray]:
    """(V, C) or (V, R, C): either direction of views from any quarter turn, either direction of detector axes."""
    starts = (0, 1, 2, 3) if len(p) % 4 == 0 else (0,)
    for way, quarter in itertools.product((1, -1), starts):
        turned = np.roll(p[::way], quarter * len(p) // 4 + (way < 0), axis=0)
        yield from _mirrored(turned, range(1, p.ndim))


def images_alike(mu: np.ndarray) -> Iterator[np.ndarray]:
    """Every exchange and reversal of equal axes."""
    for order in itertools.permutations(range(mu.ndim)):
        turned = mu.transpose(order)
        if turned.shape == mu.shape:
            yield from _mirrored(turned, range(mu.ndim))


def _mirrored(x: np.ndarray, axes: range) -> Iterator[np.ndarray]:
    for count in range(len(axes) + 1):
        for some in itertools.combinations(axes, count):
            yield np.flip(x, some)
