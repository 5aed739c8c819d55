"""The type of a reconstructor: any callable `(p, A) -> mu`, from a function to a trained network.

A new method has a file of its own and is added to RECONSTRUCTORS in `taskct.recon`.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

from torch import Tensor

from taskct.physics.projector import Projector


class Reconstructor(Protocol):
    """Anything that is called as `(p, A) -> mu`: a function, a `functools.partial`, a network. Nothing has to inherit it.

    Projections p (B, 1, V, C) or (B, 1, V, R, C) and the Projector that made them -> mu (B, 1, *grid.shape) in 1/mm.
    """

    def __call__(self, p: Tensor, A: Projector, /) -> Tensor:
        """Mu of a scan."""


def without_settings(method: object) -> object:
    """The function or network behind a `functools.partial` of it; anything else as it is.

    >>> without_settings(partial(partial(print, end=""), sep=",")) is print
    True
    """
    while isinstance(method, partial):
        method = method.func
    return method
