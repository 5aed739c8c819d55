"""What an image set gives: one image with all that is known of it, or several as a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taskct.data.image_source import stacked
from taskct.data.marks import MARKS, Marks

LABELS = "labels"
"""The name under which `ImageBatch.labelled` says which images of a batch have a label map."""


class Sample(NamedTuple):
    """One image: mu (1, ...) in 1/mm, its label map (...) or None, whose it is, its name, and further targets.

    Each target of the set is in `targets`; None means that it is not known of this image, which differs from a target that
    says that there is nothing (no box, no finding).
    """

    mu: Tensor
    labels: Tensor | None
    patient_id: str
    id: str
    targets: Mapping[str, Any]

    @property
    def marks(self) -> Marks | None:
        """What is known of its lesions; None where there are no marks."""
        return self.targets.get(MARKS)


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Some images of a set: mu (B, 1, ...), label maps (B, ...), names, and targets with an entry for each image.

    `labels` is None where no image of the batch has a map.
    A target is a tensor (B, ...) where all that are known have one shape, else a list of B values; entries that are not known
    are zeros in a tensor and None in a list. `labelled` says by target, and for "labels", which images it is known of,
    bool (B,). `stack` (B, 2 neighbours + 1, ...) holds the neighbouring slices as channels, mu in their middle.
    """

    mu: Tensor
    labels: Tensor | None
    patient_ids: tuple[str, ...]
    ids: tuple[str, ...]
    targets: Mapping[str, Any]
    labelled: Mapping[str, Tensor]
    stack: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def marks(self) -> list[Marks | None]:
        """What is known of the lesions of each image; None where there are no marks."""
        return list(self.targets.get(MARKS, [None] * len(self)))

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> ImageBatch:
        """Samples as a batch: the `collate_fn` of a DataLoader."""
        targets, labelled = {}, {}
        for name in samples[0].targets:
            targets[name], labelled[name] = stacked([s.targets[name] for s in samples])
        labels, labelled[LABELS] = stacked([s.labels for s in samples])
        labels = None if isinstance(labels, list) else labels
        patients = tuple(s.patient_id for s in samples)
        return cls(torch.stack([s.mu for s in samples]), labels, patients, tuple(s.id for s in samples), targets, labelled)
