"""What each head of a network should say of an image, derived from its marks after they have moved with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from taskct.data.marks import Classes, Marks
from taskct.task.boxes import Boxes


class Truth(Protocol):
    """`of(marks, mu)` -> the target of one image, None where it is not known; `batched` makes one target of a batch."""

    def of(self, marks: Marks | None, mu: Tensor) -> Any:
        """mu (1, ...) in 1/mm and its marks -> a target."""

    def batched(self, found: Sequence[Any], device: torch.device) -> Any:
        """Targets of B images, entries that are not known anything of the right kind."""


@dataclass(frozen=True)
class ClassMapTruth:
    """Class maps (B, ...) int64: the target of a segmentation head; known where all outlines of the classes are."""

    classes: Classes

    def of(self, marks: Marks | None, mu: Tensor) -> Tensor | None:
        """(...) int64."""
        return None if marks is None else marks.class_map(self.classes)

    def batched(self, found: Sequence[Tensor | None], device: torch.device) -> Tensor:
        """(B, ...), zeros where a map is not known."""
        return _stack(found, device)


@dataclass(frozen=True)
class BoxesTruth:
    """Lists of `Boxes`: the target of a detection head; known where all boxes of a class are.

    `joined` names kinds whose instances are one lesion where they touch: {"infection": ("ground glass", "consolidation")}.
    """

    classes: Classes
    joined: Mapping[str, Collection[str]] = field(default_factory=dict)

    def of(self, marks: Marks | None, mu: Tensor) -> Boxes | None:
        """Boxes of one image."""
        if marks is None:
            return None
        for name, kinds in self.joined.items():
            marks = marks.joined(kinds, as_kind=name)
        return marks.boxes(self.classes)

    def batched(self, found: Sequence[Boxes | None], device: torch.device) -> list[Boxes | None]:
        """They stay on the CPU, where targets of cells are made."""
        return list(found)


@dataclass(frozen=True)
class FindingsTruth:
    """Findings (B, K) of 1, 0 and NaN: the target of a classification head; known where one finding is."""

    classes: Classes

    def of(self, marks: Marks | None, mu: Tensor) -> Tensor | None:
        """(K,)."""
        found = None if marks is None else marks.presence(self.classes)
        return None if found is None or bool(found.isnan().all()) else found

    def batched(self, found: Sequence[Tensor | None], device: torch.device) -> Tensor:
        """(B, K), zeros where nothing is known."""
        return _stack(found, device)


@dataclass(frozen=True)
class ImageTruth:
    """The full-dose image itself, (B, 1, ...) in 1/mm: the target of a reconstruction head; always known."""

    def of(self, marks: Marks | None, mu: Tensor) -> Tensor:
        """(1, ...)."""
        return mu

    def batched(self, found: Sequence[Tensor], device: torch.device) -> Tensor:
        """(B, 1, ...)."""
        return torch.stack(list(found)).to(device)


def targets_of(
    truths: Mapping[str, Truth], marks: Sequence[Marks | None], mu: Tensor, device: torch.device
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Targets by head of images mu (B, 1, ...), and which of them are known, bool (B,) by head: fields of a `Batch`."""
    targets, labelled = {}, {}
    for head, truth in truths.items():
        found = [truth.of(one, image) for one, image in zip(marks, mu, strict=True)]
        known = torch.tensor([value is not None for value in found])
        labelled[head] = known.to(device)
        targets[head] = truth.batched(found, device) if bool(known.any()) else [None] * len(found)
    return targets, labelled


def _stack(found: Sequence[Tensor | None], device: torch.device) -> Tensor:
    like = next(value for value in found if value is not None)
    return torch.stack([torch.zeros_like(like) if value is None else value for value in found]).to(device)
