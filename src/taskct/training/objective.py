"""Objectives: named weighted terms whose sum is trained for, each logged under its name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.training.batch import Batch, Term
from taskct.training.processes import mean_where_known
from taskct.training.schedules import Complement, Weight, weight_at


class Objective(nn.Module):
    """`objective(batch)` -> (sum of weight * term, {name: value}). `terms` is {name: (weight, term)}.

    A weight is a number or a function of the step (`WarmUp`). A term whose weight is 0 in a step is not computed then. A term
    that returns None, because nothing of the batch is labelled for it, counts 0 and is left out of the values.

    >>> objective = Objective({"image": (0.5, lambda batch: batch.image.square().mean())})
    >>> total, parts = objective(Batch(mu=torch.ones(1, 1, 2, 2), ids=("a",), mu_hat=torch.full((1, 1, 2, 2), 2.0)))
    >>> total, parts["image"]
    (tensor(2.), tensor(4.))
    """

    def __init__(self, terms: Mapping[str, tuple[Weight, Term]]) -> None:
        super().__init__()
        if not terms:
            raise ConfigError("an objective expects at least one term: {name: (weight, term)}")
        self.weights: dict[str, Weight] = {}
        self.terms: dict[str, Term] = {}
        self.modules_ = nn.ModuleDict()
        for name, pair in terms.items():
            if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[1])):
                raise ConfigError(f"objective: {name!r} expects (weight, term), got {pair!r}")
            if not name or "." in name or "/" in name:
                raise ConfigError(f"objective: a term's name has no dots or slashes, got {name!r}")
            weight, term = pair
            if not callable(weight) and not (isinstance(weight, int | float) and 0 <= weight < math.inf):
                raise ConfigError(f"objective: the weight of {name!r} is a number of 0 or more, got {weight!r}")
            self.weights[name], self.terms[name] = weight, term
            if isinstance(term, nn.Module):
                self.modules_[name] = term

    @property
    def needs_labels(self) -> bool:
        """Whether a term of it does."""
        return any(getattr(t, "needs_labels", False) for t in self.terms.values())

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum and detached parts of a batch; 0 and no parts where nothing of it is labelled."""
        values = self._values(batch, batch.step)
        total = self._total(values, batch) if values else batch.mu.new_zeros(())
        return total, {name: value.detach() for name, value in values.items()}

    def measure(self, batch: Batch, *, final_step: int) -> dict[str, float]:
        """Parts and "total" as numbers, with the weights of `final_step`, so that values of different steps compare.

        Empty where nothing of the batch is labelled.
        """
        with torch.no_grad():
            values = {name: float(value) for name, value in self._values(batch, final_step).items()}
        return {**values, "total": self.merit(values, final_step)} if values else {}

    def sizes(self, batch: Batch) -> dict[str, int]:
        """How many images of a batch each term speaks of: by these the means of validation are weighted."""
        return {name: count(batch) for name, term in self.terms.items() if (count := getattr(term, "count", None)) is not None}

    def merit(self, values: Mapping[str, float], step: int) -> float:
        """One number for a set of parts: what validation compares. Parts that are not known count 0."""
        return sum(weight_at(self.weights[name], step) * value for name, value in values.items())

    def commit(self, parts: Mapping[str, Tensor]) -> None:
        """Called after each step that was taken, with its parts."""

    def logged(self, step: int) -> dict[str, float]:
        """Weights that change, for the metrics."""
        return {f"weight/{name}": weight_at(w, step) for name, w in self.weights.items() if callable(w)}

    def memory(self) -> dict[str, Any]:
        """What it has learnt on the way, as plain values, for an exact resume."""
        return {}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take back what `memory` gave."""

    def trained_terms(self) -> dict[str, nn.Module]:
        """Terms with weights that move: the readers of joint training."""
        return {n: m for n, m in self.modules_.items() if any(p.requires_grad for p in m.parameters())}

    def _values(self, batch: Batch, step: int) -> dict[str, Tensor]:
        values = {}
        for name, term in self.terms.items():
            if callable(self.weights[name]) and weight_at(self.weights[name], step) == 0:
                continue
            value = term(batch)
            if value is None:
                continue
            if value.ndim:
                raise ConfigError(
                    f"objective: term {name!r} gave shape {tuple(value.shape)}, expected a scalar; take its mean"
                )
            values[name] = value.float()
        return values

    def _total(self, values: Mapping[str, Tensor], batch: Batch) -> Tensor:
        parts = [weight_at(self.weights[name], batch.step) * value for name, value in values.items()]
        return torch.stack(parts).sum()


class Constrained(Objective):
    """The least of one term subject to bounds on others, by an augmented Lagrangian.

        min f   subject to   g_i = term_i - bound_i <= 0
        L = f + sum_i (max(0, l_i + rho g_i)^2 - l_i^2) / (2 rho),      l_i <- max(0, l_i + rate * mean g_i)

    `least` is (name, term), `subject_to` {name: (bound, term)}. The multipliers l_i grow while a bound is broken and fall
    back to 0 where it holds with room; g is smoothed over some 20 batches first. (Nocedal and Wright, Numerical
    Optimization, section 17.4.) A bound that cannot be met makes its multiplier grow up to `largest`.
    """

    def __init__(
        self,
        least: tuple[str, Term],
        subject_to: Mapping[str, tuple[float, Term]],
        *,
        rho: float = 1.0,
        rate: float = 0.02,
        largest: float = 100.0,
    ) -> None:
        name, term = least
        super().__init__({name: (1.0, term), **{n: (1.0, t) for n, (_, t) in subject_to.items()}})
        if not subject_to or name in subject_to:
            raise ConfigError(f"Constrained expects bounds on terms other than {name!r}, got {list(subject_to)}")
        if not (rho > 0 and rate > 0 and largest > 0):
            raise ConfigError(f"Constrained expects rho, rate and largest > 0, got {rho}, {rate}, {largest}")
        self.least, self.bounds = name, {n: float(b) for n, (b, _) in subject_to.items()}
        self.rho, self.rate, self.largest = rho, rate, largest
        self._multiplier = dict.fromkeys(self.bounds, 0.0)
        self._excess: dict[str, float] = {}

    def commit(self, parts: Mapping[str, Tensor]) -> None:
        """Move the multipliers by the smoothed excess over the bounds."""
        for name, value in mean_where_known(parts, list(self.bounds)).items():
            now = value - self.bounds[name]
            self._excess[name] = 0.95 * self._excess.get(name, now) + 0.05 * now
            moved = self._multiplier[name] + self.rate * self._excess[name]
            self._multiplier[name] = min(self.largest, max(0.0, moved))

    def logged(self, step: int) -> dict[str, float]:
        """The multipliers."""
        return {f"multiplier/{name}": value for name, value in self._multiplier.items()}

    def memory(self) -> dict[str, Any]:
        """Multipliers and smoothed excess."""
        return {"multiplier": dict(self._multiplier), "excess": dict(self._excess)}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take them back."""
        self._multiplier = {n: float(v) for n, v in memory["multiplier"].items()}
        self._excess = {n: float(v) for n, v in memory["excess"].items()}

    def merit(self, values: Mapping[str, float], step: int) -> float:
        """The least term plus ten times what exceeds the bounds: comparable while the multipliers move."""
        return values.get(self.least, 0.0) + 10 * sum(max(0.0, values[n] - b) for n, b in self.bounds.items() if n in values)

    def _total(self, values: Mapping[str, Tensor], batch: Batch) -> Tensor:
        total = values.get(self.least, batch.mu.new_zeros(()))
        for name, bound in self.bounds.items():
            if name not in values:
                continue
            multiplier = self._multiplier[name]
            pull = (multiplier + self.rho * (values[name] - bound)).clamp_min(0)
            total = total + (pull.square() - multiplier**2) / (2 * self.rho)
        return total


def additive(image: Term, task: Term, *, alpha: Weight) -> Objective:
    """L = image + alpha * task (Sefercioglu et al., arXiv 2511.07094, in one of its two readings)."""
    return Objective({"image": (1.0, image), "task": (alpha, task)})


def convex(image: Term, task: Term, *, alpha: Weight) -> Objective:
    """L = (1 - alpha) * image + alpha * task, 0 <= alpha <= 1 (the other reading; Adler et al. 2022)."""
    if not callable(alpha) and not 0 <= alpha <= 1:
        raise ConfigError(f"a convex objective expects 0 <= alpha <= 1, got {alpha!r}; additive takes any alpha >= 0")
    keep = Complement(alpha) if callable(alpha) else 1.0 - alpha
    return Objective({"image": (keep, image), "task": (alpha, task)})


def as_objective(objective: Objective | Mapping[str, tuple[Weight, Term]]) -> Objective:
    """A dict of named terms as an Objective; an Objective as it is."""
    return objective if isinstance(objective, Objective) else Objective(objective)
