"""Objectives whose weights follow from the training itself: by the size of gradients, or learnt as uncertainties."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.training.batch import Batch, Term
from taskct.training.objective import Objective
from taskct.training.processes import mean_where_known


def the_image(batch: Batch) -> Tensor:
    """The reconstruction: where a reconstruction and its readers meet."""
    return batch.image


class Balanced(Objective):
    """Gradient-norm balancing: {name: term}, the first one is the reference, the others share `share` of the pull.

    The weights w_i of the others hold |w_i grad term_i| = share / (1 - share) / count * |grad reference|, gradients with
    respect to the tensor, or the list of tensors, that `at(batch)` returns: the reconstruction, or the maps that the heads of
    a network share (`at=lambda batch: batch.answers["encoder"]`). They are measured every `every` steps and smoothed by
    `momentum`.
    """

    def __init__(
        self,
        terms: Mapping[str, Term],
        *,
        share: float = 0.5,
        every: int = 10,
        momentum: float = 0.8,
        at: Callable[[Batch], Tensor | Sequence[Tensor]] = the_image,
    ) -> None:
        super().__init__({name: (1.0, term) for name, term in terms.items()})
        if len(terms) < 2 or not 0 < share < 1 or every < 1 or not 0 <= momentum < 1:
            raise ConfigError(
                f"Balanced expects two terms or more, 0 < share < 1, every >= 1 and 0 <= momentum < 1, got {list(terms)}, "
                f"{share}, {every}, {momentum}"
            )
        self.share, self.every, self.momentum, self.at = share, every, momentum, at
        self.reference, *self.others = terms
        self._found: dict[str, float] = {}
        self._pending: dict[str, float] = {}

    def commit(self, parts: Mapping[str, Tensor]) -> None:
        """Smooth the weights that the step has measured into those that hold."""
        for name, value in self._pending.items():
            old = self._found.get(name, value)
            self._found[name] = self.momentum * old + (1 - self.momentum) * value
        self._pending = {}

    def logged(self, step: int) -> dict[str, float]:
        """The weights that hold."""
        return {f"weight/{name}": value for name, value in self._found.items()}

    def memory(self) -> dict[str, Any]:
        """The weights that hold."""
        return dict(self._found)

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take them back."""
        self._found = {name: float(value) for name, value in memory.items()}

    def merit(self, values: Mapping[str, float], step: int) -> float:
        """With the weights that hold now."""
        return values.get(self.reference, 0.0) + sum(self._found.get(n, 1.0) * values[n] for n in self.others if n in values)

    def _total(self, values: Mapping[str, Tensor], batch: Batch) -> Tensor:
        if batch.step % self.every == 0 and torch.is_grad_enabled():
            points = [point] if isinstance(point := self.at(batch), Tensor) else list(point)
            if all(one.requires_grad for one in points):
                self._pending = self._measure(values, points)
        weights = {**self._pending, **self._found}
        others = [weights.get(n, 1.0) * values[n] for n in self.others if n in values]
        total = values.get(self.reference, batch.mu.new_zeros(()))
        return total + torch.stack(others).sum() if others else total

    def _measure(self, values: Mapping[str, Tensor], points: Sequence[Tensor]) -> dict[str, float]:
        norms = {}
        for name, value in values.items():
            pulls = torch.autograd.grad(value, points, retain_graph=True, allow_unused=True)
            norms[name] = torch.stack([g.float().norm() for g in pulls if g is not None] or [value.new_zeros(())]).norm()
        sizes = mean_where_known(norms, [self.reference, *self.others])
        if self.reference not in sizes:
            return {}
        wanted = self.share / (1 - self.share) / len(self.others) * sizes.pop(self.reference)
        found = {name: wanted / size for name, size in sizes.items() if size > 0}
        return {n: w for n, w in found.items() if math.isfinite(w)}


class Uncertain(Objective):
    """Weights learnt as uncertainties: sum of (exp(-s_i) term_i + s_i) / 2, one s_i = ln sigma_i^2 for each term, 0 at first.

    Source: Kendall, Gal and Cipolla, CVPR 2018 (arXiv 1705.07115), eq. 7. The s_i learn with the rate of readers in joint
    training (`reader_lr`). Validation compares the plain sum, which does not change its meaning while they move.
    """

    def __init__(self, terms: Mapping[str, Term]) -> None:
        super().__init__({name: (1.0, term) for name, term in terms.items()})
        if len(terms) < 2:
            raise ConfigError(f"Uncertain weighs two terms or more against each other, got {list(terms)}")
        self.log_variances = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in terms})

    def trained_terms(self) -> dict[str, nn.Module]:
        """Readers that learn along, and the uncertainties."""
        return {**super().trained_terms(), "uncertainty": self.log_variances}

    def logged(self, step: int) -> dict[str, float]:
        """The weights exp(-s) / 2."""
        return {f"weight/{name}": float((-s.detach()).exp() / 2) for name, s in self.log_variances.items()}

    def _total(self, values: Mapping[str, Tensor], batch: Batch) -> Tensor:
        s = self.log_variances
        return torch.stack([((-s[name]).exp() * value + s[name]) / 2 for name, value in values.items()]).sum()
