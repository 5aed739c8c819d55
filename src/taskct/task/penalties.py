"""Penalties on what a segmentation network says, smaller for better answers.

Further losses of segmentation, and their names, are in `overlap_penalties`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import GeometryError, InputError
from taskct.core.precision import at_least_float32


def soft_dice(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Soft Dice per class over the whole batch, (K,), and whether the class occurs in the labels, (K,).

    probabilities (B, K, ...), labels (B, ...) in 0..K-1. Pooling over the batch keeps slices without a tumour meaningful.
    Sums are made in float32 at least.
    """
    probabilities = at_least_float32(probabilities)
    classes = probabilities.shape[1]
    truth = functional.one_hot(labels, classes).movedim(-1, 1).to(probabilities.dtype)
    axes = [0, *range(2, probabilities.ndim)]
    overlap = (probabilities * truth).sum(axes)
    total = probabilities.sum(axes) + truth.sum(axes)
    return 2 * overlap / total.clamp_min(torch.finfo(total.dtype).eps), truth.sum(axes) > 0


class DiceCE(nn.Module):
    """Cross entropy plus 1 - mean soft Dice of the classes that occur: logits (B, K, ...), labels (B, ...) -> scalar.

    `weights` (K,) weigh the classes in both parts; background counts in the cross entropy only. A batch in which no
    foreground class occurs is penalised by its cross entropy alone, one of which no class has a weight by 0. Sums are made in
    float32 at least. (Isensee et al., Nat. Methods 18:203 (2021).)
    """

    def __init__(self, *, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if weights is not None:
            check_class_weights(weights, who="DiceCE")
        self.weights: Tensor | None
        self.register_buffer("weights", None if weights is None else torch.tensor(weights, dtype=torch.float32))

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        check_labels(logits, labels)
        if self.weights is not None and len(self.weights) != logits.shape[1]:
            raise InputError(
                f"DiceCE expects a weight for each class of the logits, here {logits.shape[1]}, got {self.weights.tolist()}"
            )
        logits = at_least_float32(logits)
        weights = None if self.weights is None else self.weights.to(logits.dtype)
        if weights is not None and not bool((weights[labels] > 0).any()):
            return (logits * 0).sum()  # a weighted mean over nothing
        entropy = functional.cross_entropy(logits, labels, weight=weights)
        dice, occurs = soft_dice(logits.softmax(1), labels)
        counts = occurs[1:].to(dice.dtype) * (1.0 if weights is None else weights[1:])
        return entropy + ((1 - dice[1:]) * counts).sum() / counts.sum().clamp_min(1e-12)


class SoftTeacher(nn.Module):
    """Divergence from a teacher's answer: logits (B, K, ...), teacher's logits of the same shape -> scalar.

    Mean over pixels of KL(teacher || student) at `temperature`, times its square (Hinton et al., arXiv 1503.02531). The
    teacher is the same reader on the full-dose image, so no labels are needed.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise InputError(f"SoftTeacher expects temperature > 0, got {temperature!r}")
        self.temperature = temperature

    def forward(self, logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """Scalar penalty."""
        if logits.shape != teacher_logits.shape:
            raise GeometryError(f"teacher and student differ in shape: {tuple(teacher_logits.shape)}, {tuple(logits.shape)}")
        logits, teacher_logits = at_least_float32(logits), at_least_float32(teacher_logits)
        teacher = (teacher_logits.detach() / self.temperature).log_softmax(1)
        student = (logits / self.temperature).log_softmax(1)
        divergence = (teacher.exp() * (teacher - student)).sum(1).mean()
        return divergence * self.temperature**2


def check_class_weights(weights: Sequence[float], *, who: str, error: type[InputError] = InputError) -> None:
    """Refuse weights of classes that are negative, not finite, or all 0: nothing could be learnt from them."""
    if not all(math.isfinite(w) and w >= 0 for w in weights) or not any(weights):
        raise error(f"{who} expects finite class weights of 0 or more, not all of them 0, got {list(weights)}")


def check_labels(logits: Tensor, labels: Tensor) -> None:
    """Refuse labels on another grid, of another type, or beyond the classes of the network."""
    if labels.dtype != torch.int64:
        raise InputError(f"labels are class numbers in int64, got {labels.dtype}; call .long()")
    if labels.shape != (logits.shape[0], *logits.shape[2:]):
        wanted = (logits.shape[0], *logits.shape[2:])
        raise GeometryError(f"labels expect the grid of the answer {tuple(wanted)}, got {tuple(labels.shape)}; resample them")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        raise InputError(f"labels expect classes 0 to {logits.shape[1] - 1}, got {low} to {high}; map them first")
