"""The type of a reconstructor: any callable `(p, A) -> mu`, from a function to a trained network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from taskct.physics.projector import Projector

Reconstructor = Callable[[Tensor, Projector], Tensor]
"""Projections p (B, 1, V, C) or (B, 1, V, R, C) and the Projector that made them -> mu (B, 1, *grid.shape) in 1/mm."""
