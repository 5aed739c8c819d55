"""Terms of an objective: callables `term(batch) -> scalar`, smaller for better reconstructions.

A term may be a module; its weights that ask for a gradient (a reader in joint training) are then trained with the model.
`needs_labels` on a term makes training refuse images without labels before it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.task import FeatureDistance, FrozenTask, SoftTeacher
from taskct.training.batch import Batch, Term

ERRORS = ("mse", "l1", "charbonnier")


class ImageError(nn.Module):
    """Error of the image against the full-dose one, in units of `unit_hu`: squared ("mse"), absolute or Charbonnier.

    An RMS error of `unit_hu` counts 1. The default, 25 HU, is about what a reconstruction trained for this error leaves at
    clinical low doses, so that the term is of order 1 like the penalties of tasks, and alpha means something.
    """

    def __init__(self, kind: str = "mse", *, unit_hu: float = 25.0, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM) -> None:
        super().__init__()
        if kind not in ERRORS:
            raise unknown_name("image error", kind, ERRORS)
        if not unit_hu > 0:
            raise ConfigError(f"ImageError expects unit_hu > 0, got {unit_hu!r}")
        self.kind, self.unit_per_mm = kind, unit_hu * mu_water_per_mm / 1000

    def forward(self, batch: Batch) -> Tensor:
        """Scalar, mean over pixels."""
        error = (batch.image.float() - batch.mu) / self.unit_per_mm
        if self.kind == "mse":
            return error.square().mean()
        return error.abs().mean() if self.kind == "l1" else (error.square() + 1e-3).sqrt().mean()


class LabelPenalty(nn.Module):
    """What a frozen task says of the reconstruction, given the labels (Sefercioglu et al., arXiv 2511.07094).

    `penalty(prediction, labels)` takes the place of the task's own: `DiceCE(weights=(1, 1, 8))` weighs the errors of the
    tumour more, those missed and, in its Dice, those falsely found, than `weights=(1, 1, 2)`.
    """

    needs_labels = True

    def __init__(self, task: FrozenTask, *, penalty: Callable[[Tensor, Any], Tensor] | None = None) -> None:
        super().__init__()
        self.task, self.penalty = task, penalty

    def forward(self, batch: Batch) -> Tensor:
        """The penalty, in float32 behind the network whatever its precision."""
        return _penalty(self.task, batch.image, checked_labels(batch), self.penalty)


class TeacherPenalty(nn.Module):
    """Divergence of a frozen task's answer from its own answer on the full-dose image: needs no labels."""

    def __init__(self, task: FrozenTask, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.task, self.divergence = task, SoftTeacher(temperature=temperature)

    def forward(self, batch: Batch) -> Tensor:
        """Scalar."""
        with torch.no_grad():
            teacher = self.task.predict(batch.mu).float()
        answer = self.task.predict(batch.image).float()
        with _full_precision(answer):
            return self.divergence(answer, teacher)


class FeaturePenalty(nn.Module):
    """Distance of a frozen task's feature maps from those of the full-dose image: needs no labels. See `FeatureDistance`."""

    def __init__(self, task: FrozenTask, *, depths: Sequence[int | str] | None = None) -> None:
        super().__init__()
        self.task, self.distance = task, FeatureDistance(task, depths=depths)

    def forward(self, batch: Batch) -> Tensor:
        """Scalar; 1 means that the maps differ as much as they vary."""
        return self.distance(batch.image, batch.mu)


class JointPenalty(nn.Module):
    """A reader that learns together with the reconstruction: the published joint training (Adler et al., Inverse Problems
    38:075006 (2022)), needs labels.

    `net`, `prepare` and `penalty` as in `FrozenTask`, but the weights of `net` move with those of the model. It is
    a baseline: judge it by its own reader and by standard ones.
    """

    needs_labels = True

    def __init__(self, net: nn.Module, prepare: Callable[[Tensor], Tensor], penalty: Callable[[Tensor, Any], Tensor]) -> None:
        super().__init__()
        if not any(p.requires_grad for p in net.parameters()):
            raise InputError("JointPenalty expects a network that can learn, all of its weights are frozen; use LabelPenalty")
        self.net, self.prepare, self.penalty = net, prepare, penalty

    def forward(self, batch: Batch) -> Tensor:
        """Scalar."""
        logits = self.net(self.prepare(batch.image)).float()
        with _full_precision(logits):
            return self.penalty(logits, checked_labels(batch))


class MeanOf(nn.Module):
    """The mean of several terms of one kind: several readers or tasks under one weight."""

    def __init__(self, *terms: Term) -> None:
        super().__init__()
        if not terms:
            raise ConfigError("MeanOf expects at least one term")
        self.terms = terms
        self.modules_ = nn.ModuleList(t for t in terms if isinstance(t, nn.Module))
        self.needs_labels = any(getattr(t, "needs_labels", False) for t in terms)

    def forward(self, batch: Batch) -> Tensor:
        """Scalar."""
        return torch.stack([term(batch) for term in self.terms]).mean()


class TurnsOf(MeanOf):
    """One of several terms in each step, by turns: several readers at the cost of one, and no single one to please."""

    def forward(self, batch: Batch) -> Tensor:
        """Scalar of the term whose turn it is."""
        return self.terms[batch.step % len(self.terms)](batch)


def checked_labels(batch: Batch) -> Tensor:
    """The labels of a batch as int64; InputError when it has none."""
    if batch.labels is None:
        raise InputError("this term needs labels, these images have none; use FeaturePenalty or TeacherPenalty")
    return batch.labels.long()


def _penalty(task: FrozenTask, mu: Tensor, target: Any, penalty: Callable[[Tensor, Any], Tensor] | None = None) -> Tensor:
    answer = task.predict(mu)
    answer = answer.float() if answer.is_floating_point() else answer
    with _full_precision(answer):
        return (penalty or task.penalty)(answer, target)


def _full_precision(like: Tensor) -> torch.autocast:
    """Sums over a whole batch need more than the 8 bits of bfloat16."""
    return torch.autocast(like.device.type, enabled=False)
