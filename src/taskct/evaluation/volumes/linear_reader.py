"""A linear reader of anything: radiographs, volumes or maps of the vault -> a number or a class, in closed form.

It is the control of every claim about a task: a volume made of two radiographs holds no more than they do, so a reader of the
radiographs themselves, trained on the same patients, says how much of a score the volume added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from taskct.core.errors import InputError

FILM_SIZE = 16
_STRENGTHS = tuple(10.0**k for k in range(-3, 4))


@dataclass(frozen=True, eq=False)
class LinearReader:
    """answer = (features - mean) / scale . weights + offset, by ridge regression; `fit` makes it of examples.

    `strength` is the ridge, in units of the mean variance of the features, chosen by leave-one-out error in closed form.
    """

    mean: Tensor
    scale: Tensor
    weights: Tensor
    offset: Tensor
    strength: float

    @classmethod
    def fit(cls, features: Tensor, targets: Tensor, *, strengths: Sequence[float] = _STRENGTHS) -> LinearReader:
        """Features (N, F) and targets (N,) or (N, T), numbers, or 0 and 1 for a class -> a reader of such features.

        For a class the answer is a score (its order is what an AUC takes), not a probability. InputError for fewer than three
        examples, for NaN, and for targets that are all the same.
        """
        x, y = features.double(), targets.double().reshape(len(targets), -1)
        if x.ndim != 2 or len(x) != len(y) or len(x) < 3:
            raise InputError(
                f"LinearReader expects features (N, F) and N >= 3 targets, got {tuple(x.shape)}, {tuple(y.shape)}"
            )
        if not (bool(torch.isfinite(x).all()) and bool(torch.isfinite(y).all())):
            raise InputError("LinearReader expects finite features and targets, got NaN or infinite values")
        if bool((y == y[:1]).all(0).any()):
            raise InputError("LinearReader expects targets that differ, got the same one for all examples")
        mean = x.mean(0)
        scale = x.std(0)
        scale = torch.where(scale > 1e-9 * scale.max().clamp_min(1e-30), scale, torch.inf)  # what never varies says nothing
        z, centre = (x - mean) / scale, y.mean(0)
        gram = z @ z.T  # (N, N)
        value, vector = torch.linalg.eigh(gram)
        value = value.clamp_min(0)
        aim = vector.T @ (y - centre)
        unit = float(value.mean())
        if unit <= 0:
            raise InputError("LinearReader expects features that differ between the examples")

        def left_out(strength: float) -> float:
            shrink = value / (value + strength * unit)
            hat = (vector.square() * shrink).sum(1) + 1 / len(x)
            rest = (y - centre) - vector @ (shrink[:, None] * aim)
            return float((rest / (1 - hat).clamp_min(1e-6)[:, None]).square().mean(0).div(y.var(0)).mean())

        best = min(strengths, key=left_out)
        weights = z.T @ (vector @ (aim / (value + best * unit)[:, None]))
        return cls(mean, scale, weights, centre, best)

    def __call__(self, features: Tensor) -> Tensor:
        """(N, F) -> (N, T), or (N,) for a single target; float64."""
        answer = (features.double() - self.mean) / self.scale @ self.weights + self.offset
        return answer[:, 0] if answer.shape[1] == 1 else answer


def film_features(p: Tensor, *, size: int = FILM_SIZE) -> Tensor:
    """Radiographs (B, 1, V, R, C) as features (B, V * size * size): averaged to at most `size` x `size` pixels each."""
    if p.ndim != 5 or p.shape[1] != 1:
        raise InputError(f"film_features expects radiographs (B, 1, V, R, C), got {tuple(p.shape)}")
    rows, cols = p.shape[-2:]
    return adaptive_avg_pool2d(p[:, 0], (min(size, rows), min(size, cols))).flatten(1)
