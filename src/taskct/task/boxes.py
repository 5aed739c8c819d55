"""Boxes in two and three dimensions: overlap, generalised overlap, and which of many to keep. Plain PyTorch.

A box is (low edges, high edges) in samples, axes in array order: (y0, x0, y1, x1) or (z0, y0, x0, z1, y1, x1). Sample k
reaches from k to k + 1, so a lesion in rows 3 to 5 has y0 = 3 and y1 = 6.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError


class Boxes(NamedTuple):
    """The lesions of one image as boxes: the target of a detector.

    corners  (n, 2 dims) float32, as above; classes (n,) int64, from 0
    known    (K,) bool: the classes of which every lesion is here. A class that is known and has no box is absent
    ignored  (m, 2 dims): regions that count neither way
    """

    corners: Tensor
    classes: Tensor
    known: Tensor
    ignored: Tensor

    def to(self, device: torch.device | str) -> Boxes:
        """The same on another device."""
        return Boxes(*(part.to(device) for part in self))


class FoundBoxes(NamedTuple):
    """What a detector says of one image: corners (n, 2 dims), classes (n,), scores (n,) from 0 to 1, the surest first."""

    corners: Tensor
    classes: Tensor
    scores: Tensor


def volumes(boxes: Tensor) -> Tensor:
    """Area or volume of boxes (..., 2 dims) in samples: (...); 0 where an edge is turned round."""
    low, high = boxes.chunk(2, -1)
    return (high - low).clamp_min(0).prod(-1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every box of `a` (n, 2 dims) with every one of `b` (m, 2 dims): (n, m).

    >>> iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 1, 2, 3], [5, 5, 6, 6]]))
    tensor([[0.3333, 0.0000]])
    """
    _check(a, b)
    shared = _shared(a[:, None], b[None])
    union = volumes(a)[:, None] + volumes(b)[None] - shared
    return torch.where(union > 0, shared / union.clamp_min(torch.finfo(union.dtype).tiny), 0.0)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of boxes pair by pair, (n, 2 dims) and (n, 2 dims) -> (n,), from -1 to 1, with a gradient everywhere.

    giou = iou - (hull - union) / hull, hull the smallest box round both. (Rezatofighi et al., CVPR 2019.)

    >>> giou(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[0.0, 1, 1, 2]]))
    tensor([0.])
    """
    _check(a, b)
    if len(a) != len(b):
        raise GeometryError(f"giou expects boxes pair by pair, got {len(a)} and {len(b)}")
    (low_a, high_a), (low_b, high_b) = a.chunk(2, -1), b.chunk(2, -1)
    shared = _shared(a, b)
    union = volumes(a) + volumes(b) - shared
    hull = (torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)).prod(-1)
    tiny = torch.finfo(hull.dtype).tiny
    return shared / union.clamp_min(tiny) - (hull - union) / hull.clamp_min(tiny)


def keep_surest(boxes: Tensor, scores: Tensor, *, overlap: float = 0.3) -> Tensor:
    """Non-maximum suppression: numbers of the boxes (n, 2 dims) that stay, the surest first.

    Greedy: a box stays unless one that stays and is surer overlaps it by more than `overlap` (IoU). Of equally sure boxes the
    first comes first. Boxes whose scores are NaN are refused with an InputError.
    """
    if boxes.shape[0] != scores.shape[0] or scores.ndim != 1:
        raise GeometryError(f"keep_surest expects a score for each box, got {tuple(boxes.shape)} and {tuple(scores.shape)}")
    if not 0 <= overlap <= 1:
        raise InputError(f"keep_surest expects an overlap from 0 to 1, got {overlap!r}")
    if bool(scores.isnan().any()):
        raise InputError("keep_surest expects scores that are numbers, got NaN")
    order = torch.argsort(scores, descending=True, stable=True)
    close = (iou(boxes[order], boxes[order]) > overlap).cpu()
    gone = torch.zeros(len(order), dtype=torch.bool)
    kept = []
    for k in range(len(order)):
        if not gone[k]:
            kept.append(k)
            gone |= close[k]
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]


def _shared(a: Tensor, b: Tensor) -> Tensor:
    (low_a, high_a), (low_b, high_b) = a.chunk(2, -1), b.chunk(2, -1)
    return (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp_min(0).prod(-1)


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or a.shape[1] not in (4, 6):
        raise GeometryError(f"boxes expect (n, 4) or (n, 6), both of one kind, got {tuple(a.shape)} and {tuple(b.shape)}")
