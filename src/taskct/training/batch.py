"""What a training step knows: the record that every term of an objective receives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.data.marks import MARKS
from taskct.data.samples import LABELS, ImageBatch
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch of B images: what is true of them, what was measured, and what networks have said.

    mu        full-dose images (B, 1, ...) in 1/mm
    ids       their names, B of them
    labels    label maps (B, ...), the target of every task that has none of its own in `targets`
    p         noisy scans (B, C, V, ...)
    A         what p was projected by, where trainings see several geometries: one projector, or one for each image
    mu_hat    reconstructions (B, 1, ...) in 1/mm
    step      the training step
    answers   what networks said, by task: anything with an entry for each image (tensors, lists, nested tables of these)
    targets   what they should have said, by task, with an entry for each image
    labelled  by task, or "labels" for the label maps: bool (B,), which images are labelled. A task that is not named is
              labelled in every image

    What a term does not need may be absent. In a batch without any labelled image for a term the term returns None.
    """

    mu: Tensor
    ids: tuple[str, ...]
    labels: Tensor | None = None
    p: Tensor | None = None
    mu_hat: Tensor | None = None
    step: int = 0
    answers: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, Any] = field(default_factory=dict)
    labelled: Mapping[str, Tensor] = field(default_factory=dict)
    A: Projector | Projectors | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image(self) -> Tensor:
        """The reconstruction; it must have been made."""
        assert self.mu_hat is not None
        return self.mu_hat

    def with_image(self, mu_hat: Tensor) -> Self:
        """The same batch with its reconstruction."""
        return replace(self, mu_hat=mu_hat)

    def with_answers(self, answers: Mapping[str, Any]) -> Self:
        """The same batch with more answers, by task."""
        return replace(self, answers={**self.answers, **answers})

    def target(self, task: str) -> Any:
        """What the task should have said: its own target, or the label maps as int64; InputError when there are neither."""
        if task in self.targets:
            return self.targets[task]
        if self.labels is None:
            raise InputError("this term needs labels, these images have none; use FeaturePenalty or TeacherPenalty")
        return self.labels.long()

    def mask(self, task: str) -> Tensor | None:
        """Which images are labelled for a task, bool (B,); None for all of them."""
        return self.labelled.get(task if task in self.targets or task in self.labelled else LABELS)

    def count(self, task: str) -> int:
        """How many images are labelled for a task."""
        mask = self.mask(task)
        return len(self) if mask is None else int(mask.sum())

    def rows(self, task: str, value: Any) -> Any:
        """The entries of `value` (one for each image) that belong to images labelled for a task."""
        mask = self.mask(task)
        return value if mask is None or bool(mask.all()) else _taken(value, mask.nonzero().flatten().tolist())

    def detached(self) -> Self:
        """The same batch, its image and answers without their gradients: what the next player is given."""
        image = None if self.mu_hat is None else self.mu_hat.detach()
        return replace(self, mu_hat=image, answers=_detached(self.answers))


Term = Callable[[Batch], Tensor | None]
"""A part of an objective: a batch -> a scalar, smaller for better; None where nothing of the batch is labelled for it."""


def _taken(value: Any, rows: list[int]) -> Any:
    if isinstance(value, Tensor):
        return value[rows]
    if isinstance(value, Mapping):
        return {name: _taken(part, rows) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named tuple of tensors
        return type(value)(*(_taken(part, rows) for part in value))
    return [value[i] for i in rows]


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, Mapping):
        return {name: _detached(part) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_detached, value))
    return type(value)(map(_detached, value)) if isinstance(value, list | tuple) else value


def truths_of(read: ImageBatch, device: torch.device, *, moved: bool = False) -> dict[str, Any]:
    """Targets and masks of a batch for `Batch(...)`. With `moved` images, InputError for targets that would have to move too.

    Marks are left to those who derive targets from them.
    A number or a finding of an image stays what it is when the image moves; anything larger may be a place in it.
    """
    known = {name: values for name, values in read.targets.items() if name != MARKS}
    for name, values in known.items():
        if moved and not (isinstance(values, Tensor) and values.ndim == 1) and bool(read.labelled[name].any()):
            raise InputError(
                f"target {name!r} may be a place in the image, which augmentation would move without it; train with images as "
                "they are, or derive the target from the label map in a term"
            )
    to_device = lambda value: value.to(device) if isinstance(value, Tensor) else value
    masks = {name: mask.to(device) for name, mask in read.labelled.items() if not bool(mask.all())}
    masks.pop(MARKS, None)
    return {"targets": {name: to_device(values) for name, values in known.items()}, "labelled": masks}
