"""Terms of an objective: callables `term(batch) -> scalar`, smaller for better images or answers; None: nothing to judge.

A term may be a module; its weights that ask for a gradient (a reader in joint training) are then trained with the model.
`needs_labels` on a term makes training refuse images without labels before it starts. A term with labels judges the images
that are labelled for it (`Batch.labelled`), and its `count(batch)` says how many those are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.core.precision import at_least_float32
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.images import ImageSet
from taskct.data.samples import LABELS
from taskct.task import FeatureDistance, FrozenTask, SoftTeacher
from taskct.task.prepare import check_water
from taskct.training.batch import Batch, Term
from taskct.training.processes import fair_share

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


class _Labelled(nn.Module, ABC):
    """A term that judges the labelled images of a batch by the target `of`."""

    needs_labels = True

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of

    def count(self, batch: Batch) -> int:
        """How many images are labelled for it."""
        return batch.count(self.of)

    def forward(self, batch: Batch) -> Tensor | None:
        """Scalar; None where no image of the batch is labelled."""
        target = batch.target(self.of)
        share = fair_share(self.count(batch))
        if not share:
            return None
        value = self.judged(batch, batch.rows(self.of, target))
        return value if share == 1.0 else share * value

    @abstractmethod
    def judged(self, batch: Batch, target: Any) -> Tensor:
        """The penalty of the labelled images, of which `target` is the truth."""


class AnswerPenalty(_Labelled):
    """What `penalty(answer, target)` says of the answer that the batch carries for a task, in float32.

    This is the term of readers and of networks with several heads, whose answers are `batch.answers[task]`; the target is
    `batch.targets[task]`, or the label map.
    """

    def __init__(self, penalty: Callable[[Any, Any], Tensor], *, task: str) -> None:
        super().__init__(task)
        self.penalty = penalty

    def judged(self, batch: Batch, target: Any) -> Tensor:
        """The penalty, in float32 behind the network whatever its precision."""
        if self.of not in batch.answers:
            raise ConfigError(f"no network of this training answers task {self.of!r}; answered: {', '.join(batch.answers)}")
        answer = in_float32(batch.rows(self.of, batch.answers[self.of]))
        with _full_precision(batch.mu):
            return self.penalty(answer, target)


class LabelPenalty(_Labelled):
    """What a frozen task says of the reconstruction, given the labels (Sefercioglu et al., arXiv 2511.07094).

    `penalty(prediction, labels)` takes the place of the task's own: `DiceCE(weights=(1, 1, 8))` weighs the errors of the
    tumour more, those missed and, in its Dice, those falsely found, than `weights=(1, 1, 2)`. `target` names another target of
    the batch than the label maps, such as the boxes of a detection task.

    Raises InputError for a network that is not a frozen task.
    """

    def __init__(self, task: FrozenTask, *, penalty: Callable[[Any, Any], Tensor] | None = None, target: str = LABELS) -> None:
        super().__init__(target)
        check_task_given(task, who="LabelPenalty")
        self.task, self.penalty = task, penalty

    def judged(self, batch: Batch, target: Any) -> Tensor:
        """The penalty, in float32 behind the network whatever its precision."""
        answer = in_float32(self.task.predict(batch.rows(self.of, batch.image)))
        with _full_precision(batch.mu):
            return (self.penalty or self.task.penalty)(answer, target)


class TeacherPenalty(nn.Module):
    """Divergence of a frozen task's answer from its own answer on the full-dose image: needs no labels."""

    def __init__(self, task: FrozenTask, *, temperature: float = 1.0) -> None:
        super().__init__()
        check_task_given(task, who="TeacherPenalty")
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
        check_task_given(task, who="FeaturePenalty")
        self.task, self.distance = task, FeatureDistance(task, depths=depths)

    def forward(self, batch: Batch) -> Tensor:
        """Scalar; 1 means that the maps differ as much as they vary."""
        return self.distance(batch.image, batch.mu)


class JointPenalty(_Labelled):
    """A reader that learns together with the reconstruction: the published joint training (Adler et al., Inverse Problems
    38:075006 (2022)), needs labels.

    `net`, `prepare` and `penalty` as in `FrozenTask`, but the weights of `net` move with those of the model. It is
    a baseline: judge it by its own reader and by standard ones.
    """

    def __init__(
        self,
        net: nn.Module,
        prepare: Callable[[Tensor], Tensor],
        penalty: Callable[[Any, Any], Tensor],
        *,
        target: str = LABELS,
    ) -> None:
        super().__init__(target)
        if not any(p.requires_grad for p in net.parameters()):
            raise InputError("JointPenalty expects a network that can learn, all of its weights are frozen; use LabelPenalty")
        self.net, self.prepare, self.penalty = net, prepare, penalty

    def judged(self, batch: Batch, target: Any) -> Tensor:
        """The penalty of the reader's answer, in float32."""
        answer = in_float32(self.net(self.prepare(batch.rows(self.of, batch.image))))
        with _full_precision(batch.mu):
            return self.penalty(answer, target)


class MeanOf(nn.Module):
    """The mean of several terms of one kind, of those that have something to judge: several readers under one weight."""

    def __init__(self, *terms: Term) -> None:
        super().__init__()
        if not terms:
            raise ConfigError("MeanOf expects at least one term")
        self.terms = terms
        self.modules_ = nn.ModuleList(t for t in terms if isinstance(t, nn.Module))
        self.needs_labels = any(getattr(t, "needs_labels", False) for t in terms)

    def forward(self, batch: Batch) -> Tensor | None:
        """Scalar; None where no term has anything to judge."""
        values = [value for term in self.terms if (value := term(batch)) is not None]
        return torch.stack(values).mean() if values else None


class TurnsOf(MeanOf):
    """One of several terms in each step, by turns: several readers at the cost of one, and no single one to please."""

    def forward(self, batch: Batch) -> Tensor | None:
        """Scalar of the term whose turn it is."""
        return self.terms[batch.step % len(self.terms)](batch)


def check_readers(objective: nn.Module, images: ImageSet, *, who: str) -> None:
    """UnitsError or InputError for images that a reader of the objective would misread (`FrozenTask.check_images`)."""
    for term in objective.modules():
        if isinstance(term, JointPenalty):
            check_water(term.prepare, images.mu_water_per_mm, who=f"{who}: the reader that learns along")
        if isinstance(term, LabelPenalty | TeacherPenalty | FeaturePenalty):
            held_to = images.label_names if isinstance(term, LabelPenalty) and term.of == LABELS else None
            task = term.task if not isinstance(term, FeaturePenalty) else term.distance.task
            task.check_images(
                who=who, mu_water_per_mm=images.mu_water_per_mm, spacing_mm=images.spacing_mm, label_names=held_to
            )


def in_float32(answer: Any) -> Any:
    """An answer, or a table or list of answers, with its half-precision numbers as float32: sums need more digits."""
    if isinstance(answer, Tensor):
        return at_least_float32(answer)
    if isinstance(answer, Mapping):
        return {name: in_float32(part) for name, part in answer.items()}
    if isinstance(answer, tuple) and hasattr(answer, "_fields"):
        return type(answer)(*map(in_float32, answer))
    return type(answer)(map(in_float32, answer)) if isinstance(answer, list | tuple) else answer


def check_task_given(task: object, *, who: str) -> None:
    """InputError for a bare network where a frozen task is expected: a term needs to know how the network sees an image."""
    if not isinstance(task, FrozenTask):
        raise InputError(
            f"{who} expects a FrozenTask, got {type(task).__name__}; wrap the network: FrozenTask(freeze(net), prepare, "
            "penalty, name), with prepare such as HuWindow(60, 320) and penalty such as DiceCE()"
        )


def _full_precision(like: Tensor) -> torch.autocast:
    """Sums over a whole batch need more than the 8 bits of bfloat16."""
    return torch.autocast(like.device.type, enabled=False)
