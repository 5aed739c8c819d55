"""Slices of one volume through a method, some at a time: a 2.5D network sees the slices beside each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.physics.projector import Projector
from taskct.recon.reconstructor import without_settings


def neighbours_of(reconstruct: Callable[..., Any]) -> int:
    """How many slices on each side a method looks at; 0 for one that treats each slice alone."""
    return int(getattr(without_settings(reconstruct), "neighbours", 0))


def stacks(numbers: Sequence[int], k: int, count: int) -> list[int]:
    """Each slice with its k neighbours on both sides, of `count` in all, in one list; the ends are repeated.

    >>> stacks([0, 5], 1, 6)
    [0, 0, 1, 4, 5, 5]
    """
    return [min(max(n + shift, 0), count - 1) for n in numbers for shift in range(-k, k + 1)]


def stack_neighbours(x: Tensor, k: int) -> Tensor:
    """Slices (Z, 1, ...) -> each with k neighbours on both sides as channels, (Z, 2k + 1, ...); the ends are repeated."""
    places = torch.tensor(stacks(range(len(x)), k, len(x)), device=x.device)
    return x[places].reshape(len(x), 2 * k + 1, *x.shape[2:])


def reconstruct_slices(reconstruct: Callable[..., Tensor], p: Tensor, A: Projector, *, at_once: int) -> Iterator[Tensor]:
    """Mu of `at_once` slices of a volume after the other, p (Z, 1, V, C) in order: as if all had been given together.

    Where p already holds what a network sees beside each slice, (Z, 2k + 1, V, C), it is handed on as it is.
    """
    k = neighbours_of(reconstruct) if p.shape[1] == 1 else 0
    for first in range(0, len(p), at_once):
        last = min(first + at_once, len(p))
        if k == 0 or (first, last) == (0, len(p)):
            yield reconstruct(p[first:last], A)
            continue
        places = torch.tensor(stacks(range(first, last), k, len(p)), device=p.device)
        yield reconstruct(p[places].reshape(last - first, 2 * k + 1, *p.shape[2:]), A)


def check_neighbours(reconstruct: Callable[..., Any], numbers: Sequence[int | str], *, who: str) -> None:
    """InputError when the slices `numbers` do not show a 2.5D network what lies beside each of them."""
    k = neighbours_of(reconstruct)
    if k == 0:
        return
    whole = [n for n in numbers if isinstance(n, int)]
    apart = any(b - a != 1 for a, b in pairwise(whole))
    if apart or len(numbers) < 2 * k + 1:
        listed = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
        raise InputError(
            f"{who}: the network looks at {k} {'slice' if k == 1 else 'slices'} on each side, and got the slices {listed}; "
            f"choose {2 * k + 1} or more that follow each other"
        )
