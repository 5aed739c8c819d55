"""A scan piece by piece: what is computed in float64 for a few views at a time needs no float64 copy of the scan.

Draws are those that the whole scan would get: torch fills a tensor of normal draws from left to right, sixteen at a time, and
makes the last sixteen anew where the size is not a multiple of that. So every piece but the last is a multiple of sixteen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

_PIECE = 2**15  # values, 256 kB in float64: temporaries stay in the cache
_LANES = 16  # of torch's normal draws on a CPU


def pieces_of_views(shape: tuple[int, ...]) -> Iterator[slice]:
    """Runs of views of one image (V, ...) whose sizes are multiples of 16 values, the last one not too small.

    >>> list(pieces_of_views((5, 2**14)))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    views, per_view = shape[0], math.prod(shape[1:])
    whole = _LANES // math.gcd(per_view, _LANES)
    step = max(whole, _PIECE // max(per_view, 1) // whole * whole)
    first = 0
    while first < views:
        last = first + step
        if (views - last) * per_view < max(_LANES, _PIECE // 2):
            last = views
        yield slice(first, last)
        first = last


class NormalDraws:
    """Standard normal draws for one image after the other, in float64, as `torch.randn` of the whole image makes them.

    Draws on a CPU come in the pieces in which they are asked for; draws on another device are made for the whole image and
    kept. `read_out=True` draws a second set, which in the stream follows the first.
    """

    def __init__(self, shape: tuple[int, ...], stream: torch.Generator, *, read_out: bool = False) -> None:
        self.shape, self.stream = shape, stream
        self._whole: list[Tensor] = []
        if stream.device.type != "cpu" or len(list(pieces_of_views(shape))) == 1:
            self._whole = [self._drawn(shape, stream) for _ in range(1 + read_out)]
        elif read_out:
            self._second = torch.Generator()
            self._second.set_state(stream.get_state())
            for views in pieces_of_views(shape):
                self._drawn((_length(views), *shape[1:]), self._second)

    def __iter__(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """(views, draws, draws of the read-out or None) for the pieces of the image; leaves the stream behind all of them."""
        for views in pieces_of_views(self.shape):
            if self._whole:
                yield views, self._whole[0][views], self._whole[1][views] if len(self._whole) > 1 else None
                continue
            size = (_length(views), *self.shape[1:])
            second = self._drawn(size, self._second) if hasattr(self, "_second") else None
            yield views, self._drawn(size, self.stream), second
        if hasattr(self, "_second"):
            self.stream.set_state(self._second.get_state())

    @staticmethod
    def _drawn(size: tuple[int, ...], stream: torch.Generator) -> Tensor:
        return torch.randn(size, dtype=torch.float64, device=stream.device, generator=stream)


def normal_draws(like: Tensor, streams: Sequence[torch.Generator]) -> Tensor:
    """Standard normal draws of the shape, dtype and device of a scan (B, 1, V, ...), in float64 from one stream per image."""
    draws = torch.empty(like.shape, dtype=like.dtype, device=like.device)
    for image, stream in zip(draws, streams, strict=True):
        flat = image.flatten(0, 1)
        for views, z, _ in NormalDraws(tuple(flat.shape), stream):
            flat[views] = z.to(like.device)
    return draws


def by_views(what: Callable[..., Tensor], p: Tensor, *others: Tensor) -> Tensor:
    """what(p, *others), ray by ray, for a few views at a time when no gradient is asked for; all have the dims of p."""
    every = (p, *others)
    if torch.is_grad_enabled() and any(one.requires_grad for one in every):
        return what(*every)
    of = lambda one, views: one[:, :, views] if one.shape[2] > 1 else one
    per_image = (p.shape[2], p.shape[0] * p.shape[1], *p.shape[3:])
    return torch.cat([what(*(of(one, views) for one in every)) for views in pieces_of_views(per_image)], dim=2)


def _length(views: slice) -> int:
    return int(views.stop - views.start)
