"""Lesions as cells with a centre and a box: targets, loss and decoding of an anchor-free detector.

Zhou et al., arXiv 1904.07850 (centre maps), Rezatofighi et al., CVPR 2019 (generalised IoU). An answer is the table of
`taskct.nets.heads.CentresHead`; a target is a list of `Boxes`, one for each image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.core.precision import at_least_float32
from taskct.task.boxes import Boxes, FoundBoxes, giou, keep_surest

_LOG_CELLS = 5.0  # boxes of at most e^5 cells: beyond it the exponential would overflow before it had learnt anything


class CentreBoxes(nn.Module):
    """Focal loss of the centres plus `box_weight` (1 - GIoU) of their boxes: answer, targets -> scalar, per lesion.

    The wanted map of a class is 1 in the cell of each lesion's centre and falls as a Gaussian a third of its box wide. With p
    the sigmoid of the logits and N lesions in the batch (1 at least):

        - 1/N sum  (1 - p)^2 log p             where the map is 1
                   (1 - y)^4 p^2 log(1 - p)    elsewhere

    Classes that are unknown in an image, and cells in regions to ignore, take no part. Of two lesions of one class with their
    centres in one cell the smaller box is learnt.
    """

    def __init__(self, *, stride: int, box_weight: float = 2.0) -> None:
        super().__init__()
        if stride < 1 or box_weight < 0:
            raise ConfigError(f"CentreBoxes expects stride >= 1 and box_weight >= 0, got {stride!r} and {box_weight!r}")
        self.stride, self.box_weight = stride, box_weight

    def forward(self, answer: Mapping[str, Tensor], target: Sequence[Boxes]) -> Tensor:
        """Scalar penalty."""
        logits, sizes = (at_least_float32(answer[name]) for name in ("centres", "boxes"))
        if len(target) != len(logits):
            raise GeometryError(f"CentreBoxes expects boxes for each of {len(logits)} images, got {len(target)}")
        wanted = [centre_targets(one, logits.shape[1:], stride=self.stride) for one in target]
        heat = torch.stack([w.heat for w in wanted]).to(logits)
        counts = torch.stack([w.counts for w in wanted]).to(logits.device)
        positive = (heat == 1) & counts
        log_p, log_not_p = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        p = log_p.exp()
        found = ((1 - p).square() * log_p * positive).sum()
        quiet = ((1 - heat) ** 4 * p.square() * log_not_p * (counts & ~positive)).sum()
        loss = -(found + quiet) / positive.sum().clamp_min(1)
        cells = torch.cat([torch.cat([torch.full((len(w.cells), 1), b), w.cells], 1) for b, w in enumerate(wanted)])
        if not len(cells):
            return loss
        cells = cells.to(logits.device)
        corners = torch.cat([w.corners for w in wanted]).to(logits)
        spoken = sizes[(cells[:, 0], slice(None), *cells[:, 1:].T)]
        return loss + self.box_weight * (1 - giou(cell_boxes(spoken, cells[:, 1:], self.stride), corners)).mean()


def check_stride(name: str, head: nn.Module, penalty: object) -> None:
    """ConfigError for a detection head whose cells are not those of its penalty: boxes would be learnt at other places."""
    cells, learnt = getattr(head, "stride", None), getattr(penalty, "stride", None)
    if cells is not None and learnt is not None and cells != learnt:
        raise ConfigError(
            f"head {name!r} has cells of {cells} pixels, and its penalty expects cells of {learnt}; give both one"
        )


class CentreTargets:
    """What cells should say of one image: heat and counts (K, ...), cells (n, dims) that learn a box, their corners."""

    def __init__(self, heat: Tensor, counts: Tensor, cells: Tensor, corners: Tensor) -> None:
        self.heat, self.counts, self.cells, self.corners = heat, counts, cells, corners


def centre_targets(boxes: Boxes, shape: Sequence[int], *, stride: int) -> CentreTargets:
    """Boxes of an image -> targets of cells (classes, y, x) or (classes, z, y, x), on the CPU.

    Raises InputError for boxes that are not in the image or of another class.
    """
    classes, sides = shape[0], tuple(shape[1:])
    dims = len(sides)
    boxes = boxes.to("cpu")
    if boxes.corners.shape[1] != 2 * dims or len(boxes.known) != classes:
        raise GeometryError(
            f"cells of {dims} dimensions and {classes} classes expect boxes of as many, got corners "
            f"{tuple(boxes.corners.shape)} and {len(boxes.known)} classes"
        )
    _check_boxes(boxes, classes, [n * stride for n in sides])
    heat = torch.zeros(classes, *sides)
    counts = boxes.known.reshape(-1, *[1] * dims).expand(classes, *sides).clone()
    for region in boxes.ignored:
        low = (region[:dims] / stride).floor().long().tolist()
        high = (region[dims:] / stride).ceil().long().tolist()
        counts[(slice(None), *(slice(max(0, a), b) for a, b in zip(low, high, strict=True)))] = False
    axes = torch.meshgrid(*(torch.arange(n) for n in sides), indexing="ij")
    learnt: dict[tuple[int, ...], Tensor] = {}
    size = (boxes.corners[:, dims:] - boxes.corners[:, :dims]).prod(1)
    for k in torch.argsort(size, descending=True, stable=True).tolist():
        low, high = boxes.corners[k, :dims] / stride, boxes.corners[k, dims:] / stride
        cell = [min(max(0, int(c)), n - 1) for c, n in zip(((low + high) / 2).tolist(), sides, strict=True)]
        spread = ((high - low) / 6).clamp_min(0.35)
        square = sum(((a - c) / s) ** 2 for a, c, s in zip(axes, cell, spread.tolist(), strict=True))
        one = int(boxes.classes[k])
        heat[one] = torch.maximum(heat[one], torch.exp(-square / 2))
        counts[(one, *cell)] = True  # a lesion beside a region to ignore is learnt
        learnt[tuple(cell)] = boxes.corners[k]
    cells = torch.tensor(list(learnt), dtype=torch.int64).reshape(-1, dims)
    corners = torch.stack(list(learnt.values())) if learnt else torch.zeros(0, 2 * dims)
    return CentreTargets(heat, counts, cells, corners)


def _check_boxes(boxes: Boxes, classes: int, sides: Sequence[int]) -> None:
    """Boxes have an inside, their middle in the image, and a class that the cells have; regions to ignore are numbers."""
    dims = len(sides)
    if not bool(boxes.ignored.isfinite().all()):
        raise InputError("cells expect regions to ignore as finite numbers, got NaN or infinite ones")
    low, high = boxes.corners[:, :dims], boxes.corners[:, dims:]
    middle = (low + high) / 2
    there = ((high > low) & (middle >= 0) & (middle <= torch.tensor(sides))).all(1)  # NaN is neither
    if not bool(there.all()):
        odd = boxes.corners[~there][0].tolist()
        raise InputError(f"cells of an image of {tuple(sides)} samples expect boxes in it, low edges first, got {odd}")
    if not bool(((boxes.classes >= 0) & (boxes.classes < classes)).all()):
        raise InputError(f"cells expect classes from 0 to {classes - 1}, got {boxes.classes.tolist()}")


def cell_boxes(spoken: Tensor, cells: Tensor, stride: int) -> Tensor:
    """What cells (n, dims) say, (n, 2 dims): log sizes in cells and logits of the place of the centre -> boxes in samples."""
    dims = cells.shape[1]
    half = spoken[:, :dims].clamp(-_LOG_CELLS, _LOG_CELLS).exp() * (stride / 2)
    centre = (cells + spoken[:, dims:].sigmoid()) * stride
    return torch.cat([centre - half, centre + half], 1)


def find_boxes(
    answer: Mapping[str, Tensor], *, stride: int, threshold: float = 0.05, most: int = 100, overlap: float = 0.3
) -> list[FoundBoxes]:
    """Where a detector points: its answer -> for each image boxes, classes and scores, the surest first, `most` of them.

    A cell counts when no neighbour of its class exceeds it and its score reaches `threshold`; of boxes of a class that overlap
    by more than `overlap` the surest stays (`keep_surest`). Raises InputError for an answer that holds NaN.
    """
    if stride < 1 or not 0 <= threshold <= 1 or most < 1:
        raise ConfigError(
            f"find_boxes expects stride >= 1, threshold from 0 to 1 and most >= 1, got {stride!r}, {threshold!r} and {most!r}"
        )
    for name in ("centres", "boxes"):
        if bool(answer[name].isnan().any()):
            raise InputError(f"find_boxes expects numbers, got NaN among the {name}; was the image finite?")
    logits, sizes = answer["centres"].detach().float(), answer["boxes"].detach().float()
    scores = logits.sigmoid()
    pool = functional.max_pool2d if scores.ndim == 4 else functional.max_pool3d
    peaks = (scores == pool(scores, 3, stride=1, padding=1)) & (scores >= threshold)
    found = []
    for one, where, spoken in zip(scores, peaks, sizes, strict=True):
        places = where.nonzero()
        sure = one[tuple(places.T)]
        top = torch.argsort(sure, descending=True, stable=True)[: 4 * most]
        places, sure = places[top], sure[top]
        boxes = cell_boxes(spoken[(slice(None), *places[:, 1:].T)].T, places[:, 1:], stride)
        kept = []
        for k in range(scores.shape[1]):
            mine = (places[:, 0] == k).nonzero().flatten()
            kept.append(mine[keep_surest(boxes[mine], sure[mine], overlap=overlap)])
        every = torch.cat(kept)
        every = every[torch.argsort(sure[every], descending=True, stable=True)][:most]
        found.append(FoundBoxes(boxes[every], places[every, 0], sure[every]))
    return found
