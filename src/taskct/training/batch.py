"""What a training step knows: the record that every term of an objective receives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch: full-dose `mu` (B, 1, ...) in 1/mm, its `labels` (B, ...), the noisy scan `p`, the reconstruction `mu_hat`.

    `ids` name the images, `step` is the training step. What a term does not need may be None.
    """

    mu: Tensor
    ids: tuple[str, ...]
    labels: Tensor | None = None
    p: Tensor | None = None
    mu_hat: Tensor | None = None
    step: int = 0

    def with_image(self, mu_hat: Tensor) -> Batch:
        """The same batch with its reconstruction."""
        return replace(self, mu_hat=mu_hat)

    @property
    def image(self) -> Tensor:
        """The reconstruction; it must have been made."""
        assert self.mu_hat is not None
        return self.mu_hat


Term = Callable[[Batch], Tensor]
"""A part of an objective: a batch with its reconstruction -> a scalar, smaller for better."""
